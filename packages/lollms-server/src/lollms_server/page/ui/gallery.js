// What this browser has made before, how, and once more.
import { save, nameOf } from "../lib/files.js";
import { changed, forget, forgetAll, results } from "../lib/gallery.js";
import { html, useEffect, useState } from "../lib/html.js";
import { useSignal } from "../lib/signal.js";
import { S, fill } from "../strings.js";
import { Icon } from "./icons.js";

/** `verb` is the one that makes something of words alone, which can be done again. */
export function Gallery({ modality, verb, empty, onAgain, onEdit }) {
  const turn = useSignal(changed);
  const [rows, setRows] = useState(null);
  const [sure, setSure] = useState(false);
  useEffect(() => {
    let shown = true;
    results([modality]).then((found) => shown && setRows(found));
    return () => {
      shown = false;
    };
  }, [turn, modality]);
  if (!rows) return null;
  if (!rows.length) return html`<div class="nothing">${empty}</div>`;
  const size = rows.reduce((sum, row) => sum + row.blob.size, 0);
  return html`
    <ul class="gallery" aria-label=${S.gallery.title}>
      ${rows.map((row) => html`<${Row} key=${row.id} row=${row} onAgain=${row.verb === verb ? onAgain : null} onEdit=${onEdit} />`)}
    </ul>
    <div class="row">
      <span class="quiet grow">${fill(S.gallery.holds, { count: rows.length, size: (size / 1e6).toFixed(1) })}</span>
      ${sure
        ? html`<button class="stop" onClick=${() => forgetAll().then(() => setSure(false))}>${S.gallery.sure}</button>
            <button onClick=${() => setSure(false)}>${S.gallery.keep}</button>`
        : html`<button class="plain" onClick=${() => setSure(true)}>${S.gallery.forgetAll}</button>`}
    </div>
  `;
}

function Row({ row, onAgain, onEdit }) {
  const [address, setAddress] = useState("");
  useEffect(() => {
    const made = URL.createObjectURL(row.blob);
    setAddress(made);
    return () => URL.revokeObjectURL(made);
  }, [row.blob]);
  const ending = row.blob.type.split(";")[0].split("/")[1]?.replace("x-wav", "wav").replace("mpeg", "mp3") ?? "bin";
  const seed = row.provenance?.seed;
  return html`
    <li class="card">
      ${address && html`<${Shown} modality=${row.modality} address=${address} title=${row.title} />`}
      <p class="title" dir="auto">${row.title.slice(0, 300)}</p>
      <details class="how"><summary>${S.gallery.how}</summary><dl>${told(row).map(([name, value]) => html`
        <dt key=${name}>${name}</dt><dd dir="auto">${value}</dd>`)}</dl></details>
      <div class="row">
        ${onAgain && html`<button class="chip" onClick=${() => onAgain(row)}><${Icon} name="again" />${seed === undefined || seed === null ? S.gallery.again : S.gallery.sameSeed}</button>`}
        ${onEdit && html`<button class="chip" onClick=${() => onEdit(row.blob, row.title)}><${Icon} name="edit" />${S.gallery.change}</button>`}
        <button class="chip" onClick=${() => save(row.blob, nameOf(row.title, ending))}><${Icon} name="download" />${ending}</button>
        <button class="chip" onClick=${() => forget(row.id)} aria-label=${`${S.gallery.forget}: ${row.title.slice(0, 60)}`}><${Icon} name="close" /></button>
      </div>
    </li>
  `;
}

function Shown({ modality, address, title }) {
  if (modality === "ttm") return html`<audio class="made" controls src=${address} aria-label=${title.slice(0, 100)}></audio>`;
  if (modality === "ttv") return html`<video class="made" controls loop playsinline src=${address} aria-label=${title.slice(0, 100)}></video>`;
  return html`<img class="made" src=${address} alt=${title.slice(0, 300)} />`;
}

function told(row) {
  const { provenance } = row;
  const { prompt: _, ...args } = row.args;
  const lines = [
    [S.gallery.model, [row.name, provenance?.model].filter(Boolean).join(" · ")],
    [S.gallery.engine, [provenance?.engine, provenance?.engine_version].filter(Boolean).join(" ")],
    [S.gallery.seed, provenance?.seed],
    ...Object.entries(args).map(([name, value]) => [name, typeof value === "object" ? JSON.stringify(value) : value]),
    [S.gallery.at, new Date(row.at).toLocaleString()],
  ];
  return lines.filter(([, value]) => value !== undefined && value !== null && value !== "").map(([name, value]) => [name, String(value)]);
}
