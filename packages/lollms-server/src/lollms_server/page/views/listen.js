// Listen: a recording in, its transcript out, to be heard, mended and saved.
import { isCancelled } from "../lib/api.js";
import { nameOf, save } from "../lib/files.js";
import { html, useEffect, useId, useRef, useState } from "../lib/html.js";
import { useKept } from "../lib/kept.js";
import { Live } from "../lib/live.js";
import { Listening } from "../lib/listening.js";
import { listsOf, useDescription } from "../lib/models.js";
import { Signal, useSignal } from "../lib/signal.js";
import { clock, tenths } from "../lib/time.js";
import { FORMATS } from "../lib/transcripts.js";
import { S, fill } from "../strings.js";
import { ModelChooser, OwnModel } from "../ui/choosers.js";
import { Downloads } from "../ui/downloads.js";
import { formArguments, Options, useFields } from "../ui/form.js";
import { Icon } from "../ui/icons.js";
import { ProblemBox } from "../ui/problem.js";
import { sizeOf, Source } from "../ui/source.js";
import { Transcript } from "../ui/transcript.js";

const OURS = ["audio_path", "model", "timestamps", "diarize", "num_speakers", "known_speakers"];
const IDLE = new Signal("idle"), NONE = new Signal(null), NOTHING = new Signal([]);

export default function Listen({ shown }) {
  const [model, setModel] = useKept("listen.model", "");
  const [own, setOwn] = useKept(`listen.own.${model}`, "");
  const [typed, setTyped] = useKept(`listen.options.${model}`, {});
  const [speakers, setSpeakers] = useKept("listen.speakers", false);
  const [kept, setKept] = useKept("listen.kept", null); // {name, segments}
  const [file, setFile] = useState(null);
  const [listening, setListening] = useState(null);
  const [problem, setProblem] = useState(null);
  const about = useDescription("stt", model);
  const state = useSignal(listening?.state ?? IDLE);
  const coming = useSignal(listening?.segments ?? NOTHING);
  const runs = state === "waiting" || state === "coming";
  const fields = useFields(about.value?.options_schema, OURS);
  const tellsSpeakers = about.value?.verbs.stream_transcript?.common?.includes("diarize");
  const id = useId();

  const hear = (recording) => {
    setFile(recording);
    setProblem(null);
    if (!about.value) return;
    try {
      const options = { ...formArguments(fields, typed), ...timesOf(about.value) };
      if (tellsSpeakers && speakers) options.diarize = true;
      const made = new Listening({ name: model, file: recording, model: own, options });
      setKept(null);
      setListening(made);
      made.make().then(() => setKept({ name: recording.name, segments: made.segments.value }));
    } catch (failed) {
      setProblem(failed);
    }
  };
  const live = () => new Live({ name: model, options: textsOf(formArguments(fields, typed)) });
  const segments = kept?.segments ?? coming;
  return html`
    <section class="view two">
      <header><h1>${S.listen.title}</h1><p class="lead">${S.listen.lead}</p></header>
      <div class="work">
        <${Source} file=${file} onFile=${hear} shown=${shown} disabled=${runs || !about.value} live=${live} />
        <${ProblemBox} problem=${problem ?? about.problem} />
        ${listening || kept
          ? html`<${Result} ...${{ listening, kept, segments, runs, state, file }} onChange=${(now) => setKept({ ...kept, segments: now })}
              onAgain=${file && !runs ? () => hear(file) : null} />`
          : html`<div class="nothing">${S.listen.empty}</div>`}
      </div>
      <aside class="card settings">
        <${ModelChooser} modality="stt" value=${model} onChange=${setModel} />
        <${OwnModel} models=${about.value?.models} value=${own} onChange=${setOwn} />
        ${tellsSpeakers && html`<div class="field kind-boolean"><label for=${id}>${S.listen.speakers}</label>
          <input id=${id} type="checkbox" class="switch" checked=${speakers} onChange=${(e) => setSpeakers(e.target.checked)} />
          <p class="about">${S.listen.speakersHint}</p></div>`}
        ${about.value && html`<${Options} fields=${fields} typed=${typed} onTyped=${setTyped} model=${model} lists=${listsOf(about.value)} />`}
      </aside>
    </section>
  `;
}

// No files: what is said live is told to the server in JSON.
const textsOf = (options) => Object.fromEntries(Object.entries(options).filter(([, value]) => ![value].flat().some((one) => one instanceof Blob)));

// The finest times that the engine has.
function timesOf(about) {
  const choices = about.options_schema?.properties?.timestamps ? about.capabilities.timestamps ?? [] : [];
  const best = ["word", "segment"].find((one) => choices.includes(one));
  return best ? { timestamps: best } : {};
}

function Result({ listening, kept, segments, runs, state, file, onChange, onAgain }) {
  const progress = useSignal(listening?.progress ?? NONE);
  const [audio, setAudio] = useState(null);
  const name = kept?.name ?? listening?.request.file.name ?? "";
  const about = { recording: name, model: listening?.request.name };
  const made = (format) => new Blob([FORMATS[format].make(segments, about)], { type: FORMATS[format].type });
  return html`
    <div class="card result" data-state=${listening ? state : "kept"} role="region" aria-label=${S.listen.transcript}>
      ${state === "failed" && !isCancelled(listening.problem) && html`<${ProblemBox} problem=${listening.problem} />`}
      ${file && html`<${Recording} file=${file} onAudio=${setAudio} />`}
      ${file?.recorded && !runs && html`<div class="row"><button class="chip" onClick=${() => save(file, file.name)}>
        <${Icon} name="download" />${S.listen.save}</button><span class="quiet grow">${S.listen.notKept}</span></div>`}
      ${runs && html`<${Progress} progress=${progress} file=${file} onStop=${() => listening.stop()} />`}
      ${!runs && html`<div class="row">
        <p class="quiet grow" role="status">${toldOf(listening, state, segments, progress)}${!file && ` ${S.listen.gone}`}</p>
        ${onAgain && html`<button class="plain" onClick=${onAgain}><${Icon} name="again" />${S.listen.go}</button>`}</div>`}
      ${segments.length > 0 && html`
        <${Transcript} segments=${segments} onChange=${onChange} audio=${file ? audio : null} live=${runs} />
        <${Downloads} formats=${Object.keys(FORMATS)} make=${made} name=${(format) => nameOf(name.replace(/\.\w+$/, ""), format)} disabled=${runs} />`}
    </div>
  `;
}

function toldOf(listening, state, segments, progress) {
  if (state === "stopped") return S.act.cancelled;
  if (state !== "whole") return "";
  if (!segments.length) return S.listen.silence;
  const sound = progress?.unit === "s" && progress.total ? clock(progress.total) : clock(segments.at(-1).end);
  return fill(S.listen.made, { sound, seconds: tenths(listening.wholeAfter) });
}

function Progress({ progress, file, onStop }) {
  const known = progress?.total > 0;
  const told = !progress ? fill(S.listen.sending, { size: sizeOf(file?.size ?? 0) })
    : known && progress.unit === "s" ? fill(S.listen.progress, { done: clock(progress.done), total: clock(progress.total) }) : S.listen.hearing;
  const left = progress?.left ? ` · ${fill(S.listen.left, { left: clock(progress.left) })}` : "";
  return html`
    <div class="row">
      <div class="grow"><progress max="1" value=${known ? Math.min(1, progress.done / progress.total) : undefined} aria-label=${S.listen.hearing}></progress>
        <p class="quiet" role="status">${told}${left}</p></div>
      <button class="stop" onClick=${onStop}><${Icon} name="stop" />${S.act.stop}</button>
    </div>
  `;
}

// The recording itself. One of the microphone's says how long it is only when its end was seen.
function Recording({ file, onAudio }) {
  const element = useRef();
  const [address, setAddress] = useState("");
  useEffect(() => {
    const made = URL.createObjectURL(file);
    setAddress(made);
    return () => URL.revokeObjectURL(made);
  }, [file]);
  useEffect(() => {
    onAudio(element.current);
    return () => onAudio(null);
  }, []);
  const measure = ({ target }) => {
    if (target.duration !== Infinity) return;
    target.addEventListener("durationchange", () => { target.currentTime = 0; }, { once: true });
    target.currentTime = 1e7;
  };
  return html`<audio controls preload="metadata" ref=${element} src=${address || undefined} onLoadedMetadata=${measure}></audio>`;
}
