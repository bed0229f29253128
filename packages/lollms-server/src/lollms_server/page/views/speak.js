// Speak: a text, a voice, the engine's own options; sound from the first chunk on.
import { isCancelled } from "../lib/api.js";
import { converted, nameOf, SOUNDS } from "../lib/files.js";
import { html, useEffect, useId, useRef, useState } from "../lib/html.js";
import { useKept } from "../lib/kept.js";
import { listsOf, useDescription, useVoices } from "../lib/models.js";
import { Signal, useSignal } from "../lib/signal.js";
import { Speech } from "../lib/speech.js";
import { tenths } from "../lib/time.js";
import { S, fill } from "../strings.js";
import { ModelChooser } from "../ui/choosers.js";
import { Downloads } from "../ui/downloads.js";
import { Field } from "../ui/field.js";
import { formArguments, Options, useFields } from "../ui/form.js";
import { Icon } from "../ui/icons.js";
import { ProblemBox } from "../ui/problem.js";
import { Spoken } from "../ui/spoken.js";
import { VoiceChooser } from "../ui/voices.js";
import { Waveform } from "../ui/waveform.js";

const IDLE = new Signal("idle");
const OURS = ["text", "voice", "timestamps", "output_format"]; // what the view itself says

export default function Speak() {
  const [text, setText] = useKept("speak.text", "");
  const [model, setModel] = useKept("speak.model", "");
  const [voice, setVoice] = useKept(`speak.voice.${model}`, "");
  const [typed, setTyped] = useKept(`speak.options.${model}`, {});
  const [light, setLight] = useKept("speak.light", true);
  const [speech, setSpeech] = useState(null);
  const [problem, setProblem] = useState(null);
  const about = useDescription("tts", model);
  const voices = useVoices("tts", model);
  const fields = useFields(about.value?.options_schema, OURS);
  const speed = fields.find((field) => field.name === "speed");
  const rest = fields.filter((field) => field !== speed);
  const tellsWords = about.value?.capabilities.timestamps?.includes("word");
  const last = useRef(null);
  useEffect(() => () => last.current?.close(), []);

  const speak = () => {
    if (!text.trim() || !about.value) return;
    last.current?.close();
    setProblem(null);
    try {
      const options = formArguments(fields, typed);
      if (tellsWords && light) options.timestamps = "word";
      last.current = new Speech({ name: model, text, voice, options });
      setSpeech(last.current);
      last.current.make();
    } catch (failed) {
      setProblem(failed);
    }
  };
  const key = (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) speak();
  };
  const id = useId();
  return html`
    <section class="view two">
      <header><h1>${S.speak.title}</h1><p class="lead">${S.speak.lead}</p></header>
      <div class="work">
        <div class="card">
          <label class="hidden" for=${id}>${S.speak.text}</label>
          <textarea id=${id} class="big" dir="auto" rows="7" value=${text} placeholder=${S.speak.placeholder} onKeyDown=${key}
            onInput=${(event) => setText(event.target.value)}></textarea>
          <div class="row">
            <${Go} speech=${speech} onGo=${speak} disabled=${!text.trim() || !about.value} />
            <span class="quiet grow end">${text.length > 0 && fill(S.speak.length, { count: text.length })}</span>
            <span class="quiet wide">${S.speak.shortcut}</span>
          </div>
        </div>
        <${ProblemBox} problem=${problem ?? about.problem ?? voices.problem} />
        ${speech ? html`<${Result} key=${speech} speech=${speech} />` : html`<div class="nothing">${S.speak.empty}</div>`}
      </div>
      <aside class="card settings">
        <${ModelChooser} modality="tts" value=${model} onChange=${setModel} />
        <${VoiceChooser} model=${model} voices=${voices.value} value=${voice} onChange=${setVoice} />
        ${speed && html`<${Field} field=${speed} typed=${typed.speed}
          onTyped=${(value) => setTyped((before) => ({ ...before, speed: value }))} />`}
        ${tellsWords && html`<div class="field kind-boolean"><label for=${`${id}-light`}>${S.speak.light}</label>
          <input id=${`${id}-light`} type="checkbox" class="switch" checked=${light} onChange=${(e) => setLight(e.target.checked)} />
          <p class="about">${S.speak.lightHint}</p></div>`}
        ${about.value && html`<${Options} fields=${rest} typed=${typed} onTyped=${setTyped} model=${model} lists=${listsOf(about.value)} />`}
      </aside>
    </section>
  `;
}

function Go({ speech, onGo, disabled }) {
  const state = useSignal(speech?.state ?? IDLE);
  if (state === "waiting" || state === "coming") {
    return html`<button class="stop" onClick=${() => speech.stop()}><${Icon} name="stop" />${S.act.stop}</button>`;
  }
  return html`<button class="main" onClick=${onGo} disabled=${disabled}><${Icon} name="speak" />${S.speak.go}</button>`;
}

function Result({ speech }) {
  const { player } = speech;
  const state = useSignal(speech.state);
  const playing = useSignal(player.playing);
  useSignal(player.changed);
  const told = [];
  if (speech.firstAfter !== null) told.push(fill(S.speak.first, { seconds: tenths(speech.firstAfter) }));
  if (state === "whole") told.push(fill(S.speak.made, { sound: tenths(player.duration), seconds: tenths(speech.wholeAfter) }));
  const doing = { waiting: S.speak.waiting, coming: S.speak.making, stopped: S.act.cancelled }[state];
  return html`
    <div class="card result" data-state=${state} aria-label=${S.speak.result} role="region">
      ${state === "failed" && !isCancelled(speech.problem) && html`<${ProblemBox} problem=${speech.problem} />`}
      ${player.duration > 0 && html`
        <div class="row player">
          <button class="round" onClick=${() => (playing ? player.pause() : player.play())}
            aria-label=${playing ? S.sound.pause : S.sound.play}><${Icon} name=${playing ? "pause" : "play"} /></button>
          <${Waveform} player=${player} />
        </div>
        <${Spoken} speech=${speech} />`}
      <p class="quiet" role="status">${doing && html`<span class=${state === "stopped" ? "" : "busy"}>${doing}</span> `}${told.join(" · ")}</p>
      ${player.duration > 0 && state !== "coming" && html`<${Downloads} formats=${SOUNDS}
        make=${(format) => converted(player.wav(), format)} name=${(format) => nameOf(speech.request.text, format)} />`}
    </div>
  `;
}
