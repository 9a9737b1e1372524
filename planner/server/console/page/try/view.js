// Try it: ask, see the plan, watch the search, read the answer.

import { ApiError, get, post, send } from "../api.js";
import { complain } from "../complaint.js";
import { element } from "../element.js";
import { events } from "../sse.js";
import { learnStrategies } from "../strategies.js";
import { plan as readPlan } from "../wire/advice.js";
import { models as readModels } from "../wire/models.js";
import { planBody, solveBody } from "../wire/request.js";
import { translate } from "../wire/stream.js";
import { Advice } from "./advice.js";
import { Answer } from "./answer.js";
import { Compare } from "./compare.js";
import { Follow } from "./follow.js";
import { Form } from "./form.js";
import { Live } from "./live.js";

export class TryView {
  constructor() {
    this._form = new Form({
      onask: (wish) => this._ask(wish),
      onplan: (wish) => this._ask(wish, true),
      onstop: () => this._abort?.abort(),
    });
    this._error = element("p", { class: "note error", role: "alert", hidden: true });
    this._advice = new Advice();
    this._live = new Live();
    this._answer = new Answer();
    this._compare = new Compare();
    this._follow = new Follow();
    this._invitation = element(
      "div",
      { class: "card invitation" },
      element("h2", {}, "Ask, and watch what thinking costs"),
      element(
        "p",
        { class: "soft" },
        "First comes the plan: which strategy, with how many samples, and what it expects. " +
          "Then the search runs before your eyes: every step a dot, shaded by its reward. At the end stand the answer and its receipt.",
      ),
    );
    this.element = element(
      "div",
      {},
      element("h1", { class: "visually-hidden" }, "Try it"),
      element(
        "div",
        { class: "try" },
        this._form.element,
        element(
          "div",
          { class: "results" },
          this._error,
          this._invitation,
          this._advice.element,
          this._live.element,
          this._answer.element,
          this._compare.element,
        ),
      ),
    );
  }

  async enter() {
    try {
      this._models = readModels(await get("v1/models"));
      await learnStrategies();
      this._form.offer(this._models);
      this._complain(null);
    } catch (error) {
      this._complain(error);
    }
  }

  leave() {}

  async _ask(wish, isPlanOnly = false) {
    this._abort?.abort();
    const abort = (this._abort = new AbortController());
    this._complain(null);
    this._follow.begin();
    this._invitation.hidden = true;
    for (const card of [this._advice, this._live, this._answer, this._compare]) card.clear();
    this._form.busy = true;
    try {
      const advice = readPlan(await post("v1/plan", planBody(wish), { signal: abort.signal }));
      this._advice.show(advice);
      this._follow.to(this._advice.element);
      if (!isPlanOnly) await this._solve(wish, advice, abort.signal);
    } catch (error) {
      if (error.name === "AbortError") this._live.end("Stopped");
      else this._complain(error);
    } finally {
      if (this._abort === abort) this._form.busy = false;
    }
  }

  async _solve(wish, advice, signal) {
    const search = this._live.begin({ budget: wish.budget, expected: advice });
    this._follow.to(this._live.element);
    try {
      const response = await send("v1/chat/completions", solveBody(wish), { signal });
      for await (const event of events(response)) {
        for (const told of translate(event)) {
          if (told.type === "failure") throw new ApiError(told.message, 0);
          search.apply(told);
        }
        this._live.update();
        if (search.text && !search.receipt) this._answer.stream(search.text);
      }
    } catch (error) {
      if (error.name !== "AbortError") this._live.end("Failed");
      throw error;
    }
    if (!search.receipt) {
      this._live.end("Broken off");
      throw new ApiError("The answer broke off before its receipt came.", 0);
    }
    this._live.end("Done");
    this._answer.show({ ...search.receipt, ended: search.ended }, search.text);
    this._compare.offer(wish, search.receipt);
    this._follow.to(this._answer.element);
  }

  _complain(error) {
    complain(this._error, error);
  }
}
