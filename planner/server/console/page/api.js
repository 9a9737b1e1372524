// Requests to the server that this page came from. Knows addresses and errors, no view: that a key is wanted it
// tells the document, as the event `unauthorized`.

import { apiKey } from "./key.js";

/** A refusal or a failure, in the server's words. `status` is 0 where there was no answer at all. */
export class ApiError extends Error {
  constructor(message, status, code = null) {
    super(message);
    this.name = "ApiError";
    this.status = status;
    this.code = code;
  }

  /** Whether nothing is wrong: the server only asks who is there. */
  get isGreeting() {
    return this.code === GREETING;
  }
}

const GREETING = "key_wanted";

/** GET, as JSON. `query`: pairs whose value is null or "" are left out. */
export async function get(path, query = {}, options = {}) {
  return await json(await ask(queried(path, query), options));
}

/** GET, as a file that is saved under this name. */
export async function save(path, query, name) {
  const response = await ask(queried(path, query), {});
  const place = URL.createObjectURL(await response.blob());
  const link = document.createElement("a");
  link.href = place;
  link.download = name;
  link.click();
  URL.revokeObjectURL(place);
}

/** POST of JSON, as JSON. */
export async function post(path, body, options = {}) {
  return await json(await send(path, body, options));
}

/** POST of JSON whose answer is read as it comes. */
export async function send(path, body, options = {}) {
  return await ask(address(path), {
    ...options,
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
}

function queried(path, query) {
  const url = address(path);
  for (const [name, value] of Object.entries(query)) {
    if (value !== null && value !== undefined && value !== "") url.searchParams.set(name, String(value));
  }
  return url;
}

function address(path) {
  return new URL(path, document.baseURI.split("#")[0]);
}

async function ask(url, options) {
  const headers = new Headers(options.headers);
  const key = apiKey();
  if (key) headers.set("authorization", `Bearer ${key}`);
  let response;
  try {
    response = await fetch(url, {
      ...options,
      headers,
      credentials: "omit",
      cache: "no-store",
      redirect: "error",
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    if (key && !/^[\x21-\x7e]+$/.test(key))
      throw new ApiError("A key has printable ASCII characters only.", 0);
    throw new ApiError("The server does not answer.", 0);
  }
  if (!response.ok) {
    const said = await refusal(response);
    if (said.status !== 401) throw said;
    const wanted = key ? said : new ApiError("This server asks for an API key.", 401, GREETING);
    document.dispatchEvent(new CustomEvent("unauthorized", { detail: wanted }));
    throw wanted;
  }
  return response;
}

async function json(response) {
  try {
    return await response.json();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError("The server's answer is not JSON.", response.status);
  }
}

async function refusal(response) {
  let said = null;
  try {
    said = (await response.json()).error;
  } catch {
    // a proxy's page, say
  }
  const after = response.headers.get("retry-after");
  const wait = response.status === 429 && after ? `; try again in ${after} s` : "";
  const message =
    typeof said?.message === "string" ? said.message : `The server answered ${response.status}.`;
  return new ApiError(message + wait, response.status, said?.code ?? null);
}
