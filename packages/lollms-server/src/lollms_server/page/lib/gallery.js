// This browser's results, in IndexedDB: at most so many bytes, of which the oldest go first. Nothing of it leaves the browser.
// What cannot be kept there is shown with the rest until the page is left.
import { Signal } from "./signal.js";

const MOST = 200_000_000; // bytes
const NAME = "lollms", STORE = "results";
const loose = []; // the newest first; their ids are below zero
let last = 0;

export const changed = new Signal(0); // in this tab, or in another of this browser's
const others = "BroadcastChannel" in globalThis ? new BroadcastChannel("lollms.gallery") : null;
if (others) others.onmessage = () => changed.set(changed.value + 1);

function tell() {
  changed.set(changed.value + 1);
  others?.postMessage("changed");
}

let opened = null;

function database() {
  opened ??= new Promise((have, fail) => {
    const asked = indexedDB.open(NAME, 1);
    asked.onupgradeneeded = () => asked.result.createObjectStore(STORE, { keyPath: "id", autoIncrement: true });
    asked.onsuccess = () => {
      asked.result.onclose = () => (opened = null); // the browser was told to forget it
      asked.result.onversionchange = () => asked.result.close();
      have(asked.result);
    };
    asked.onerror = () => fail(asked.error);
  });
  opened.catch(() => (opened = null));
  return opened;
}

async function within(mode, act) {
  const db = await database();
  return new Promise((have, fail) => {
    const transaction = db.transaction(STORE, mode);
    let value;
    act(transaction.objectStore(STORE), (result) => (value = result));
    transaction.oncomplete = () => have(value);
    transaction.onabort = () => fail(transaction.error);
  });
}

/**
 * Keep {modality, name, verb, title, args, provenance, blob, at}; gives how many older ones had to `go`, and `why` it is
 * not kept: "large", "shut" (the browser keeps nothing, or nothing more) or null.
 */
export async function keepResult(result) {
  let gone = 0;
  try {
    if (result.blob.size <= MOST) gone = await add(result);
    else loosely(result);
    tell();
    return { gone, why: result.blob.size > MOST ? "large" : null };
  } catch {
    loosely(result);
    tell();
    return { gone: 0, why: "shut" };
  }
}

const loosely = (result) => loose.unshift({ ...result, id: (last -= 1) });

const add = (result) =>
  within("readwrite", (store, give) => {
    const asked = store.getAll();
    asked.onsuccess = () => {
      let room = MOST - result.blob.size, gone = 0;
      for (const row of asked.result.reverse()) {
        room -= row.blob?.size ?? 0;
        if (room >= 0) continue;
        store.delete(row.id);
        gone += 1;
      }
      try {
        store.add(result);
      } catch {
        store.transaction.abort(); // nothing goes for what is not kept
      }
      give(gone);
    };
  });

const readable = (row) => row.blob instanceof Blob && typeof row.title === "string" && row.args;

/** Those of some modalities, the newest first. */
export async function results(modalities) {
  const held = await within("readonly", (store, give) => {
    const asked = store.getAll();
    asked.onsuccess = () => give(asked.result.reverse());
  }).catch(() => []);
  return [...loose, ...held].filter((row) => modalities.includes(row.modality) && readable(row));
}

export async function forget(id) {
  const at = loose.findIndex((row) => row.id === id);
  if (at >= 0) loose.splice(at, 1);
  else await within("readwrite", (store) => store.delete(id));
  tell();
}

export async function forgetAll() {
  loose.length = 0;
  await within("readwrite", (store) => store.clear()).catch(() => {});
  tell();
}
