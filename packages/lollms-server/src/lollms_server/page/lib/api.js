// The server, by its own surface (/lollms/v2): JSON, events of a call, cancel, and errors with their mend.
import { connection } from "./connection.js";
import { Signal } from "./signal.js";
import { S, fill } from "../strings.js";

const ROOT = new URL("../../../", import.meta.url); // page/DIGEST/lib/api.js
const KEY = "lollms.key";

// Whether a key is asked for: null, or the problem that says why.
export const wanted = new Signal(null);

export function theKey() {
  try {
    return sessionStorage.getItem(KEY) ?? "";
  } catch {
    return heldKey;
  }
}

let heldKey = "";

export function useKey(key) {
  heldKey = key;
  try {
    if (key) sessionStorage.setItem(KEY, key);
    else sessionStorage.removeItem(KEY);
  } catch {
    // For as long as the page is open, then.
  }
  wanted.set(null);
}

// An error in words for people.
export class Problem extends Error {
  constructor(message, { hint = "", code = "", param = null, status = 0, retryAfter = null } = {}) {
    super(message);
    Object.assign(this, { hint, code, param, status, retryAfter });
  }

  static of(error, status = 0, retryAfter = null) {
    const fields = error?.lollms?.fields;
    return new Problem(String(fields?.message ?? error?.message ?? S.problem.unknown), {
      hint: String(fields?.hint ?? ""), code: String(error?.code ?? ""), param: error?.param ?? null, status, retryAfter,
    });
  }
}

// Of what went wrong, what people are told: an answer that makes no sense breaks whoever reads it, in ways of its own.
export function problemIn(error) {
  if (error instanceof Problem || isCancelled(error)) return error;
  console.error(error);
  return new Problem(S.problem.nonsense, { hint: S.problem.nonsenseHint, code: "nonsense" });
}

// How often the server did not know what it was asked for: what it serves is not what the page shows.
export const unknown = new Signal(0);

export const isCancelled = (error) => error?.name === "AbortError" || error?.code === "cancelled";

export function addressOf(path) {
  return new URL(path.replace(/^\//, ""), ROOT);
}

// A part of a path: a name may hold a slash.
export const part = (name) => encodeURIComponent(name);

// Ask; gives the Response of a good answer.
export async function ask(path, { method = "GET", json, form, headers = {}, signal } = {}) {
  const given = { ...headers };
  const key = theKey();
  if (key) given.authorization = `Bearer ${key}`;
  if (json !== undefined) given["content-type"] = "application/json";
  let answer;
  try {
    answer = await fetch(addressOf(path), {
      method, headers: given, body: form ?? (json === undefined ? undefined : JSON.stringify(json)), signal,
      credentials: "omit", cache: "no-store", referrerPolicy: "no-referrer",
    });
  } catch (error) {
    if (isCancelled(error)) throw error;
    connection.lost();
    throw lostProblem();
  }
  connection.there();
  if (answer.ok) return answer;
  throw await problemOf(answer);
}

function lostProblem() {
  return new Problem(S.problem.lost, { hint: S.problem.lostHint, code: "lost" });
}

async function problemOf(answer) {
  let told = null;
  try {
    told = (await answer.json())?.error;
  } catch {
    // A proxy's page, perhaps.
  }
  const again = Number(answer.headers.get("retry-after")) || null;
  const problem = told
    ? Problem.of(told, answer.status, again)
    : new Problem(fill(S.problem.status, { status: answer.status }), { status: answer.status });
  if (again && !problem.hint) problem.hint = fill(S.problem.again, { seconds: again });
  if (answer.status === 401) wanted.set(problem);
  if (answer.status === 404) unknown.set(unknown.value + 1);
  return problem;
}

export const get = async (path, more) => told(await ask(path, more));
export const send = async (method, path, json) => told(await ask(path, { method, json }));

// The rows of a list.
export const list = async (path) => {
  const { data } = await get(path);
  if (!Array.isArray(data)) throw problemIn(new TypeError(`${path}: no list`));
  return data.filter((row) => row && typeof row === "object");
};

// An answer's JSON, which is an object.
export async function told(answer) {
  let value;
  try {
    value = JSON.parse(await whole(answer.text()));
  } catch (error) {
    if (error instanceof SyntaxError) throw problemIn(error);
    throw error;
  }
  if (!value || typeof value !== "object") throw problemIn(new TypeError("no object"));
  return value;
}

// An answer's file.
export const blobOf = (answer) => whole(answer.blob());

// What an answer holds, unless it ended before its end.
async function whole(body) {
  try {
    return await body;
  } catch (error) {
    if (isCancelled(error)) throw error;
    connection.lost();
    throw lostProblem();
  }
}

// The events of an answer: {type, ...}, as they come. One that is an error is thrown.
export async function* eventsOf(answer) {
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (;;) {
      const step = await whole(reader.read());
      if (step.done) return;
      const events = (rest + step.value).split("\n\n");
      rest = events.pop();
      for (const event of events) {
        if (!event.startsWith("data: ")) continue; // a ping
        const told = parsed(event.slice(6));
        if (told.error) throw Problem.of(told.error);
        yield told;
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

function parsed(text) {
  try {
    const told = JSON.parse(text);
    if (told && typeof told === "object") return told;
  } catch {
    // It is none.
  }
  throw problemIn(new TypeError(`no event: ${text.slice(0, 200)}`));
}

// A name that nobody guesses; randomUUID is there for https alone.
export const randomName = () => `page-${crypto.getRandomValues(new Uint32Array(4)).join("-")}`;

export function bytesOf(base64) {
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}
