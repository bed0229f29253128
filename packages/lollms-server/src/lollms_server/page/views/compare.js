// Compare: the same request to two models, one after the other so that neither slows the other down.
import { list } from "../lib/api.js";
import { html, useEffect, useId, useRef, useState } from "../lib/html.js";
import { useKept } from "../lib/kept.js";
import { Listening } from "../lib/listening.js";
import { listsOf, useDescription, useModels } from "../lib/models.js";
import { Signal } from "../lib/signal.js";
import { Speech } from "../lib/speech.js";
import { Work } from "../lib/work.js";
import { S } from "../strings.js";
import { ModelChooser, OwnModel } from "../ui/choosers.js";
import { formArguments, Options, useFields } from "../ui/form.js";
import { Icon } from "../ui/icons.js";
import { ProblemBox } from "../ui/problem.js";
import { Side } from "../ui/side.js";
import { Source } from "../ui/source.js";

const KINDS = ["tts", "stt", "tti", "ttm", "ttv"];
const VERBS = { tti: "generate_image", ttm: "generate_music", ttv: "generate_video" };
const OURS = ["text", "voice", "prompt", "audio_path", "model", "output_format", "n"];
const SIDES = ["a", "b"];

export default function Compare({ shown }) {
  const [kind, setKind] = useKept("compare.kind", "tts");
  const [text, setText] = useKept("compare.text", "");
  const [file, setFile] = useState(null);
  const [pair, setPair] = useState(null); // {kind, runs: {a, b}}
  const [problem, setProblem] = useState(null);
  const [running, setRunning] = useState(false);
  const { rows } = useModels();
  const sides = { a: useSide(kind, "a"), b: useSide(kind, "b") };
  const ends = useRef(null);
  const id = useId();
  const kinds = rows ? KINDS.filter((one) => rows.some((row) => row.modality === one)) : [];
  const spoken = kind === "stt";
  useEffect(() => () => closeAll(ends.current), []);

  const go = async () => {
    closeAll(ends.current);
    setProblem(null);
    let runs;
    try {
      runs = Object.fromEntries(SIDES.map((side) => [side, runOf(kind, sides[side], text, file)]));
    } catch (failed) {
      return setProblem(failed);
    }
    ends.current = runs;
    setPair({ kind, runs });
    setRunning(true);
    for (const side of SIDES) {
      const run = runs[side];
      if (run.ends.signal.aborted) {
        run.state.set("stopped");
        continue;
      }
      run.cold = !(await isLoaded(kind, run.request.name));
      run.turn.set(true);
      await (run instanceof Speech ? run.make({ play: false }) : run.make());
    }
    if (ends.current === runs) setRunning(false);
  };
  const stop = () => SIDES.forEach((side) => ends.current[side].stop());
  const ready = (spoken ? file : text.trim()) && SIDES.every((side) => sides[side].about.value);
  return html`
    <section class="view">
      <header><h1>${S.compare.title}</h1><p class="lead">${S.compare.lead}</p></header>
      <div class="kinds" role="radiogroup" aria-label=${S.compare.kind}>
        ${kinds.map((one) => html`<label key=${one} class="chip"><input type="radio" name=${id} checked=${one === kind} disabled=${running}
          onChange=${() => setKind(one)} /><span>${S.compare.kinds[one]}</span></label>`)}
      </div>
      ${spoken
        ? html`<${Source} file=${file} onFile=${setFile} shown=${shown} disabled=${running} />`
        : html`<div class="card"><label class="hidden" for=${`${id}t`}>${S.compare.request}</label>
            <textarea id=${`${id}t`} class="big low" rows="3" dir="auto" value=${text} placeholder=${kind === "tts" ? S.speak.placeholder : S.compare.prompt}
              onInput=${(event) => setText(event.target.value)}></textarea></div>`}
      <div class="row">
        ${running
          ? html`<button class="stop" onClick=${stop}><${Icon} name="stop" />${S.act.stop}</button>`
          : html`<button class="main" onClick=${go} disabled=${!ready}><${Icon} name="compare" />${S.compare.go}</button>`}
        <span class="quiet">${S.compare.turns}</span>
      </div>
      <${ProblemBox} problem=${problem} />
      <div class="sides">
        ${SIDES.map((side, number) => html`<${Choice} key=${`${kind}.${side}`} kind=${kind} side=${sides[side]} number=${number} label=${S.compare.sides[side]} />`)}
        ${pair?.kind === kind && SIDES.map((side) => html`<${Side} key=${`${side}.result`} kind=${pair.kind} run=${pair.runs[side]}
          other=${pair.runs[side === "a" ? "b" : "a"]} label=${S.compare.sides[side]} />`)}
      </div>
    </section>
  `;
}

// What a side is set to, for this kind.
function useSide(kind, side) {
  const name = `compare.${kind}.${side}`;
  const [model, setModel] = useKept(`${name}.model`, "");
  const [own, setOwn] = useKept(`${name}.own.${model}`, "");
  const [typed, setTyped] = useKept(`${name}.options.${model}`, {});
  const about = useDescription(kind, model);
  return { model, setModel, own, setOwn, typed, setTyped, about, fields: useFields(about.value?.options_schema, OURS) };
}

function Choice({ kind, side, number, label }) {
  const { model, about } = side;
  const takesOwn = kind === "stt" || kind === "ttm" || kind === "ttv";
  return html`
    <div class="card settings" role="group" aria-label=${label}>
      <${ModelChooser} modality=${kind} value=${model} onChange=${side.setModel} label=${label} skip=${number} />
      ${takesOwn && html`<${OwnModel} models=${about.value?.models} value=${side.own} onChange=${side.setOwn} />`}
      <${ProblemBox} problem=${about.problem} />
      ${about.value && html`<${Options} fields=${side.fields} typed=${side.typed} onTyped=${side.setTyped} model=${model} lists=${listsOf(about.value)} />`}
    </div>
  `;
}

function runOf(kind, { model: name, own, fields, typed }, text, file) {
  const options = formArguments(fields, typed);
  const made = kind === "tts" ? new Speech({ name, text, voice: "", options })
    : kind === "stt" ? new Listening({ name, file, model: own, options })
    : new Work({ modality: kind, name, verb: VERBS[kind], args: { ...options, ...(own ? { model: own } : {}), prompt: text }, title: text });
  made.turn = new Signal(false);
  return made;
}

async function isLoaded(kind, name) {
  try {
    return Boolean((await list("lollms/v2/bindings")).find((row) => row.modality === kind && row.name === name)?.loaded);
  } catch {
    return true; // the call itself will say what is wrong
  }
}

const closeAll = (runs) => runs && SIDES.forEach((side) => (runs[side].close ?? runs[side].stop).call(runs[side]));
