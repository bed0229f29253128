// How far something is that is being made: a bar, what it looks like so far, and the time that is left.
import { isCancelled } from "../lib/api.js";
import { html, useEffect, useState } from "../lib/html.js";
import { useSignal } from "../lib/signal.js";
import { clock } from "../lib/time.js";
import { S, fill } from "../strings.js";
import { ProblemBox } from "./problem.js";

export function Way({ making }) {
  const state = useSignal(making.state);
  const { fraction, left, at, stage, preview } = useSignal(making.progress);
  const waits = state === "waiting" || state === "coming";
  if (state === "whole") return null;
  return html`
    <div class="card result" data-state=${state} role="region" aria-label=${S.make.way}>
      ${state === "failed" && !isCancelled(making.problem) && html`<${ProblemBox} problem=${making.problem} />`}
      ${waits && preview && html`<img class="made" src=${preview} alt=${S.make.preview} />`}
      ${waits && html`<progress value=${fraction ?? undefined} max="1" aria-label=${S.make.way}></progress>`}
      <p class="quiet" role="status">
        ${waits && html`<span class="busy">${stage || (state === "waiting" ? S.make.waiting : S.make.making)}</span> `}
        ${waits && fraction !== null && `${Math.floor(fraction * 100)} %`}
        ${waits && left !== null && html` · <${Left} left=${left} at=${at} />`}
        ${waits && html` · <${Since} />`}
        ${state === "stopped" && S.act.cancelled}
      </p>
    </div>
  `;
}

function useNow() {
  const [now, setNow] = useState(() => performance.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(performance.now()), 1000);
    return () => clearInterval(timer);
  }, []);
  return now;
}

// What is left goes down while nothing is heard, and nobody is told that it will take no longer when it does.
function Left({ left, at }) {
  const rest = left - Math.max(0, useNow() - at) / 1000;
  const said = (seconds) => fill(S.make.left, { time: clock(Math.max(1, Math.ceil(seconds))) });
  return html`<span aria-hidden="true">${rest < -1 ? S.make.longer : said(rest)}</span><span class="hidden">${said(left)}</span>`;
}

function Since() {
  const [begin] = useState(() => performance.now());
  const now = useNow();
  return html`<span aria-hidden="true">${fill(S.make.since, { time: clock((now - begin) / 1000) })}</span>`;
}
