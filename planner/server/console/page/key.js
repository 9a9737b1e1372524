// The API key: in this tab's session storage at most, sent to this server only.

import { complain } from "./complaint.js";

const NAME = "planner-console-key";
let held = null;

/** The key, or null. */
export function apiKey() {
  if (held !== null) return held;
  try {
    held = sessionStorage.getItem(NAME);
  } catch {
    // storage may be forbidden: the key then lives in this page only
  }
  return held;
}

function keep(key) {
  held = key || null;
  try {
    if (held) sessionStorage.setItem(NAME, held);
    else sessionStorage.removeItem(NAME);
  } catch {
    // as above
  }
}

/** The dialog that asks for a key. `onchange` is called when another key (or none) is to be used. */
export function keyDialog(button, dialog, onchange) {
  const field = dialog.querySelector("input");
  const why = dialog.querySelector("#key-reason");
  const show = () => {
    button.textContent = apiKey() ? "API key: set" : "API key";
  };
  show();
  const open = (error = null) => {
    if (dialog.open) return;
    complain(why, error, "");
    field.value = apiKey() ?? "";
    dialog.showModal();
    field.focus();
  };
  button.addEventListener("click", () => open());
  dialog.addEventListener("close", () => {
    const before = apiKey();
    if (dialog.returnValue === "use") keep(field.value.trim());
    if (dialog.returnValue === "forget") keep("");
    dialog.returnValue = "";
    field.value = "";
    show();
    if (apiKey() !== before) onchange();
  });
  dialog.addEventListener("cancel", () => {
    dialog.returnValue = "";
  });
  return open;
}
