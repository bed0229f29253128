// Asks for the key. It is sent in a header, never in an address, and kept for the tab.
import { theKey, useKey } from "../lib/api.js";
import { html, useEffect, useRef, useState } from "../lib/html.js";
import { loadModels } from "../lib/models.js";
import { S } from "../strings.js";

export function KeyDialog({ problem, onClose, onUsed }) {
  const dialog = useRef();
  const [typed, setTyped] = useState("");
  useEffect(() => dialog.current.showModal(), []);
  const use = (key) => {
    useKey(key);
    dialog.current.close();
    onUsed();
    loadModels();
  };
  return html`
    <dialog ref=${dialog} aria-labelledby="key-title" onCancel=${(event) => (onClose ? onClose() : event.preventDefault())}>
      <form method="dialog" onSubmit=${(event) => { event.preventDefault(); if (typed.trim()) use(typed.trim()); }}>
        <h2 id="key-title">${S.key.title}</h2>
        <p>${S.key.why}</p>
        ${problem && theKey() && html`<p class="mend" role="alert">${S.key.refused}</p>`}
        <div class="field">
          <label for="key">${S.key.label}</label>
          <input id="key" type="password" autocomplete="off" spellcheck=${false} value=${typed}
            onInput=${(event) => setTyped(event.target.value)} />
        </div>
        <div class="row end">
          ${theKey() && html`<button type="button" class="plain" onClick=${() => use("")}>${S.key.forget}</button>`}
          ${onClose && html`<button type="button" class="plain" onClick=${onClose}>${S.problem.close}</button>`}
          <button class="main" disabled=${!typed.trim()}>${S.key.use}</button>
        </div>
      </form>
    </dialog>
  `;
}
