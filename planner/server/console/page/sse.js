// Server-sent events, read from a response as it comes (the format of the HTML standard, comments kept).

/** Yields {event, data, comment} for every event; `comment` holds the lines that begin with a colon. */
export async function* events(response) {
  let record = fresh();
  for await (const line of lines(response.body)) {
    if (line === "") {
      if (record.data.length || record.comment.length) yield closed(record);
      record = fresh();
    } else if (line.startsWith(":")) {
      record.comment.push(line.slice(1).replace(/^ /, ""));
    } else {
      const colon = line.indexOf(":");
      const name = colon < 0 ? line : line.slice(0, colon);
      const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
      if (name === "data") record.data.push(value);
      if (name === "event") record.event = value;
    }
  }
  if (record.data.length || record.comment.length) yield closed(record);
}

function fresh() {
  return { event: "message", data: [], comment: [] };
}

function closed(record) {
  return { event: record.event, data: record.data.join("\n"), comment: record.comment.join("\n") };
}

async function* lines(stream) {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  let held = "";
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) break;
      const found = (held + value).split(/\r?\n/);
      held = found.pop();
      yield* found;
    }
    if (held) yield held;
  } finally {
    await reader.cancel().catch(() => {});
  }
}
