// Draws a search: a node per step, shaded by its reward; pruned branches fade, the chosen one stands out.

import { drawn, element } from "../element.js";
import { fraction } from "../figure.js";
import { layout } from "./layout.js";

/** A step is meant by a pointer that is so near, in pixels. */
const NEAR = 22;
/** Within so many ms a step comes by two thirds nearer to its place. */
const TAU = 70;

/** `onpick(node, isFinal)`: a step was pointed at, or chosen by a click, a tap or the keyboard. */
export class Tree {
  constructor(onpick) {
    this._onpick = onpick;
    this._edges = drawn("g", { class: "edges" });
    this._nodes = drawn("g", { class: "nodes" });
    this._svg = drawn(
      "svg",
      { role: "tree", "aria-label": "Tree of steps", class: "tree" },
      this._edges,
      this._nodes,
    );
    this.element = element("div", { class: "tree-frame" }, this._svg);
    this._marks = new Map();
    this._frame = 0;
    this._picked = null;
    this._svg.addEventListener("pointermove", (event) => this._point(event, false));
    this._svg.addEventListener("pointerleave", () => this._onpick(this._picked, false));
    this._svg.addEventListener("click", (event) => this._point(event, true));
    this._svg.addEventListener("keydown", (event) => this._key(event));
    new ResizeObserver(() => this._search && this.show(this._search)).observe(this.element);
  }

  /** Draws what the search holds now; what is drawn already moves to its new place. */
  show(search) {
    if (search !== this._search) this._clear(search);
    const levels = search.levels();
    const available = Math.max(200, this.element.clientWidth);
    const { positions, width, height, gap } = layout(search.root, levels, available);
    this._svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    this._svg.setAttribute("width", width);
    this._svg.setAttribute("height", height);
    this._svg.style.setProperty("--edge-width", String(Math.max(0.4, Math.min(1.5, gap / 14))));
    const radius = Math.max(2.5, Math.min(7, gap / 2 - 1.5));
    this._mark(search.root, null, radius, positions.get(search.root), 0);
    levels.forEach((level, depth) =>
      level.forEach((node) => {
        this._mark(node, this._marks.get(node.parent), radius, positions.get(node), depth + 1);
      }),
    );
    if (!this._picked) this._offer(search.leader ?? search.root);
    this._move();
  }

  /** How many steps stand in the widest row. */
  static width(search) {
    return Math.max(0, ...search.levels().map((level) => level.length));
  }

  /** Brings a step into the frame, where the tree is wider than that. */
  reveal(node) {
    const mark = this._marks.get(node);
    if (mark) this.element.scrollLeft = mark.target.x - this.element.clientWidth / 2;
  }

  /** Marks the step whose path is being read. */
  pick(node) {
    this._marks.get(this._picked)?.group.classList.remove("picked");
    this._marks.get(node)?.group.classList.add("picked");
    this._picked = node;
    if (node) this._offer(node);
  }

  _clear(search) {
    cancelAnimationFrame(this._frame);
    this._frame = 0;
    this._search = search;
    this._picked = null;
    this._marks.clear();
    this._edges.replaceChildren();
    this._nodes.replaceChildren();
  }

  _mark(node, above, radius, target, depth) {
    let mark = this._marks.get(node);
    if (!mark) {
      const start = above ? { ...above.now } : { ...target };
      const group = drawn(
        "g",
        { class: "node", role: "treeitem", "aria-level": depth + 1, tabindex: -1 },
        drawn("circle", { class: "halo" }),
        drawn("circle", { class: "dot" }),
      );
      const edge = above ? drawn("path", { class: "edge" }) : null;
      mark = { node, above, group, edge, now: start, target };
      this._marks.set(node, mark);
      this._nodes.append(group);
      if (edge) this._edges.append(edge);
    }
    mark.target = target;
    const kinds = [
      node.parent ? node.state : "root",
      node.reward === null ? "unscored" : "",
      node.chosen ? "chosen" : "",
    ];
    for (const part of [mark.group, mark.edge]) {
      if (!part) continue;
      const picked = part.classList.contains("picked") ? " picked" : "";
      part.setAttribute("class", `${part === mark.edge ? "edge" : "node"} ${kinds.join(" ")}${picked}`);
    }
    if (node.reward !== null) mark.group.style.setProperty("--reward", `${Math.round(100 * node.reward)}%`);
    const [halo, dot] = mark.group.children;
    dot.setAttribute(
      "r",
      node.state === "pruned" ? radius * 0.7 : node.state === "finished" ? radius * 0.8 : radius,
    );
    halo.setAttribute("r", radius + 1.5);
    mark.group.setAttribute("aria-label", said(node, depth));
  }

  /** Everything goes a part of its way in every frame, until it is there. */
  _move() {
    if (this._frame) return;
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    let before = performance.now();
    const step = (now) => {
      const part = still ? 1 : 1 - Math.exp(-Math.max(0, now - before) / TAU);
      before = now;
      let moving = false;
      for (const mark of this._marks.values()) {
        const dx = mark.target.x - mark.now.x;
        const dy = mark.target.y - mark.now.y;
        const far = Math.abs(dx) + Math.abs(dy) > 0.3;
        mark.now.x += far ? part * dx : dx;
        mark.now.y += far ? part * dy : dy;
        moving ||= far && !still;
      }
      for (const { group, edge, now, above } of this._marks.values()) {
        group.setAttribute("transform", `translate(${now.x.toFixed(1)} ${now.y.toFixed(1)})`);
        if (!edge) continue;
        const middle = (above.now.y + now.y) / 2;
        edge.setAttribute(
          "d",
          `M${above.now.x.toFixed(1)} ${above.now.y.toFixed(1)}C${above.now.x.toFixed(1)} ` +
            `${middle.toFixed(1)} ${now.x.toFixed(1)} ${middle.toFixed(1)} ${now.x.toFixed(1)} ${now.y.toFixed(1)}`,
        );
      }
      this._frame = moving ? requestAnimationFrame(step) : 0;
    };
    this._frame = requestAnimationFrame(step);
  }

  _point(event, isFinal) {
    const box = this._svg.getBoundingClientRect();
    const at = { x: event.clientX - box.left, y: event.clientY - box.top };
    let nearest = null;
    let least = NEAR ** 2;
    for (const { node, now } of this._marks.values()) {
      const distance = (now.x - at.x) ** 2 + (now.y - at.y) ** 2;
      if (node.parent && distance < least) [nearest, least] = [node, distance];
    }
    if (isFinal && nearest) this._take(nearest);
    else this._onpick(nearest ?? this._picked, false);
  }

  _key(event) {
    const now = this._at;
    if (!now) return;
    const level = now.parent ? this._search.levels()[this._search.path(now).length - 1] : [now];
    const place = level.indexOf(now);
    const next = {
      ArrowUp: now.parent,
      ArrowDown: now.children[0],
      ArrowLeft: level[place - 1],
      ArrowRight: level[place + 1],
      Home: this._search.root,
      End: this._search.leader,
    }[event.key];
    if (next === undefined || next === null) return;
    event.preventDefault();
    this._take(next);
    this._marks.get(next).group.focus({ preventScroll: false });
  }

  _take(node) {
    const picked = node.parent ? node : null;
    this.pick(picked);
    if (!picked) this._offer(node);
    this._onpick(picked, true);
  }

  /** The one node that the Tab key reaches. */
  _offer(node) {
    this._marks.get(this._at)?.group.setAttribute("tabindex", -1);
    this._marks.get(node)?.group.setAttribute("tabindex", 0);
    this._at = node;
  }
}

function said(node, depth) {
  if (!node.parent) return "The question";
  const words = [`Step ${depth}: ${node.text.trim() || "a blank line"}`];
  words.push(node.reward === null ? "no reward" : `reward ${fraction(node.reward)}`);
  if (node.chosen) words.push("on the chosen path");
  else if (node.state !== "open") words.push(node.state);
  return words.join(", ");
}
