// A command beside a button that copies it.

import { element } from "../element.js";

/** `name`: what the button does, for readers of text. */
export function copied(text, name) {
  const command = element("pre", { class: "mono", tabindex: 0, "aria-label": "Command" }, text);
  const said = element("span", { class: "visually-hidden", role: "status" });
  const button = element(
    "button",
    {
      type: "button",
      class: "small",
      "aria-label": name,
      onclick: async () => {
        try {
          await navigator.clipboard.writeText(text);
          button.textContent = "Copied";
        } catch {
          // no clipboard outside secure contexts: it is marked, to be copied by hand
          getSelection().selectAllChildren(command);
          button.textContent = "Marked";
        }
        said.textContent = button.textContent;
      },
    },
    "Copy",
  );
  return element("div", { class: "command" }, command, button, said);
}
