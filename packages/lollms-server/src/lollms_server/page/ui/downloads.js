// Buttons that save something in each of several formats.
import { html, useState } from "../lib/html.js";
import { save } from "../lib/files.js";
import { S, fill } from "../strings.js";
import { Icon } from "./icons.js";
import { ProblemBox } from "./problem.js";

/** `make(format)` gives the Blob, perhaps later; `name(format)` what its file is called. */
export function Downloads({ formats, make, name, disabled = false }) {
  const [busy, setBusy] = useState("");
  const [problem, setProblem] = useState(null);
  const get = async (format) => {
    setBusy(format);
    setProblem(null);
    try {
      save(await make(format), name(format));
    } catch (failed) {
      setProblem(failed);
    }
    setBusy("");
  };
  return html`
    <div class="downloads">
      <${Icon} name="download" /><span class="quiet">${S.act.download}</span>
      ${formats.map(
        (format) => html`<button key=${format} class="chip" disabled=${disabled || Boolean(busy)} onClick=${() => get(format)}
          aria-label=${`${S.act.download} ${format}`} aria-busy=${busy === format}>${format}</button>`,
      )}
      ${busy && html`<span class="quiet" role="status">${fill(S.sound.converting, { format: busy })}</span>`}
      <${ProblemBox} problem=${problem} onClose=${() => setProblem(null)} />
    </div>
  `;
}
