// Tells the server what came of an answer: right or wrong, or which candidate was the right one. What was kept is
// told the document as the event `feedback`.

import { post } from "./api.js";
import { element } from "./element.js";

export class Feedback {
  /** `id` of the decision; `given`: what is known already ({correct, candidate}), oldest first. */
  constructor(id, given = []) {
    this._id = id;
    this._right = this._button("Right", { correct: true });
    this._wrong = this._button("Wrong", { correct: false });
    this._said = element("span", { class: "soft small", role: "status" });
    this.element = element(
      "div",
      { class: "row feedback", role: "group", "aria-label": "Feedback" },
      element("span", {}, "Was it right?"),
      this._right,
      this._wrong,
      this._said,
    );
    const last = given.findLast((one) => typeof one.correct === "boolean");
    if (last) this._press(last.correct);
    if (given.length) this._said.textContent = `${given.length} so far`;
  }

  /** A button that says that this candidate was the right one. */
  candidateButton(index) {
    const button = element(
      "button",
      {
        type: "button",
        class: "small quiet",
        "aria-pressed": "false",
        "aria-label": `Mark candidate ${index + 1} as right`,
        title: "Tell the server that this candidate has the right answer",
        onclick: async () => {
          if (!(await this._send({ candidate: index }))) return;
          button.setAttribute("aria-pressed", "true");
          button.textContent = "Marked as right";
        },
      },
      "Mark as right",
    );
    return button;
  }

  _button(name, outcome) {
    return element(
      "button",
      {
        type: "button",
        class: "small",
        "aria-pressed": "false",
        onclick: async () => {
          if (await this._send(outcome)) this._press(outcome.correct);
        },
      },
      name,
    );
  }

  _press(correct) {
    this._right.setAttribute("aria-pressed", String(correct === true));
    this._wrong.setAttribute("aria-pressed", String(correct === false));
  }

  async _send(outcome) {
    this._said.textContent = "Sending…";
    this._said.className = "soft small";
    try {
      await post("v1/feedback", { id: this._id, ...outcome });
    } catch (error) {
      this._said.textContent = error.message;
      this._said.className = "bad small";
      return false;
    }
    this._said.textContent = "Thank you, kept.";
    this.element.dispatchEvent(new CustomEvent("feedback", { bubbles: true }));
    return true;
  }
}
