// The frame: navigation, the view that is shown, the key, and whether the server is there.
import { theKey, wanted } from "../lib/api.js";
import { reachable, returned } from "../lib/connection.js";
import { html, useEffect, useRef, useState } from "../lib/html.js";
import { loadModels, useModels } from "../lib/models.js";
import { shown } from "../lib/route.js";
import { useSignal } from "../lib/signal.js";
import { S } from "../strings.js";
import { VIEWS } from "../views/index.js";
import { Icon } from "./icons.js";
import { KeyDialog } from "./key.js";
import { Guarded, ProblemBox } from "./problem.js";
import { ThemeSwitch } from "./theme.js";

export function App() {
  const name = useSignal(shown);
  const problem = useSignal(wanted);
  const main = useRef();
  const first = useRef(true);
  const [asks, setAsks] = useState(false);
  useEffect(() => {
    loadModels();
  }, []);
  useEffect(() => {
    document.title = `${S.views[name]} · ${S.name}`;
    if (!first.current) main.current.focus();
    first.current = false;
  }, [name]);
  return html`
    <a class="skip" href=${`#${name}`} onClick=${() => main.current.focus()}>${S.skip}</a>
    <header class="top">
      <span class="brand"><${Icon} name="speak" />${S.name}</span>
      <nav aria-label=${S.nav}>
        ${VIEWS.map(
          ({ id }) => html`<a key=${id} href=${`#${id}`} aria-current=${id === name ? "page" : undefined}>
            <${Icon} name=${id} /><span>${S.views[id]}</span></a>`,
        )}
      </nav>
      <div class="tools">
        ${theKey() && html`<button class="plain square" onClick=${() => setAsks(true)} aria-label=${S.key.change} title=${S.key.change}>
          <${Icon} name="key" /></button>`}
        <${ThemeSwitch} />
      </div>
    </header>
    <${Connection} />
    <main ref=${main} tabindex="-1">
      ${VIEWS.map((view) => html`<${Kept} key=${view.id} view=${view} shown=${view.id === name} />`)}
    </main>
    ${(problem || asks) && html`<${KeyDialog} problem=${problem} onClose=${asks && !problem ? () => setAsks(false) : null}
      onUsed=${() => setAsks(false)} />`}
  `;
}

// A view stays once it was shown: what it does goes on while another is looked at.
function Kept({ view, shown }) {
  const [state, setState] = useState({});
  useEffect(() => {
    if (!shown || state.View) return;
    setState({});
    view.load().then(
      (module) => setState({ View: module.default }),
      () => setState({ problem: { message: S.problem.load, hint: S.problem.loadHint } }),
    );
  }, [shown]);
  if (state.problem && shown) {
    return html`<section class="view"><${ProblemBox} problem=${state.problem} />
      <button onClick=${() => location.reload()}>${S.problem.reload}</button></section>`;
  }
  if (!state.View) return shown ? html`<div class="view" aria-busy="true"></div>` : null;
  return html`<div hidden=${!shown}><${Guarded}><${state.View} shown=${shown} /><//></div>`;
}

function Connection() {
  const there = useSignal(reachable);
  const times = useSignal(returned);
  const { problem } = useModels();
  const [told, setTold] = useState(0);
  useEffect(() => {
    if (!times) return;
    setTold(times);
    const ends = setTimeout(() => setTold(0), 4000);
    return () => clearTimeout(ends);
  }, [times]);
  return html`
    <div class="connection" role="status">
      ${!there && html`<p class="lost">${S.connection.lost}</p>`}
      ${there && told > 0 && html`<p class="back">${S.connection.back}</p>`}
    </div>
    ${there && problem && problem.status !== 401 && html`<${ProblemBox} problem=${problem} />`}
  `;
}
