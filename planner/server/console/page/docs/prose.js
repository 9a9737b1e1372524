// A docstring's text: ``code`` becomes an element, a blank line a space, and nothing else means anything.

import { element } from "../element.js";

/** Nodes and texts. */
export function prose(text) {
  return String(text)
    .replace(/\s*\n\s*/g, " ")
    .split("``")
    .map((part, at) => (at % 2 ? element("code", {}, part) : part));
}
