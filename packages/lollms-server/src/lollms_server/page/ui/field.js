// One field of a form, made of what lib/schema.js says of an option or setting. What it holds is what was typed.
import { Component, html, useId } from "../lib/html.js";
import { choiceAt, said, typedOf } from "../lib/schema.js";
import { S, fill } from "../strings.js";

const RANGES = 1000; // the widest span that a slider is good for
const LARGEST = 2 ** 31 - 1;

/** Drawn anew when it holds something else: a form may have thousands. What `onTyped` does must hang on nothing else. */
export class Field extends Component {
  shouldComponentUpdate(next) {
    return ["field", "typed", "list"].some((name) => next[name] !== this.props[name]);
  }

  render(props) {
    return html`<${Labelled} ...${props} />`;
  }
}

function Labelled({ field, typed, onTyped, list }) {
  const id = useId();
  const about = aboutOf(field);
  const props = { id, "aria-describedby": about ? `${id}-about` : undefined };
  const Control = list?.length && field.kind === "text" ? Listed : CONTROLS[field.kind] ?? Json;
  return html`
    <div class=${`field kind-${field.kind}`}>
      <label for=${id} dir="auto">${field.label}</label>
      <${Control} ...${{ field, props, typed, onTyped, list }} />
      ${about && html`<p class="about" id=${`${id}-about`} dir="auto">${about}</p>`}
    </div>
  `;
}

function aboutOf({ description, min, max: told, kind }) {
  const max = told !== null && Math.abs(told) >= LARGEST ? null : told; // a limit of the format, that nobody meets
  const range =
    min !== null && max !== null ? fill(S.form.between, { min, max })
    : min !== null ? fill(S.form.atLeast, { min })
    : max !== null ? fill(S.form.atMost, { max }) : "";
  const how = kind === "list" ? S.form.oneALine : kind === "json" ? S.form.asJson : "";
  const limits = ["number", "integer"].includes(kind) && range ? `(${range})` : "";
  return [description, limits, how].filter(Boolean).join(" ");
}

const shown = (field) => {
  if (field.initial === null || field.initial === "") return S.form.empty;
  return fill(S.form.initial, { value: short(typedOf(field, field.initial)) });
};

const short = (value) => (String(value).length > 80 ? `${String(value).slice(0, 80)}…` : String(value));

function Numeric({ field, props, typed, onTyped }) {
  const { min, max } = field;
  const slides = min !== null && max !== null && max - min <= RANGES && (field.step !== 1 || max - min <= 200);
  const step = field.step ?? (slides && max - min <= 20 ? 0.05 : "any");
  const type = (event) => onTyped(event.target.value === "" ? undefined : event.target.value);
  return html`
    <div class="numeric">
      <input ...${props} type="number" inputmode="decimal" step=${field.step ?? "any"} min=${min ?? undefined}
        max=${max ?? undefined} value=${typed ?? ""} placeholder=${shown(field)} onInput=${type} />
      ${slides && html`<input type="range" aria-label=${field.label} min=${min} max=${max} step=${step}
        value=${typed ?? field.initial ?? min} onInput=${type} />`}
    </div>
  `;
}

// Yes, no, or what the engine does by itself.
function YesNo({ field, props, typed, onTyped }) {
  if (!field.nullable && typeof field.initial === "boolean") {
    return html`<input ...${props} type="checkbox" class="switch" checked=${typed ?? field.initial}
      onChange=${(event) => onTyped(event.target.checked === field.initial ? undefined : event.target.checked)} />`;
  }
  const choose = (event) => onTyped({ yes: true, no: false }[event.target.value]);
  return html`
    <select ...${props} value=${typed === undefined ? "" : typed ? "yes" : "no"} onChange=${choose}>
      <option value="">${S.form.unset}</option>
      <option value="yes">${S.form.yes}</option>
      <option value="no">${S.form.no}</option>
    </select>
  `;
}

function Choice({ field, props, typed, onTyped }) {
  const chosen = choiceAt(field, typed);
  const unset = field.initial === null ? S.form.unset : fill(S.form.unsetIs, { value: short(said(field.initial)) });
  const choose = (event) => onTyped(field.choices[Number(event.target.value)]);
  return html`
    <select ...${props} value=${String(chosen)} onChange=${choose}>
      <option value="-1">${unset}</option>
      ${field.choices.map((choice, number) => html`<option value=${String(number)} key=${number}>${short(said(choice))}</option>`)}
    </select>
  `;
}

// A text, of which the server knows a list.
function Listed({ field, props, typed, onTyped, list }) {
  return html`
    <select ...${props} value=${typed ?? ""} onChange=${(event) => onTyped(event.target.value || undefined)}>
      <option value="">${S.form.unset}</option>
      ${list.map((name) => html`<option value=${name} key=${name}>${name}</option>`)}
    </select>
  `;
}

function Text({ field, props, typed, onTyped }) {
  return html`<input ...${props} type=${field.secret ? "password" : "text"} dir="auto" value=${typed ?? ""}
    autocomplete=${field.secret ? "new-password" : "off"} spellcheck=${false} maxlength=${field.maxLength ?? undefined}
    placeholder=${field.secret ? S.form.secret : shown(field)} onInput=${(event) => onTyped(event.target.value || undefined)} />`;
}

function Long({ field, props, typed, onTyped }) {
  return html`<textarea ...${props} rows="3" dir="auto" value=${typed ?? ""} placeholder=${shown(field)}
    onInput=${(event) => onTyped(event.target.value || undefined)}></textarea>`;
}

const Json = (given) => html`<${Long} ...${given} />`;

function Media({ field, props, typed, onTyped }) {
  const choose = (event) => onTyped(event.target.files.length ? (field.many ? [...event.target.files] : event.target.files[0]) : undefined);
  return html`<input ...${props} type="file" multiple=${Boolean(field.many)} onChange=${choose} />`;
}

const CONTROLS = {
  number: Numeric, integer: Numeric, boolean: YesNo, choice: Choice, text: Text, long: Long, list: Long, media: Media,
  json: Json,
};
