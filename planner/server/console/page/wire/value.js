// Values of JSON that nobody has checked: what is not of its kind becomes null, "" or an empty list, so that no view
// need ask again.

export function list(said) {
  return Array.isArray(said) ? said.filter((one) => one !== null && one !== undefined) : [];
}

export function number(said) {
  return typeof said === "number" && Number.isFinite(said) ? said : null;
}

export function text(said) {
  return said === null || said === undefined ? "" : String(said);
}

export function parsed(said) {
  try {
    const value = JSON.parse(said);
    return value !== null && typeof value === "object" ? value : null;
  } catch {
    return null;
  }
}
