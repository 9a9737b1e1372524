// Bodies of requests, from what the form wishes.

/** The value of a field that limits the planner to plans without a PRM. */
export const NO_PRM = "none";

/** The body of POST v1/plan. */
export function planBody(wish) {
  return { question: wish.question, include: ["alternatives", "why"], ...wishes(wish) };
}

/** The body of a streamed POST v1/chat/completions. */
export function solveBody(wish) {
  return {
    messages: [{ role: "user", content: wish.question }],
    stream: true,
    stream_options: { include_usage: true },
    include: ["candidates", "steps", "progress"],
    ...wishes(wish),
  };
}

/** The body of a POST v1/chat/completions that runs a plan of the plain model, whatever it takes. */
export function plainBody(wish, plan) {
  return {
    messages: [{ role: "user", content: wish.question }],
    ...wishes({ ...wish, plan, preset: null, budget: null, prm: null }),
  };
}

function wishes({ plan, preset, budget, domain, policy, prm }) {
  const body = { model: plan ? `planner/${plan}` : (preset ?? "planner") };
  for (const [name, value] of Object.entries({ budget, domain, policy, prm })) if (value) body[name] = value;
  return body;
}
