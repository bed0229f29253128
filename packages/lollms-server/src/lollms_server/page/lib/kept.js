// What survives a reload. It is the tab's own (sessionStorage), so that two tabs do not disturb each other.
import { useCallback, useMemo, useState } from "./html.js";

const LARGEST = 1_000_000; // characters of one value; what is longer is not kept

export function readKept(name, otherwise) {
  try {
    const held = sessionStorage.getItem(`lollms.${name}`);
    return held === null ? otherwise : sound(JSON.parse(held), otherwise);
  } catch {
    return otherwise; // storage is shut, or holds what is none of ours
  }
}

// What is kept may be another version's, or anybody's who has the console: of another kind it is none.
const kindOf = (value) => (Array.isArray(value) ? "list" : typeof value);
const sound = (held, otherwise) => (otherwise === null || (held !== null && kindOf(held) === kindOf(otherwise)) ? held : otherwise);

export function keep(name, value) {
  try {
    const text = JSON.stringify(value);
    if (value === undefined || text.length > LARGEST) sessionStorage.removeItem(`lollms.${name}`);
    else sessionStorage.setItem(`lollms.${name}`, text);
  } catch {
    // Full or shut: the page works on, and forgets.
  }
}

// As useState, kept under a name. Another name is another value.
export function useKept(name, otherwise) {
  const read = useMemo(() => ({ name, value: readKept(name, otherwise) }), [name]);
  const [changed, setHeld] = useState(read);
  const value = changed.name === name ? changed.value : read.value;
  const set = useCallback(
    (next) =>
      setHeld((before) => {
        const old = before.name === name ? before.value : readKept(name, otherwise);
        const now = typeof next === "function" ? next(old) : next;
        keep(name, now);
        return { name, value: now };
      }),
    [name],
  );
  return [value, set];
}
