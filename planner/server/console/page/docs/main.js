// The page of the API: reads the server's own OpenAPI document and shows every operation by its tag.

import { get } from "../api.js";
import { element, fill } from "../element.js";
import { themeButton } from "../theme.js";
import { read } from "./document.js";
import { operation } from "./operation.js";
import { prose } from "./prose.js";

const place = document.getElementById("view");

function page(api) {
  return [
    element(
      "div",
      { class: "heading" },
      element("h1", {}, "API"),
      element(
        "span",
        { class: "soft small" },
        `${api.title} ${api.version} · `,
        element("a", { href: "openapi.json" }, "openapi.json"),
      ),
    ),
    element(
      "p",
      { class: "lead" },
      ...prose(api.description),
      " Clients of OpenAI take the base URL ",
      element("code", {}, new URL("v1", document.baseURI).href),
      "; where the server wants a key, it goes into ",
      element("code", {}, "PLANNER_KEY"),
      " for the commands below.",
    ),
    element("div", { class: "docs" }, contents(api.groups), element("div", {}, ...api.groups.map(group))),
  ];
}

function contents(groups) {
  return element(
    "nav",
    { class: "contents", "aria-label": "Operations" },
    ...groups.map(({ name, operations }) =>
      element(
        "div",
        {},
        element("p", { class: "label" }, name),
        element(
          "ul",
          {},
          ...operations.map((one) =>
            element(
              "li",
              {},
              element(
                "a",
                { href: `#${one.id}` },
                element("span", { class: `method ${one.method}` }, one.method),
                " ",
                element("span", { class: "mono" }, one.path),
              ),
            ),
          ),
        ),
      ),
    ),
  );
}

function group({ name, operations }) {
  return element("section", { "aria-label": name }, element("h2", {}, name), ...operations.map(operation));
}

async function show() {
  try {
    fill(place, ...page(read(await get("openapi.json"))));
  } catch (error) {
    fill(place, element("p", { class: "note error", role: "alert" }, error.message));
    return;
  }
  document.getElementById(location.hash.slice(1))?.scrollIntoView(); // it was not there when the page came
}

themeButton(document.getElementById("theme"));
show();
