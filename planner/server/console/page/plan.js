// A plan's spelling, shown as its strategy and, quieter, its numbers.

import { element } from "./element.js";
import { caption, parts } from "./strategies.js";

/** The strategy in words, its numbers and, if told, the models; one inline element. */
export function planLabel(plan, { policy = null, prm = null } = {}) {
  const { strategy, numbers } = parts(plan);
  const models = [policy, prm].filter(Boolean).join(" × ");
  return element(
    "span",
    { class: "plan", title: [String(plan ?? ""), caption(plan)].filter(Boolean).join(": ") },
    element("b", {}, strategy.replaceAll("_", " ") || "–"),
    numbers ? element("span", { class: "soft small" }, ` ${numbers}`) : null,
    models ? element("span", { class: "models soft small" }, models) : null,
  );
}
