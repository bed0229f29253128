// Whether the server can be reached. Once it was lost, it is looked for until it is back.
import { Signal } from "./signal.js";

const HEALTH = new URL("../../../health", import.meta.url);
const FIRST = 500, LONGEST = 8000; // milliseconds between two looks

export const reachable = new Signal(true);
export const returned = new Signal(0); // how often it came back: views ask anew what they show

let timer = 0;

async function look(wait) {
  timer = 0;
  try {
    if ((await fetch(HEALTH, { cache: "no-store", credentials: "omit" })).ok) return connection.there();
  } catch {
    // Not yet.
  }
  if (!reachable.value) later(Math.min(wait * 2, LONGEST));
}

function later(wait) {
  if (!timer) timer = setTimeout(() => look(wait), wait);
}

export const connection = {
  lost() {
    reachable.set(false);
    later(FIRST);
  },
  there() {
    if (reachable.value) return;
    clearTimeout(timer);
    timer = 0;
    reachable.set(true);
    returned.set(returned.value + 1);
  },
};

// Until the server can be reached, or `signal` says that nobody waits any more.
export const whenThere = (signal) =>
  new Promise((done) => {
    if (reachable.value || signal?.aborted) return done();
    const leave = reachable.follow((there) => there && end());
    const end = () => {
      leave();
      signal?.removeEventListener("abort", end);
      done();
    };
    signal?.addEventListener("abort", end);
  });

addEventListener("online", () => {
  if (reachable.value) return;
  clearTimeout(timer);
  look(FIRST);
});
addEventListener("offline", () => look(FIRST)); // loopback is there all the same
