// What went wrong, in our words, and how to mend it.
import { html, useErrorBoundary } from "../lib/html.js";
import { isCancelled } from "../lib/api.js";
import { S, fill } from "../strings.js";
import { Icon } from "./icons.js";

export function ProblemBox({ problem, onClose }) {
  if (!problem || isCancelled(problem)) return null;
  return html`
    <div class="problem" role="alert">
      <div>
        <p dir="auto"><strong>${problem.message}</strong></p>
        ${problem.hint && html`<p class="mend" dir="auto">${problem.hint}</p>`}
        ${problem.param && !problem.message.includes(problem.param) &&
        html`<p class="quiet">${fill(S.problem.param, { param: problem.param })}</p>`}
      </div>
      ${onClose && html`<button class="plain square" onClick=${onClose} aria-label=${S.problem.close}><${Icon} name="close" /></button>`}
    </div>
  `;
}

// A view that fails takes no other along.
export function Guarded({ children }) {
  const [error, again] = useErrorBoundary((failed) => console.error(failed));
  if (!error) return children;
  return html`
    <section class="view">
      <${ProblemBox} problem=${{ message: S.problem.view, hint: String(error?.message ?? error) }} />
      <button onClick=${again}>${S.problem.reload}</button>
    </section>
  `;
}
