// A text whose words light up while they sound. A click on one plays from there.
import { html, useEffect, useRef } from "../lib/html.js";
import { useSignal } from "../lib/signal.js";

export function Spoken({ speech }) {
  const { player, spoken } = speech;
  const place = useRef();
  const playing = useSignal(player.playing);
  useSignal(player.changed);
  useEffect(() => {
    let frame = 0, lit = null;
    const light = () => {
      const element = place.current?.children[indexAt(spoken, player.position)] ?? null;
      if (element !== lit) {
        lit?.classList.remove("lit");
        element?.classList.add("lit");
        lit = element;
      }
      frame = playing ? requestAnimationFrame(light) : 0;
    };
    if (playing) light();
    return () => {
      cancelAnimationFrame(frame);
      lit?.classList.remove("lit");
    };
  }, [speech, playing]);
  const hear = (event) => {
    const index = [...place.current.children].indexOf(event.target);
    if (index >= 0) player.play(spoken[index].start);
  };
  return html`
    <p class="spoken" dir="auto" ref=${place} onClick=${hear}>
      ${spoken.map((part, index) => html`${index ? " " : ""}<span key=${index}>${part.text.trim()}</span>`)}
    </p>
  `;
}

// Which part sounds at a time: the last that has begun; none before the first.
export function indexAt(parts, seconds) {
  let low = 0, high = parts.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (parts[middle].start <= seconds) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}
