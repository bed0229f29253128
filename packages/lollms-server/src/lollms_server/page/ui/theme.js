// The switch of colours.
import { html } from "../lib/html.js";
import { useSignal } from "../lib/signal.js";
import { choose, theme, THEMES } from "../lib/theme.js";
import { S } from "../strings.js";
import { Icon } from "./icons.js";

const ICONS = { system: "system", light: "sun", dark: "moon" };

export function ThemeSwitch() {
  const now = useSignal(theme);
  const next = THEMES[(THEMES.indexOf(now) + 1) % THEMES.length];
  const label = `${S.theme.name}: ${S.theme[now]}`;
  return html`<button class="plain square" onClick=${() => choose(next)} aria-label=${label} title=${label}>
    <${Icon} name=${ICONS[now]} /></button>`;
}
