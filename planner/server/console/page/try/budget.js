// The budget: a unit and a slider, whose steps are even in ratio (a doubling is as far anywhere).

import { element } from "../element.js";
import { allowance } from "../figure.js";
import { hint } from "../term.js";

/** unit -> its range and where the slider starts */
const UNITS = {
  tokens: { name: "Tokens", low: 50, high: 50_000, start: 1500, whole: true },
  samples: { name: "Samples", low: 1, high: 256, start: 8, whole: true },
  seconds: { name: "Seconds", low: 0.05, high: 120, start: 2 },
  usd: { name: "US dollars", low: 1e-6, high: 1, start: 1e-3, needsPrices: true },
  target_accuracy: { name: "Accuracy", low: 0.05, high: 0.99, start: 0.8, even: true },
};
const STEPS = 200;

export class Budget {
  /** `presets`: model names beside `planner` that stand for budgets, such as `planner-low`. */
  constructor(presets = []) {
    this._unit = element("select", { id: "budget-unit", onchange: () => this._reset() });
    this._slider = element("input", {
      type: "range",
      id: "budget",
      min: 0,
      max: STEPS,
      step: 1,
      oninput: () => this._show(),
    });
    this._said = element("output", { for: "budget", class: "budget-said" });
    this.element = element(
      "div",
      {},
      element(
        "div",
        { class: "pair" },
        element(
          "div",
          {},
          element("div", { class: "labelled" }, element("label", { for: "budget-unit" }, "Budget in"), hint("budget")),
          this._unit,
        ),
        this._said,
      ),
      element("label", { for: "budget", class: "visually-hidden" }, "How much"),
      this._slider,
    );
    this.offer(presets);
    this._reset();
  }

  /** `hasPrices`: whether the server knows what things cost; a budget in money needs that. */
  offer(presets, hasPrices = false) {
    const chosen = this._unit.value || "tokens";
    const units = Object.entries(UNITS).filter(([, unit]) => hasPrices || !unit.needsPrices);
    this._unit.replaceChildren(
      ...units.map(([value, { name }]) => element("option", { value }, name)),
      ...presets.map((model) =>
        element("option", { value: `model:${model}` }, `Preset ${model.replace(/^planner-/, "")}`),
      ),
      element("option", { value: "default" }, "The server's default"),
    );
    const isThere = [...this._unit.options].some((option) => option.value === chosen);
    this._unit.value = isThere ? chosen : "tokens";
    if (!isThere) this._reset();
  }

  /** As the API has it: {tokens: 800}; null for a preset or the server's default. */
  get value() {
    const unit = UNITS[this._unit.value];
    return unit ? { [this._unit.value]: this._amount(unit) } : null;
  }

  /** The model that stands for a preset; null without one. */
  get model() {
    return this._unit.value.startsWith("model:") ? this._unit.value.slice("model:".length) : null;
  }

  _reset() {
    const unit = UNITS[this._unit.value];
    this._slider.disabled = !unit;
    if (unit) this._slider.value = Math.round(STEPS * share(unit));
    this._show();
  }

  _show() {
    const said = this.value
      ? allowance(this.value)
      : this.model
        ? "as the preset says"
        : "as the server says";
    this._said.textContent = said;
    this._slider.setAttribute("aria-valuetext", said);
  }

  _amount(unit) {
    const at = Number(this._slider.value) / STEPS;
    if (unit.even) return Number((unit.low + at * (unit.high - unit.low)).toFixed(2));
    const exact = unit.low * (unit.high / unit.low) ** at;
    const rounded = Number(exact.toPrecision(2));
    return unit.whole ? Math.max(unit.low, Math.round(rounded)) : rounded;
  }
}

function share({ low, high, start, even }) {
  return even ? (start - low) / (high - low) : Math.log(start / low) / Math.log(high / low);
}
