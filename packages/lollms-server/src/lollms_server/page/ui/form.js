// A form made from a schema: any option of any binding, a third party's as well.
import { html, useId, useMemo, useState } from "../lib/html.js";
import { S, fill } from "../strings.js";
import { Problem } from "../lib/api.js";
import { argumentsOf, fieldsOf } from "../lib/schema.js";
import { Field } from "./field.js";

const MOST = 60; // fields that are shown at once; of more it is asked which

/** The fields of a schema: the same ones until it is another. */
export const useFields = (schema, leftOut) => useMemo(() => fieldsOf(schema, leftOut), [schema]);

/**
 * The fields, folded away. `typed` is {name: what was typed}, `onTyped` gets the new one; `lists` are the binding's lists by name.
 */
export function Options({ fields, typed, onTyped, model, lists = {}, open = false }) {
  const [shows, setShows] = useState(open);
  const [sought, setSought] = useState("");
  const id = useId();
  const words = sought.trim().toLowerCase();
  const found = shows ? fields.filter((field) => !words || `${field.name} ${field.label}`.toLowerCase().includes(words)).slice(0, MOST) : [];
  if (!fields.length) return html`<p class="quiet">${fill(S.form.none, { model })}</p>`;
  const changed = fields.filter((field) => typed[field.name] !== undefined).length;
  return html`
    <details class="options" open=${open} onToggle=${(event) => setShows(event.target.open)}>
      <summary dir="auto">${fill(S.form.options, { model })}${changed > 0 && html` <span class="count">${changed}</span>`}</summary>
      <div class="fields">
        ${shows && fields.length > MOST && html`<div class="field"><label for=${id}>${S.form.find}</label>
          <input id=${id} type="search" dir="auto" value=${sought} onInput=${(event) => setSought(event.target.value)} />
          <p class="about" role="status">${fill(S.form.found, { shown: found.length, count: fields.length })}</p></div>`}
        ${found.map(
          (field) => html`<${Field} key=${field.name} field=${field} typed=${typed[field.name]} list=${lists[field.listed]}
            onTyped=${(value) => onTyped((before) => withValue(before, field.name, value))} />`,
        )}
      </div>
      ${changed > 0 && html`<button class="plain" onClick=${() => onTyped(() => ({}))}>${S.form.reset}</button>`}
    </details>
  `;
}

function withValue(before, name, value) {
  const { [name]: _, ...rest } = before;
  return value === undefined ? rest : { ...rest, [name]: value };
}

// What the form holds as arguments of a call; a Problem says which field is wrong.
export function formArguments(fields, typed) {
  try {
    return argumentsOf(fields, typed);
  } catch (error) {
    if (!error.field) throw error;
    const whole = error.message === "number" && error.field.kind === "integer";
    const text = error.message === "json" ? S.problem.json : whole ? S.problem.whole : S.problem.number;
    throw new Problem(fill(text, { field: error.field.label }));
  }
}
