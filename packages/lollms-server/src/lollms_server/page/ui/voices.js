// A voice from the model's list, and a sample of it.
import { html, useEffect, useId, useRef, useState } from "../lib/html.js";
import { Signal, useSignal } from "../lib/signal.js";
import { Speech } from "../lib/speech.js";
import { S } from "../strings.js";
import { Icon } from "./icons.js";
import { ProblemBox } from "./problem.js";

const IDLE = new Signal("idle"), SILENT = new Signal(false);

export function VoiceChooser({ model, voices, value, onChange }) {
  const id = useId();
  const known = voices ?? [];
  const chosen = known.find((row) => row.id === value);
  if (!known.length) return null;
  return html`
    <div class="field">
      <label for=${id}>${S.speak.voice}</label>
      <div class="row tight">
        <select id=${id} class="grow" value=${chosen ? value : ""} onChange=${(event) => onChange(event.target.value)}>
          <option value="">${S.speak.voiceDefault}</option>
          ${known.map((row) => html`<option key=${row.id} value=${row.id}>${shown(row)}</option>`)}
        </select>
        <${Sample} key=${`${model}/${value}`} model=${model} voice=${chosen ?? known.find((row) => row.default)} />
      </div>
    </div>
  `;
}

const shown = (row) => [row.name, row.language, row.own ? S.speak.own : ""].filter(Boolean).join(" · ");

function Sample({ model, voice }) {
  const [speech, setSpeech] = useState(null);
  const last = useRef(null);
  const state = useSignal(speech?.state ?? IDLE);
  const playing = useSignal(speech?.player.playing ?? SILENT);
  useEffect(() => () => last.current?.close(), []);
  const runs = state === "waiting" || state === "coming" || playing;
  const act = () => {
    if (runs) return speech.stop();
    last.current?.close();
    const language = String(voice?.language || "en").slice(0, 2).toLowerCase();
    const text = S.speak.samples[language] ?? S.speak.samples.en;
    last.current = new Speech({ name: model, text, voice: voice?.id ?? "", options: {} });
    setSpeech(last.current);
    last.current.make();
  };
  const label = runs ? S.speak.sampling : S.speak.sample;
  return html`
    <button class="square" onClick=${act} aria-label=${label} title=${label} data-state=${state}>
      <${Icon} name=${runs ? "stop" : "play"} /></button>
    ${state === "failed" && html`<${ProblemBox} problem=${speech.problem} />`}
  `;
}
