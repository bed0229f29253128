// What Draw, Compose and Film have in common: a prompt, options, something that is made, and what was made before.
import { keepResult } from "../lib/gallery.js";
import { html, useEffect, useId, useMemo, useRef, useState } from "../lib/html.js";
import { keep, readKept, useKept } from "../lib/kept.js";
import { listsOf, useDescription } from "../lib/models.js";
import { Signal, useSignal } from "../lib/signal.js";
import { Work } from "../lib/work.js";
import { S, fill } from "../strings.js";
import { ModelChooser, OwnModel } from "./choosers.js";
import { Edited, Upload } from "./edited.js";
import { Field } from "./field.js";
import { formArguments, Options, useFields } from "./form.js";
import { Gallery } from "./gallery.js";
import { Icon } from "./icons.js";
import { ProblemBox } from "./problem.js";
import { Way } from "./way.js";

const FIRST = ["width", "height", "duration", "num_frames", "scale", "seed"]; // what people look for is not folded away
const OURS = ["prompt", "negative_prompt", "output_format", "mask", "preview_every"];
const PREVIEWS = 5; // of one image
const NOTHING = [];

/** `verb` makes something of a prompt, `edits` are those that take an image; `asJob`: it takes long, and outlives a reload. */
export function Maker({ id, modality, verb, edits = NOTHING, asJob = false }) {
  const words = S[id];
  const [prompt, setPrompt] = useKept(`${id}.prompt`, "");
  const [negative, setNegative] = useKept(`${id}.negative`, "");
  const [model, setModel] = useKept(`${id}.model`, "");
  const [own, setOwn] = useKept(`${id}.own.${model}`, "");
  const [previews, setPreviews] = useKept(`${id}.previews`, true);
  const [chosen, setWay] = useKept(`${id}.way`, "");
  const [making, setMaking] = useState(null);
  const [problem, setProblem] = useState(null);
  const [edited, setEdited] = useState(null); // {blob, title, mask()} of which something is made, or null
  const [note, setNote] = useState("");
  const last = useRef(null);
  const about = useDescription(modality, model);
  const told = about.value;
  const ways = told ? edits.filter((one) => told.verbs[one]) : NOTHING;
  const way = edited ? (ways.includes(chosen) ? chosen : ways[0]) : verb;
  const [typed, setTyped] = useKept(`${id}.options.${model}${edited ? `.${way}` : ""}`, {});
  const spec = told?.verbs[way];
  const schema = spec?.options ?? (edited ? null : told?.options_schema);
  const every = useFields(schema, OURS);
  const fields = useMemo(() => every.filter(({ name }) => name !== "model" || !spec?.params.includes(name)).map((field) => limited(field, told)), [every, told]);
  const takesPrompt = !edited || Boolean(spec?.params.includes("prompt"));
  const previewed = !asJob && Boolean(schema?.properties?.preview_every);
  const first = FIRST.map((name) => fields.find((field) => field.name === name)).filter(Boolean);
  const rest = fields.filter((field) => !first.includes(field));
  const takesNegative = spec && takesPrompt && (spec.params.includes("negative_prompt") || "negative_prompt" in (schema.properties ?? {}));

  const begin = async (request, options) => {
    last.current = new Work(request, options);
    setMaking(last.current);
    setProblem(null);
    setNote("");
    const made = await last.current.make((job) => keep(`${id}.job`, { job, request: { ...request, args: plain(request.args) } }));
    keep(`${id}.job`, undefined);
    if (made.state.value !== "whole") return;
    for (const blob of made.results) {
        const { why, gone } = await keepResult({
          modality, name: request.name, verb: request.verb, title: request.title, args: plain(request.args),
          provenance: made.provenance, blob, at: Date.now(),
        });
      if (why) setNote(S.gallery[why]);
      else if (gone) setNote(fill(S.gallery.gone, { count: gone }));
    }
  };
  useEffect(() => {
    const before = readKept(`${id}.job`, null); // of before a reload
    if (before) begin(before.request, { jobId: before.job });
  }, []);

  const go = async () => {
    if (!ready || working(last.current)) return;
    try {
      const args = formArguments(fields, typed);
      if (takesPrompt) args.prompt = prompt;
      if (previewed && previews) args.preview_every = Math.max(1, Math.ceil(stepsOf(fields, typed) / PREVIEWS));
      if (takesNegative && negative.trim()) args.negative_prompt = negative;
      if (own && spec.params.includes("model")) args.model = own;
      if (edited) {
        if (spec.params.includes("images")) args.images = [edited.blob];
        else args.image = edited.blob;
        const mask = spec.params.includes("mask") ? await edited.mask?.() : null;
        if (mask) args.mask = mask;
      }
      await begin({ modality, name: model, verb: way, args, title: takesPrompt ? prompt : fill(S.edit.made[way], edited) }, { asJob });
    } catch (failed) {
      setProblem(failed);
    }
  };
  const change = (blob, title) => {
    setEdited({ blob, title });
    scrollTo({ top: 0, behavior: "instant" });
  };
  const again = (row) => {
    setEdited(null);
    setPrompt(row.args.prompt ?? "");
    setNegative(row.args.negative_prompt ?? "");
    setModel(row.name);
    const { prompt: _, negative_prompt: __, preview_every: ___, model: itsOwn, ...options } = row.args;
    if (row.provenance?.seed !== undefined && row.provenance.seed !== null) options.seed = row.provenance.seed;
    const held = Object.fromEntries(Object.entries(options).map(([name, value]) => [name, asTyped(value)]));
    keep(`${id}.options.${row.name}`, held);
    if (row.name === model && !edited) setTyped(() => held);
    if (itsOwn) keep(`${id}.own.${row.name}`, itsOwn);
    scrollTo({ top: 0, behavior: "instant" });
  };
  const key = (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) go();
  };
  const field = useId();
  const ready = Boolean(spec) && (prompt.trim() || !takesPrompt);
  return html`
    <section class="view two">
      <header><h1>${words.title}</h1><p class="lead">${words.lead}</p></header>
      <div class="work">
        <div class="card">
          ${edited && html`<${Edited} key=${edited.blob} ...${{ edited, model, ways, way, spec }} onWay=${setWay} onClose=${() => setEdited(null)} />`}
          ${takesPrompt && html`<label class="hidden" for=${field}>${S.make.prompt}</label>
          <textarea id=${field} class="big" dir="auto" rows="4" value=${prompt} placeholder=${edited ? S.edit.prompt : words.placeholder}
            onKeyDown=${key} onInput=${(event) => setPrompt(event.target.value)}></textarea>`}
          ${takesNegative && html`<div class="field"><label for=${`${field}-not`}>${S.make.negative}</label>
            <input id=${`${field}-not`} dir="auto" value=${negative} onKeyDown=${key} onInput=${(event) => setNegative(event.target.value)} /></div>`}
          <div class="row">
            <${Go} making=${making} label=${edited ? S.edit.go[way ?? edits[0]] : words.go} icon=${id} onGo=${go} disabled=${!ready} />
            ${edits.length > 0 && !edited && html`<${Upload} onFile=${(file) => change(file, file.name)} />`}
            <span class="quiet wide grow end">${S.make.shortcut}</span>
          </div>
        </div>
        <${ProblemBox} problem=${problem ?? about.problem} />
        ${making && html`<${Way} key=${making} making=${making} />`}
        ${note && html`<p class="quiet" role="status">${note}</p>`}
        <${Gallery} modality=${modality} empty=${words.empty} verb=${verb} onAgain=${again} onEdit=${edits.length ? change : null} />
      </div>
      <aside class="card settings">
        <${ModelChooser} modality=${modality} value=${model} onChange=${setModel} />
        ${spec?.params.includes("model") && html`<${OwnModel} models=${told.models} value=${own} onChange=${setOwn} />`}
        ${first.map((one) => html`<${Field} key=${one.name} field=${one} typed=${typed[one.name]}
          onTyped=${(value) => setTyped((before) => ({ ...before, [one.name]: value }))} />`)}
        ${previewed && html`<div class="field kind-boolean"><label for=${`${field}-previews`}>${S.make.previews}</label>
          <input id=${`${field}-previews`} type="checkbox" class="switch" checked=${previews} onChange=${(e) => setPreviews(e.target.checked)} />
          <p class="about">${S.make.previewsHint}</p></div>`}
        ${spec && html`<${Options} fields=${rest} typed=${typed} onTyped=${setTyped} model=${model} lists=${listsOf(told)} />`}
      </aside>
    </section>
  `;
}

const working = (making) => making && ["waiting", "coming"].includes(making.state.value);

function Go({ making, label, icon, onGo, disabled }) {
  const state = useSignal(making?.state ?? IDLE);
  if (making && (state === "waiting" || state === "coming")) {
    return html`<button class="stop" onClick=${() => making.stop()}><${Icon} name="stop" />${S.act.stop}</button>`;
  }
  return html`<button class="main" onClick=${onGo} disabled=${disabled}><${Icon} name=${icon} />${label}</button>`;
}

const IDLE = new Signal("idle");

// A size that the model cannot make is not offered.
function limited(field, told) {
  const most = told?.capabilities.limits?.[`max_${field.name}`];
  return typeof most === "number" ? { ...field, max: Math.min(field.max ?? most, most) } : field;
}

// How many steps it will take, as far as the form tells.
function stepsOf(fields, typed) {
  const steps = fields.find((field) => field.name === "num_inference_steps");
  return Number(typed.num_inference_steps ?? steps?.initial) || 20;
}

// What can be kept as text: files are none of it.
const plain = (args) =>
  Object.fromEntries(Object.entries(args).filter(([, value]) => !(value instanceof Blob || (Array.isArray(value) && value.some((one) => one instanceof Blob)))));

const asTyped = (value) =>
  Array.isArray(value) ? value.join("\n") : value && typeof value === "object" ? JSON.stringify(value) : typeof value === "number" ? String(value) : value;
