// A plan's spelling, shown as its strategy and, quieter, its numbers.

import { element } from "./element.js";

/** "majority(n=16)" -> {strategy: "majority", numbers: "n=16"}. */
export function parts(plan) {
  const text = String(plan ?? "");
  const open = text.indexOf("(");
  if (open < 0) return { strategy: text, numbers: "" };
  return { strategy: text.slice(0, open), numbers: text.slice(open + 1, text.lastIndexOf(")")) };
}

/** The strategy in words, its numbers and, if told, the models; one inline element. */
export function planLabel(plan, { policy = null, prm = null } = {}) {
  const { strategy, numbers } = parts(plan);
  const models = [policy, prm].filter(Boolean).join(" × ");
  return element(
    "span",
    { class: "plan", title: String(plan ?? "") },
    element("b", {}, strategy.replaceAll("_", " ") || "–"),
    numbers ? element("span", { class: "soft small" }, ` ${numbers}`) : null,
    models ? element("span", { class: "models soft small" }, models) : null,
  );
}
