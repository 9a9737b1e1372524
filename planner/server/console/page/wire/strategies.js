// What strategies say of themselves.

import { list, text } from "./value.js";

/** GET v1/strategies: name -> {caption, vote, joinsProbe}; `vote` null where the plan's own parts decide. */
export function strategies(said) {
  return new Map(
    list(said.data).map((one) => [
      text(one.name),
      {
        caption: text(one.caption),
        vote: one.vote ? text(one.vote) : null,
        joinsProbe: one.joins_probe !== false,
      },
    ]),
  );
}
