// Makes elements. Text only ever becomes text nodes: nothing that a model, a user or a server says is parsed.

const SVG = "http://www.w3.org/2000/svg";

/** An HTML element: `element("p", {class: "soft", onclick: go}, "text", child, null)`. */
export function element(tag, properties = {}, ...children) {
  return build(document.createElement(tag), properties, children);
}

/** The same for SVG. */
export function drawn(tag, properties = {}, ...children) {
  return build(document.createElementNS(SVG, tag), properties, children);
}

/** Replaces what a node holds. */
export function fill(node, ...children) {
  node.replaceChildren(...children.flat().filter(present));
  return node;
}

/** A bar that is filled to a share in [0, 1]; the number beside it carries the meaning for readers of text. */
export function bar(share, kind = "") {
  const node = element("div", { class: `bar ${kind}`, "aria-hidden": "true" }, element("i"));
  setShare(node, share);
  return node;
}

export function setShare(node, share) {
  node.style.setProperty("--share", String(Math.min(1, Math.max(0, Number(share) || 0))));
}

/** A list of terms: pairs whose value is null are left out. */
export function facts(pairs) {
  const rows = pairs.filter(([, value]) => present(value));
  return element(
    "dl",
    { class: "facts" },
    ...rows.flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, value)]),
  );
}

function build(node, properties, children) {
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on") && typeof value === "function") node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  node.append(
    ...children
      .flat()
      .filter(present)
      .map((child) => (child instanceof Node ? child : String(child))),
  );
  return node;
}

function present(value) {
  return value !== null && value !== undefined && value !== false && value !== "";
}
