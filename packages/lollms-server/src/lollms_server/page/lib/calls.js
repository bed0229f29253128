// Calls of verbs: their events with the bytes that belong to them, and cancel, which reaches the engine.
import { addressOf, ask, bytesOf, eventsOf, part, Problem, problemIn, randomName, theKey } from "./api.js";
import { S } from "../strings.js";

const isFile = (value) => value instanceof Blob;

// What a verb is given, as JSON, or as a form where files are among it.
export function bodyOf(args) {
  const files = Object.entries(args).filter(([, value]) => isFile(value) || (Array.isArray(value) && value.some(isFile)));
  if (!files.length) return { json: { arguments: args } };
  const form = new FormData();
  const named = new Set(files.map(([name]) => name));
  form.append("arguments", JSON.stringify(Object.fromEntries(Object.entries(args).filter(([name]) => !named.has(name)))));
  for (const [name, value] of files) for (const file of [value].flat()) form.append(name, file, file.name || "recording");
  return { form };
}

export const bindingPath = (modality, name) => `lollms/v2/bindings/${part(modality)}/${part(name)}`;

/**
 * Call a verb; an async generator of its events: {type: "progress" | "item" | "result" | "done", value, payloads}.
 *
 * `payloads` are the bytes that the value names by number. Leaving the loop, or `signal`, cancels the call.
 */
export async function* call({ modality, name, verb, args, signal }) {
  const id = randomName();
  const ends = new AbortController();
  let over = false;
  const cancel = () => {
    if (over) return ends.abort();
    over = true;
    cancelCall(id).finally(() => ends.abort()); // the other way round it would be gone before it is named
  };
  if (signal?.aborted) throw new DOMException("", "AbortError");
  signal?.addEventListener("abort", cancel);
  try {
    const answer = await ask(`${bindingPath(modality, name)}/verbs/${part(verb)}`, {
      method: "POST", ...bodyOf(args), signal: ends.signal, headers: { accept: "text/event-stream", "x-request-id": id },
    });
    let payloads = [];
    for await (const event of eventsOf(answer)) {
      if (event.type === "payload") {
        (payloads[event.number] ??= []).push(bytesOf(event.data));
        continue;
      }
      if (event.type === "done" || event.type === "result") over = true;
      yield { ...event, payloads: payloads.map((parts) => new Blob(parts)) };
      payloads = [];
    }
    if (!over) throw new Problem(S.problem.cut, { code: "cut" });
  } catch (error) {
    over ||= error instanceof Problem && !["lost", "nonsense"].includes(error.code);
    throw problemIn(error);
  } finally {
    signal?.removeEventListener("abort", cancel);
    cancel();
  }
}

// Closing the connection cancels, too; a proxy in between may keep it open.
function cancelCall(id) {
  const key = theKey();
  return fetch(addressOf(`lollms/v2/calls/${part(id)}`), {
    method: "DELETE", credentials: "omit", keepalive: true, headers: key ? { authorization: `Bearer ${key}` } : {},
  }).catch(() => {});
}
