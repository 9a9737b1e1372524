// Puts the console together: three views behind three addresses, the key and the theme.

import { fill } from "./element.js";
import { keyDialog } from "./key.js";
import { themeButton } from "./theme.js";
import { TryView } from "./try/view.js";
import { NowView } from "./now/view.js";
import { DecisionsView } from "./decisions/view.js";

const VIEWS = { try: new TryView(), now: new NowView(), decisions: new DecisionsView() };
const TITLES = { try: "Try it", now: "Now", decisions: "Decisions" };
const place = document.getElementById("view");
let current = null;

/** "#decisions/abc" -> view "decisions", argument "abc"; whatever is not known is "Try it". */
function route() {
  const [name, ...rest] = location.hash.slice(1).split("/");
  const view = Object.hasOwn(VIEWS, name) ? name : "try";
  let argument = null;
  try {
    argument = rest.length ? decodeURIComponent(rest.join("/")) : null;
  } catch {
    // not something that this page wrote
  }
  return { view, argument };
}

function show(isFirst = false) {
  if (location.hash === "#view") return; // the link that skips to the content
  const { view, argument } = route();
  if (current !== view) {
    if (current) VIEWS[current].leave();
    fill(place, VIEWS[view].element);
    if (!isFirst) place.focus({ preventScroll: true });
  }
  current = view;
  document.title = `${TITLES[view]} · Test-time planner`;
  for (const link of document.querySelectorAll("nav a")) {
    if (link.hash === `#${view}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  VIEWS[view].enter(argument);
}

const askForKey = keyDialog(document.getElementById("key"), document.getElementById("key-dialog"), () =>
  show(),
);
themeButton(document.getElementById("theme"));
window.addEventListener("hashchange", () => show());
document.addEventListener("unauthorized", (event) => askForKey(event.detail));
show(true);
