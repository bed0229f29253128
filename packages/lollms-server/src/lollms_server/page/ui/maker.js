// What Draw, Compose and Film have in common: a prompt, options, something that is made, and what was made before.
import { keepResult } from "../lib/gallery.js";
import { html, useEffect, useId, useRef, useState } from "../lib/html.js";
import { keep, readKept, useKept } from "../lib/kept.js";
import { listsOf, useDescription } from "../lib/models.js";
import { fieldsOf } from "../lib/schema.js";
import { useSignal } from "../lib/signal.js";
import { Work } from "../lib/work.js";
import { S, fill } from "../strings.js";
import { ModelChooser, OwnModel } from "./choosers.js";
import { Field } from "./field.js";
import { formArguments, Options } from "./form.js";
import { Gallery } from "./gallery.js";
import { Icon } from "./icons.js";
import { Mask } from "./mask.js";
import { ProblemBox } from "./problem.js";
import { Way } from "./way.js";

const FIRST = ["width", "height", "duration", "num_frames", "seed"]; // what people look for is not folded away
const OURS = ["prompt", "images", "negative_prompt", "output_format", "model", "mask"];

/** `verb` makes something of a prompt, `edits` something of images; `asJob`: it takes long, and outlives a reload. */
export function Maker({ id, modality, verb, edits = null, asJob = false }) {
  const words = S[id];
  const [prompt, setPrompt] = useKept(`${id}.prompt`, "");
  const [negative, setNegative] = useKept(`${id}.negative`, "");
  const [model, setModel] = useKept(`${id}.model`, "");
  const [own, setOwn] = useKept(`${id}.own.${model}`, "");
  const [typed, setTyped] = useKept(`${id}.options.${model}`, {});
  const [making, setMaking] = useState(null);
  const [problem, setProblem] = useState(null);
  const [edited, setEdited] = useState(null); // {blob, mask()} that is changed, or null
  const [note, setNote] = useState("");
  const last = useRef(null);
  const about = useDescription(modality, model);
  const told = about.value;
  const spec = told?.verbs[edited ? edits : verb];
  const schema = spec?.options ?? told?.options_schema;
  const fields = fieldsOf(schema, OURS).map((field) => limited(field, told));
  const first = FIRST.map((name) => fields.find((field) => field.name === name)).filter(Boolean);
  const rest = fields.filter((field) => !first.includes(field));
  const takesNegative = spec && (spec.params.includes("negative_prompt") || "negative_prompt" in (schema.properties ?? {}));

  const begin = async (request, options) => {
    last.current = new Work(request, options);
    setMaking(last.current);
    setProblem(null);
    setNote("");
    const made = await last.current.make((job) => keep(`${id}.job`, { job, request: { ...request, args: plain(request.args) } }));
    keep(`${id}.job`, undefined);
    if (made.state.value !== "whole") return;
    try {
      for (const blob of made.results) {
        const { kept, gone } = await keepResult({
          modality, name: request.name, verb: request.verb, title: request.title, args: plain(request.args),
          provenance: made.provenance, blob, at: Date.now(),
        });
        if (!kept) setNote(S.gallery.large);
        else if (gone) setNote(fill(S.gallery.gone, { count: gone }));
      }
    } catch {
      setNote(S.gallery.shut);
    }
  };
  useEffect(() => {
    const before = readKept(`${id}.job`, null); // of before a reload
    if (before) begin(before.request, { jobId: before.job });
  }, []);

  const go = async () => {
    if (!prompt.trim() || !told || working(last.current)) return;
    try {
      const args = { ...formArguments(fields, typed), prompt };
      if (takesNegative && negative.trim()) args.negative_prompt = negative;
      if (own && spec.params.includes("model")) args.model = own;
      if (edited) {
        args.images = [edited.blob];
        const mask = await edited.mask?.();
        if (mask) args.mask = mask;
      }
      await begin({ modality, name: model, verb: edited ? edits : verb, args, title: prompt }, { asJob });
    } catch (failed) {
      setProblem(failed);
    }
  };
  const change = (blob) => {
    setEdited({ blob });
    scrollTo({ top: 0, behavior: "instant" });
  };
  const again = (row) => {
    setEdited(null);
    setPrompt(row.args.prompt ?? "");
    setNegative(row.args.negative_prompt ?? "");
    setModel(row.name);
    const { prompt: _, negative_prompt: __, model: itsOwn, ...options } = row.args;
    if (row.provenance?.seed !== undefined && row.provenance.seed !== null) options.seed = row.provenance.seed;
    const held = Object.fromEntries(Object.entries(options).map(([name, value]) => [name, asTyped(value)]));
    keep(`${id}.options.${row.name}`, held);
    if (row.name === model) setTyped(() => held);
    if (itsOwn) keep(`${id}.own.${row.name}`, itsOwn);
    scrollTo({ top: 0, behavior: "instant" });
  };
  const key = (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) go();
  };
  const field = useId();
  const canEdit = Boolean(edits && told?.verbs[edits]);
  return html`
    <section class="view two">
      <header><h1>${words.title}</h1><p class="lead">${words.lead}</p></header>
      <div class="work">
        <div class="card">
          ${edited && html`<${Mask} key=${edited.blob} image=${edited.blob} onMask=${(mask) => (edited.mask = mask)} onClose=${() => setEdited(null)} />`}
          <label class="hidden" for=${field}>${S.make.prompt}</label>
          <textarea id=${field} class="big" dir="auto" rows="4" value=${prompt} placeholder=${edited ? S.draw.change : words.placeholder}
            onKeyDown=${key} onInput=${(event) => setPrompt(event.target.value)}></textarea>
          ${takesNegative && html`<div class="field"><label for=${`${field}-not`}>${S.make.negative}</label>
            <input id=${`${field}-not`} dir="auto" value=${negative} onKeyDown=${key} onInput=${(event) => setNegative(event.target.value)} /></div>`}
          <div class="row">
            <${Go} making=${making} label=${edited ? S.draw.edit : words.go} icon=${id} onGo=${go} disabled=${!prompt.trim() || !told} />
            ${canEdit && !edited && html`<${Upload} onFile=${change} />`}
            <span class="quiet wide grow end">${S.make.shortcut}</span>
          </div>
        </div>
        <${ProblemBox} problem=${problem ?? about.problem} />
        ${making && html`<${Way} key=${making} making=${making} />`}
        ${note && html`<p class="quiet" role="status">${note}</p>`}
        <${Gallery} modality=${modality} empty=${words.empty} onAgain=${again} onEdit=${canEdit ? change : null} />
      </div>
      <aside class="card settings">
        <${ModelChooser} modality=${modality} value=${model} onChange=${setModel} />
        ${spec?.params.includes("model") && html`<${OwnModel} models=${told.models} value=${own} onChange=${setOwn} />`}
        ${first.map((one) => html`<${Field} key=${one.name} field=${one} typed=${typed[one.name]}
          onTyped=${(value) => setTyped((before) => ({ ...before, [one.name]: value }))} />`)}
        ${told && html`<${Options} fields=${rest} typed=${typed} onTyped=${setTyped} model=${model} lists=${listsOf(told)} />`}
      </aside>
    </section>
  `;
}

const working = (making) => making && ["waiting", "coming"].includes(making.state.value);

function Go({ making, label, icon, onGo, disabled }) {
  const state = useSignal(making?.state ?? NONE);
  if (making && (state === "waiting" || state === "coming")) {
    return html`<button class="stop" onClick=${() => making.stop()}><${Icon} name="stop" />${S.act.stop}</button>`;
  }
  return html`<button class="main" onClick=${onGo} disabled=${disabled}><${Icon} name=${icon} />${label}</button>`;
}

const NONE = { value: "idle", follow: () => () => {} };

function Upload({ onFile }) {
  const input = useRef();
  const choose = (event) => {
    if (event.target.files.length) onFile(event.target.files[0]);
    event.target.value = "";
  };
  return html`
    <button onClick=${() => input.current.click()}><${Icon} name="edit" />${S.draw.choose}</button>
    <input ref=${input} type="file" accept="image/*" hidden onChange=${choose} aria-label=${S.draw.choose} />
  `;
}

// A size that the model cannot make is not offered.
function limited(field, told) {
  const most = told?.capabilities.limits?.[`max_${field.name}`];
  return typeof most === "number" ? { ...field, max: Math.min(field.max ?? most, most) } : field;
}

// What can be kept as text: files are none of it.
const plain = (args) =>
  Object.fromEntries(Object.entries(args).filter(([, value]) => !(value instanceof Blob || (Array.isArray(value) && value.some((one) => one instanceof Blob)))));

const asTyped = (value) =>
  Array.isArray(value) ? value.join("\n") : value && typeof value === "object" ? JSON.stringify(value) : typeof value === "number" ? String(value) : value;
