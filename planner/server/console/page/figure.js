// Figures as people read them: few digits, a unit, and a dash where nothing is known.

const NONE = "–";
const SPACE = "\u00a0";
const wholes = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });

function known(value) {
  return typeof value === "number" && Number.isFinite(value);
}

/** 0.371 -> "37%"; shares that are neither none nor all never look so. */
export function percent(share) {
  if (!known(share)) return NONE;
  if (share > 0 && share < 0.005) return "<1%";
  if (share < 1 && share >= 0.995) return ">99%";
  return `${Math.round(100 * share)}%`;
}

/** 0.054 -> "+5.4 points". */
export function points(difference) {
  if (!known(difference)) return NONE;
  return `${signed(100 * difference, 1)}${SPACE}points`;
}

function signed(value, digits) {
  const text = Math.abs(value).toFixed(digits);
  return Number(text) === 0 ? text : `${value < 0 ? "−" : "+"}${text}`;
}

/** 12345.6 -> "12,346". */
export function count(value) {
  return known(value) ? wholes.format(value) : NONE;
}

export function tokens(value) {
  return known(value) ? `${count(value)}${SPACE}${Math.round(value) === 1 ? "token" : "tokens"}` : NONE;
}

/** 331872292 -> "332 MFLOPs". */
export function flops(value) {
  if (!known(value)) return NONE;
  return `${prefixed(value)}FLOPs`;
}

function prefixed(value) {
  for (const [size, prefix] of [
    [1e18, "E"],
    [1e15, "P"],
    [1e12, "T"],
    [1e9, "G"],
    [1e6, "M"],
    [1e3, "k"],
  ]) {
    if (Math.abs(value) >= size) return `${precise(value / size, 3)}${SPACE}${prefix}`;
  }
  return `${precise(value, 3)}${SPACE}`;
}

/** 0.0834 -> "83 ms", 2.5 -> "2.5 s", 320 -> "5 min 20 s", 5400 -> "1 h 30 min". */
export function seconds(value) {
  if (!known(value)) return NONE;
  if (value < 0.9995) return `${count(1000 * value)}${SPACE}ms`;
  if (value < 120) return `${precise(value, value < 100 ? 2 : 3)}${SPACE}s`;
  const [whole, part, names] =
    value < 3600
      ? [Math.floor(value / 60), Math.floor(value % 60), ["min", "s"]]
      : [Math.floor(value / 3600), Math.floor((value % 3600) / 60), ["h", "min"]];
  return `${count(whole)}${SPACE}${names[0]}${part ? ` ${part}${SPACE}${names[1]}` : ""}`;
}

export function usd(value) {
  if (!known(value)) return NONE;
  if (value === 0) return "$0";
  return value >= 0.995 ? `$${value.toFixed(2)}` : `$${precise(value, 2)}`;
}

/** Two digits behind the point: rewards, shares of votes. */
export function fraction(value) {
  return known(value) ? value.toFixed(2) : NONE;
}

/** So many significant digits, never as a power of ten. */
export function precise(value, digits) {
  if (!known(value)) return NONE;
  return new Intl.NumberFormat("en-US", { maximumSignificantDigits: digits }).format(value);
}

/** A moment, from seconds since the epoch. */
export function moment(epoch) {
  if (!known(epoch)) return NONE;
  return new Date(1000 * epoch).toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "medium" });
}

/** "12 s ago"; beyond a day, the date. */
export function ago(epoch, now = Date.now() / 1000) {
  if (!known(epoch)) return NONE;
  const past = Math.max(0, now - epoch);
  if (past < 60) return `${Math.round(past)}${SPACE}s ago`;
  if (past < 3600) return `${Math.round(past / 60)}${SPACE}min ago`;
  if (past < 86400) return `${Math.round(past / 3600)}${SPACE}h ago`;
  return new Date(1000 * epoch).toLocaleDateString("en-GB", { dateStyle: "medium" });
}

/** What a request may spend, in words: {tokens: 800, seconds: 2} -> "800 tokens, 2 s". */
export function allowance(budget) {
  const words = {
    samples: (n) => `${count(n)}${SPACE}${n === 1 ? "sample" : "samples"}`,
    tokens,
    flops,
    seconds,
    usd,
    target_accuracy: (share) => `${percent(share)} right`,
  };
  const parts = Object.entries(budget ?? {})
    .filter(([name, value]) => name in words && known(value))
    .map(([name, value]) => words[name](value));
  return parts.length ? parts.join(", ") : NONE;
}
