// What one of two models made of a request, with its times.
import { isCancelled } from "../lib/api.js";
import { differing } from "../lib/differing.js";
import { html } from "../lib/html.js";
import { Signal, useSignal } from "../lib/signal.js";
import { tenths } from "../lib/time.js";
import { textOf } from "../lib/transcripts.js";
import { S, fill } from "../strings.js";
import { Icon } from "./icons.js";
import { ProblemBox } from "./problem.js";
import { Waveform } from "./waveform.js";

const NONE = new Signal(null);

export function Side({ kind, run, other, label }) {
  const state = useSignal(run.state);
  const turn = useSignal(run.turn);
  useSignal(other.state); // its words are what ours differ from
  const progress = useSignal(run.progress ?? NONE);
  const share = progress?.fraction ?? (progress?.total ? progress.done / progress.total : undefined);
  const runs = turn && (state === "waiting" || state === "coming");
  const told = !turn && state === "waiting" ? S.compare.waits : state === "stopped" ? S.act.cancelled : "";
  return html`
    <div class="card result" role="region" aria-label=${fill(S.compare.made, { side: label })} data-state=${state}>
      <h2 dir="auto">${run.request.name}</h2>
      ${state === "failed" && !isCancelled(run.problem) && html`<${ProblemBox} problem=${run.problem} />`}
      ${runs && html`<progress max="1" value=${share} aria-label=${S.compare.working}></progress>`}
      ${told && html`<p class="quiet" role="status">${told}</p>`}
      <${kind === "tts" ? Sound : kind === "stt" ? Text : Seen} ...${{ run, other, state }} />
      ${state === "whole" && html`<dl class="times">${timesOf(kind, run).map(
        ([name, value]) => html`<div key=${name}><dt>${name}</dt><dd>${value}</dd></div>`,
      )}</dl>`}
      ${state === "whole" && run.cold && html`<p class="quiet">${S.compare.cold}</p>`}
    </div>
  `;
}

function timesOf(kind, run) {
  const seconds = (value) => fill(S.compare.seconds, { n: tenths(value) });
  const times = [];
  if (run.firstAfter) times.push([kind === "tts" ? S.compare.firstSound : S.compare.firstText, seconds(run.firstAfter)]);
  times.push([S.compare.whole, seconds(run.wholeAfter)]);
  const sound = kind === "tts" ? run.player.duration : kind === "stt" && run.progress.value?.unit === "s" ? run.progress.value.total : 0;
  if (sound) {
    times.push([S.compare.sound, seconds(sound)]);
    times.push([S.compare.pace, fill(S.compare.times, { n: (sound / run.wholeAfter).toFixed(1) })]);
  }
  return times;
}

function Sound({ run }) {
  const { player } = run;
  const playing = useSignal(player.playing);
  useSignal(player.changed);
  if (!player.duration) return null;
  return html`
    <div class="row player">
      <button class="round" onClick=${() => (playing ? player.pause() : player.play())}
        aria-label=${playing ? S.sound.pause : S.sound.play}><${Icon} name=${playing ? "pause" : "play"} /></button>
      <${Waveform} player=${player} />
    </div>
  `;
}

function Text({ run, other, state }) {
  const segments = useSignal(run.segments);
  const whole = state === "whole" && other.state.value === "whole";
  const text = textOf(segments);
  if (!text) return state === "whole" ? html`<p class="quiet">${S.listen.silence}</p>` : null;
  if (!whole) return html`<p class="spoken" dir="auto">${text}</p>`;
  const words = differing(text, textOf(other.segments.value))[0];
  return html`<p class="spoken" dir="auto">${words.map((word, n) => html`${n ? " " : ""}${word.differs ? html`<mark>${word.text}</mark>` : word.text}`)}</p>`;
}

function Seen({ run, state }) {
  if (state !== "whole") return null;
  const { kind, address } = run;
  const alt = run.request.title;
  if (kind === "image") return html`<img class="made" src=${address} alt=${alt} />`;
  if (kind === "video") return html`<video class="made" controls src=${address} aria-label=${alt}></video>`;
  return html`<audio controls src=${address} aria-label=${alt}></audio>`;
}
