// This browser's results, in IndexedDB: at most so many bytes, of which the oldest go first. Nothing of it leaves the browser.
import { Signal } from "./signal.js";

const MOST = 200_000_000; // bytes
const NAME = "lollms", STORE = "results";

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
    asked.onsuccess = () => have(asked.result);
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

/** Keep {modality, name, verb, title, args, provenance, blob, at}; gives how many older ones had to go. */
export async function keepResult(result) {
  if (result.blob.size > MOST) return { kept: false, gone: 0 };
  let gone = 0;
  await within("readwrite", (store) => {
    const asked = store.getAll();
    asked.onsuccess = () => {
      let room = MOST - result.blob.size;
      for (const row of asked.result.reverse()) {
        room -= row.blob.size;
        if (room >= 0) continue;
        store.delete(row.id);
        gone += 1;
      }
      store.add(result);
    };
  });
  tell();
  return { kept: true, gone };
}

/** Those of some modalities, the newest first. */
export const results = (modalities) =>
  within("readonly", (store, give) => {
    const asked = store.getAll();
    asked.onsuccess = () => give(asked.result.filter((row) => modalities.includes(row.modality)).reverse());
  });

export async function forget(id) {
  await within("readwrite", (store) => store.delete(id));
  tell();
}

export async function forgetAll() {
  await within("readwrite", (store) => store.clear());
  tell();
}
