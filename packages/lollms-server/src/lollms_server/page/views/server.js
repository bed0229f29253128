// Server: what it serves, what is in memory, who waits, the jobs, and the settings that may be set from here.
import { list, part, send } from "../lib/api.js";
import { bindingPath } from "../lib/calls.js";
import { html, useCallback, useEffect, useState } from "../lib/html.js";
import { describe, loadModels } from "../lib/models.js";
import { fieldsOf } from "../lib/schema.js";
import { clock } from "../lib/time.js";
import { S, fill } from "../strings.js";
import { Field } from "../ui/field.js";
import { formArguments } from "../ui/form.js";
import { ProblemBox } from "../ui/problem.js";

const EVERY = 2000; // milliseconds between two looks

export default function Server({ shown }) {
  const [state, setState] = useState(null); // {models, calls, jobs}
  const [problem, setProblem] = useState(null);
  const [open, setOpen] = useState("");
  const look = useCallback(async () => {
    try {
      const [models, calls, jobs] = await Promise.all([
        list("lollms/v2/bindings"), list("lollms/v2/calls"), list("lollms/v2/jobs?limit=50"),
      ]);
      setState({ models, calls, jobs });
    } catch (failed) {
      if (failed.code !== "lost") setProblem(failed);
    }
  }, []);
  useEffect(() => {
    if (!shown) return;
    look();
    const timer = setInterval(() => document.hidden || look(), EVERY);
    return () => clearInterval(timer);
  }, [shown]);
  const act = async (make) => {
    setProblem(null);
    try {
      await make();
    } catch (failed) {
      setProblem(failed);
    }
    await look();
  };
  const words = S.server;
  return html`
    <section class="view">
      <header><h1>${words.title}</h1><p class="lead">${words.lead}</p></header>
      <${ProblemBox} problem=${problem} onClose=${() => setProblem(null)} />
      ${!state && !problem && html`<p class="quiet" aria-busy="true">${S.model.loading}</p>`}
      ${state && html`
        <ul class="models" aria-label=${words.models}>
          ${state.models.map((row) => {
            const id = `${row.modality}/${row.name}`;
            return html`<${Model} key=${id} row=${row} act=${act} open=${open === id} onOpen=${() => setOpen(open === id ? "" : id)} />`;
          })}
        </ul>
        <${Calls} rows=${state.calls} act=${act} />
        <${Jobs} rows=${state.jobs} act=${act} />`}
    </section>
  `;
}

function Model({ row, act, open, onOpen }) {
  const path = bindingPath(row.modality, row.name);
  const facts = [
    row.loaded ? S.model.loaded : S.model.resting,
    row.memory ? fill(S.server.memory, { size: Math.round(row.memory / 1e6) }) : "",
    row.at_work ? fill(S.server.atWork, { count: row.at_work }) : "",
    row.waiting ? fill(S.server.waiting, { count: row.waiting }) : "",
  ].filter(Boolean);
  return html`
    <li class="card" data-model=${row.name}>
      <div class="row">
        <h2 dir="auto">${row.name}</h2>
        <span class="tag">${S.server.kinds[row.modality] ?? row.modality}</span>
        <span class="quiet grow">${facts.join(" · ")}</span>
        ${row.loaded
          ? html`<button class="chip" onClick=${() => act(() => send("POST", `${path}/unload`))}>${S.server.unload}</button>`
          : html`<button class="chip" onClick=${() => act(() => send("POST", `${path}/load`))}>${S.server.load}</button>`}
        <button class="chip" aria-expanded=${open} onClick=${onOpen}>${S.server.settings}</button>
      </div>
      ${open && html`<${Settings} row=${row} act=${act} />`}
    </li>
  `;
}

// The form of what may be set over HTTP; the rest is shown as it is.
function Settings({ row, act }) {
  const [told, setTold] = useState(null);
  const [typed, setTyped] = useState({});
  const [problem, setProblem] = useState(null);
  const look = () => describe(row.modality, row.name).then(setTold, setProblem);
  useEffect(() => {
    look();
  }, []);
  if (!told) return html`<${ProblemBox} problem=${problem} />`;
  const settable = new Set(told.settings.filter((one) => one.settable).map((one) => one.name));
  const values = Object.fromEntries(told.settings.map((one) => [one.name, one.value]));
  const fields = fieldsOf(told.settings_schema)
    .filter((field) => settable.has(field.name))
    .map((field) => ({ ...field, initial: field.secret ? null : values[field.name] ?? null }));
  const fixed = told.settings.filter((one) => !one.settable);
  const set = () =>
    act(async () => {
      await send("PUT", `${bindingPath(row.modality, row.name)}/settings`, { settings: formArguments(fields, typed) });
      setTyped({});
      await loadModels();
      await look();
    });
  return html`
    <div class="fields">
      ${fields.map((field) => html`<${Field} key=${field.name} field=${field} typed=${typed[field.name]}
        onTyped=${(value) => setTyped((before) => ({ ...before, [field.name]: value }))} />`)}
      ${!fields.length && html`<p class="quiet">${S.server.noneSettable}</p>`}
      ${fields.length > 0 && html`<div class="row"><button class="main" onClick=${set}
        disabled=${!Object.values(typed).some((value) => value !== undefined)}>${S.server.set}</button></div>`}
      ${fixed.length > 0 && html`<details class="how"><summary>${S.server.fixed}</summary><dl>${fixed.map((one) => html`
        <dt key=${one.name}>${one.name}</dt><dd dir="auto">${one.value === null ? "—" : JSON.stringify(one.value)}</dd>`)}</dl></details>`}
    </div>
  `;
}

function Calls({ rows, act }) {
  return html`
    <h2>${S.server.calls}</h2>
    ${rows.length ? html`<ul class="lines">${rows.map((row) => html`
      <li key=${row.id} class="row">
        <span dir="auto">${row.model ?? row.name}</span><span class="quiet grow">${[row.verb, row.state].filter(Boolean).join(" · ")}</span>
        <button class="chip" onClick=${() => act(() => send("DELETE", `lollms/v2/calls/${part(row.id)}`))}>${S.act.stop}</button>
      </li>`)}</ul>` : html`<p class="quiet">${S.server.noCalls}</p>`}
  `;
}

function Jobs({ rows, act }) {
  return html`
    <h2>${S.server.jobs}</h2>
    ${rows.length ? html`<ul class="lines">${rows.map((row) => html`
      <li key=${row.id} class="row" data-status=${row.status}>
        <span dir="auto">${row.model}</span>
        <span class="quiet grow">${[row.verb, S.server.states[row.status] ?? row.status, percent(row), took(row), row.error?.message].filter(Boolean).join(" · ")}</span>
        ${["queued", "in_progress"].includes(row.status)
          ? html`<button class="chip" onClick=${() => act(() => send("POST", `lollms/v2/jobs/${part(row.id)}/cancel`))}>${S.act.stop}</button>`
          : html`<button class="chip" onClick=${() => act(() => send("DELETE", `lollms/v2/jobs/${part(row.id)}`))}>${S.server.remove}</button>`}
      </li>`)}</ul>` : html`<p class="quiet">${S.server.noJobs}</p>`}
  `;
}

const percent = (row) => (row.status === "in_progress" ? `${row.progress} %` : "");
const took = (row) => (row.started_at && row.ended_at ? clock(row.ended_at - row.started_at) : "");
