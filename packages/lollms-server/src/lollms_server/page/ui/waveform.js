// A waveform on a canvas: drawn when its sound changes, while a line over it moves.
import { html, useEffect, useRef } from "../lib/html.js";
import { useSignal } from "../lib/signal.js";
import { S, fill } from "../strings.js";
import { clock } from "../lib/time.js";

const BAR = 3, GAP = 1.5; // CSS pixels
const STEP = 2; // seconds of an arrow key

export function Waveform({ player }) {
  const canvas = useRef(), line = useRef(), box = useRef();
  const changes = useSignal(player.changed);
  const playing = useSignal(player.playing);
  const moves = useSignal(player.moved);
  useEffect(() => {
    const redraw = () => draw(canvas.current, player.peaks);
    redraw();
    const watcher = new ResizeObserver(redraw);
    watcher.observe(box.current);
    const scheme = matchMedia("(prefers-color-scheme: dark)");
    scheme.addEventListener("change", redraw);
    const themed = new MutationObserver(redraw);
    themed.observe(document.documentElement, { attributeFilter: ["data-theme"] });
    return () => {
      watcher.disconnect();
      themed.disconnect();
      scheme.removeEventListener("change", redraw);
    };
  }, [player, changes]);
  useEffect(() => {
    let frame = 0;
    const move = () => {
      if (!box.current) return;
      const share = player.duration ? player.position / player.duration : 0;
      line.current.style.transform = `translateX(${share * box.current.clientWidth}px)`;
      frame = playing ? requestAnimationFrame(move) : 0;
    };
    move();
    return () => cancelAnimationFrame(frame);
  }, [player, playing, changes, moves]);
  const at = (event) => {
    const place = box.current.getBoundingClientRect();
    player.seek(((event.clientX - place.left) / place.width) * player.duration);
  };
  const key = (event) => {
    const to = { ArrowRight: player.position + STEP, ArrowLeft: player.position - STEP, Home: 0, End: player.duration }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    player.seek(to);
  };
  return html`
    <div class="waveform" ref=${box} role="slider" tabindex="0" aria-label=${S.sound.wave} aria-valuemin="0" dir="ltr"
      aria-valuemax=${player.duration.toFixed(1)} aria-valuenow=${player.position.toFixed(1)}
      aria-valuetext=${fill(S.sound.at, { at: clock(player.position), whole: clock(player.duration) })}
      onClick=${at} onKeyDown=${key}>
      <canvas ref=${canvas} aria-hidden="true"></canvas>
      <span class="line" ref=${line}></span>
    </div>
  `;
}

export function draw(canvas, peaks) {
  if (!canvas) return; // gone by now
  const width = canvas.clientWidth, height = canvas.clientHeight, scale = devicePixelRatio || 1;
  if (!width) return;
  canvas.width = width * scale;
  canvas.height = height * scale;
  const pen = canvas.getContext("2d");
  pen.scale(scale, scale);
  pen.fillStyle = getComputedStyle(canvas).color;
  const bars = Math.max(1, Math.floor(width / (BAR + GAP)));
  for (let bar = 0; bar < bars; bar++) {
    let peak = 0;
    const first = Math.floor((bar / bars) * peaks.length), last = Math.max(first + 1, Math.floor(((bar + 1) / bars) * peaks.length));
    for (let i = first; i < last && i < peaks.length; i++) peak = Math.max(peak, peaks[i]);
    const tall = Math.max(2, Math.sqrt(peak) * (height - 4));
    pen.beginPath();
    pen.roundRect(bar * (BAR + GAP), (height - tall) / 2, BAR, tall, BAR / 2);
    pen.fill();
  }
}
