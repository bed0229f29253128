// Which model answers, and with which of its own models.
import { html, useId, useLayoutEffect, useState } from "../lib/html.js";
import { useModels } from "../lib/models.js";
import { S, fill } from "../strings.js";

const INSTALL = { tts: "lollms install piper", stt: "lollms install faster-whisper", tti: "lollms install diffusers", ttm: "lollms install bark", ttv: "lollms install diffusers" };
// What is taken first where nothing was chosen; the example binding is none that anybody wants.
const RANK = ["piper", "faster_whisper", "diffusers", "bark"];

const rank = (row) => (RANK.includes(row.binding) ? 0 : row.binding === "example" ? 2 : 1);

export function useRows(modality) {
  const { rows } = useModels();
  return rows && rows.filter((row) => row.modality === modality);
}

/** `value` is a model's name; where it is none of those served, `onChange` gets one that is. */
export function ModelChooser({ modality, value, onChange, label = S.model.label, skip = 0 }) {
  const id = useId();
  const [gone, setGone] = useState("");
  const rows = useRows(modality);
  const known = rows?.some((row) => row.name === value);
  useLayoutEffect(() => {
    if (!rows?.length || known) return;
    setGone(value);
    const best = [...rows].sort((a, b) => rank(a) - rank(b));
    onChange(best[Math.min(skip, best.length - 1)].name);
  }, [rows, known]);
  if (!rows) return html`<p class="quiet" aria-busy="true">${S.model.loading}</p>`;
  if (!rows.length) {
    return html`<div class="nothing"><p>${S.model.none}</p><p class="quiet">${fill(S.model.noneHint, { command: INSTALL[modality] })}</p></div>`;
  }
  return html`
    <div class="field">
      <label for=${id}>${label}</label>
      <select id=${id} value=${value} onChange=${(event) => { setGone(""); onChange(event.target.value); }}>
        ${rows.map((row) => html`<option key=${row.name} value=${row.name}>${row.name}</option>`)}
      </select>
      ${gone && html`<p class="about" role="status" dir="auto">${fill(S.model.gone, { name: gone })}</p>`}
    </div>
  `;
}

/** One of the model's own models, where it has several; "" is its default. */
export function OwnModel({ models, value, onChange }) {
  const id = useId();
  if (!models || models.length < 2) return null;
  return html`
    <div class="field">
      <label for=${id}>${S.model.own}</label>
      <select id=${id} value=${models.includes(value) ? value : ""} onChange=${(event) => onChange(event.target.value)}>
        <option value="">${S.model.ownDefault}</option>
        ${models.map((name) => html`<option key=${name} value=${name}>${name}</option>`)}
      </select>
    </div>
  `;
}
