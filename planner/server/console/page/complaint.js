// Where a view says what went wrong. That a server asks for a key is nothing wrong, and is not shown as if.

/** Shows an error in a paragraph; none with null. `more`: classes beside. */
export function complain(place, error, more = "note") {
  const isGreeting = error?.isGreeting === true;
  place.hidden = !error;
  place.textContent = error?.message ?? "";
  place.className = [more, !error || isGreeting ? "" : more ? "error" : "bad"].filter(Boolean).join(" ");
}
