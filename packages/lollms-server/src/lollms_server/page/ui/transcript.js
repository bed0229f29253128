// A transcript: segments with their times. A click on a word plays from there; each segment can be edited.
import { Component, html, useEffect, useLayoutEffect, useRef, useState } from "../lib/html.js";
import { edited } from "../lib/transcripts.js";
import { clock } from "../lib/time.js";
import { S, fill } from "../strings.js";
import { Icon } from "./icons.js";
import { indexAt } from "./spoken.js";

/** `audio` is the element that plays the recording, or null; `onChange` gets all segments. */
export function Transcript({ segments, onChange, audio, live }) {
  const place = useRef();
  useEffect(() => {
    if (!audio) return;
    let frame = 0, lit = null, words = [];
    const light = () => {
      const word = words[indexAt(words, audio.currentTime + 0.01)]?.element;
      if (word !== lit) {
        lit?.classList.remove("lit");
        word?.classList.add("lit");
        lit = word;
      }
      frame = audio.paused ? 0 : requestAnimationFrame(light);
    };
    const begin = () => {
      cancelAnimationFrame(frame);
      const found = place.current?.querySelectorAll("[data-start]") ?? [];
      words = Array.from(found, (element) => ({ element, start: Number(element.dataset.start) }));
      light();
    };
    if (!audio.paused) begin();
    for (const name of ["play", "seeked"]) audio.addEventListener(name, begin);
    return () => {
      cancelAnimationFrame(frame);
      lit?.classList.remove("lit");
      for (const name of ["play", "seeked"]) audio.removeEventListener(name, begin);
    };
  }, [audio, segments]);
  const hear = (seconds) => {
    if (!audio) return;
    audio.currentTime = seconds;
    audio.play();
  };
  const acts = useRef({}).current; // the rows stay as they are while these change
  acts.hear = hear;
  acts.change = (index, text) => onChange(segments.map((one, i) => (i === index ? edited(one, text) : one)));
  return html`
    <ol class="transcript" ref=${place} aria-label=${S.listen.transcript}>
      ${segments.map(
        (segment, index) => html`<${Once} key=${index} ...${{ segment, index, acts, live, plays: Boolean(audio) }}
          speaker=${segment.speaker !== segments[index - 1]?.speaker ? segment.speaker : null} />`,
      )}
    </ol>
  `;
}

// A row is drawn anew only when its segment is another: there may be thousands.
class Once extends Component {
  shouldComponentUpdate(next) {
    return ["segment", "speaker", "live", "plays", "index"].some((name) => next[name] !== this.props[name]);
  }

  render(props) {
    return html`<${Row} ...${props} />`;
  }
}

function Row({ segment, speaker, plays, live, index, acts }) {
  const hear = (seconds) => acts.hear(seconds);
  const onText = (text) => acts.change(index, text);
  const [edits, setEdits] = useState(false);
  const at = clock(segment.start);
  const again = useRef();
  const was = useRef(false);
  useLayoutEffect(() => {
    if (was.current && !edits) again.current?.focus();
    was.current = edits;
  }, [edits]);
  return html`
    <li>
      <button class="plain time" disabled=${!plays} onClick=${() => hear(segment.start)} aria-label=${fill(S.listen.hearFrom, { at })}>${at}</button>
      <div class="said">
        ${speaker && html`<p class="speaker" dir="auto">${speaker}</p>`}
        ${edits
          ? html`<${Edit} text=${segment.text.trim()} onDone=${(text) => { if (text !== null) onText(text); setEdits(false); }} />`
          : html`<p dir="auto" onKeyDown=${walk}><${Words} segment=${segment} hear=${hear} plays=${plays} /></p>`}
      </div>
      ${!edits && html`<button class="plain square edit" ref=${again} disabled=${live} onClick=${() => setEdits(true)}
        aria-label=${fill(S.listen.edit, { at })} title=${fill(S.listen.edit, { at })}><${Icon} name="edit" /></button>`}
    </li>
  `;
}

function Words({ segment, hear, plays }) {
  const words = segment.words?.length ? segment.words : [{ text: segment.text, start: segment.start }];
  return words.map((word, index) => {
    const text = word.text.trim();
    const space = index && /^\s/.test(word.text) ? " " : "";
    const told = { "data-start": word.start, class: word.probability !== null && word.probability < 0.5 ? "word unsure" : "word" };
    if (!plays) return html`${space}<span key=${index} ...${told}>${text}</span>`;
    return html`${space}<span key=${index} ...${told} role="button" tabindex=${index ? -1 : 0} onClick=${() => hear(word.start)}>${text}</span>`;
  });
}

// Arrow keys go from word to word, Enter plays.
function walk(event) {
  const word = event.target;
  if (word.getAttribute("role") !== "button") return;
  if (event.key === "Enter" || event.key === " ") {
    event.preventDefault();
    return word.click();
  }
  const turned = getComputedStyle(event.currentTarget).direction === "rtl";
  const step = { ArrowRight: turned ? -1 : 1, ArrowLeft: turned ? 1 : -1 }[event.key];
  if (!step) return;
  event.preventDefault();
  const words = [...event.currentTarget.querySelectorAll("[role=button]")];
  words[words.indexOf(word) + step]?.focus();
}

function Edit({ text, onDone }) {
  const [typed, setTyped] = useState(text);
  const field = useRef();
  useLayoutEffect(() => field.current.focus(), []);
  const key = (event) => {
    if (event.key === "Escape") onDone(null);
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) onDone(typed);
  };
  return html`
    <textarea ref=${field} dir="auto" rows="3" value=${typed} aria-label=${S.listen.editText} onKeyDown=${key}
      onInput=${(event) => setTyped(event.target.value)}></textarea>
    <div class="row tight">
      <button onClick=${() => onDone(typed)}><${Icon} name="check" />${S.listen.done}</button>
      <button class="plain" onClick=${() => onDone(null)}>${S.listen.leave}</button>
    </div>
  `;
}
