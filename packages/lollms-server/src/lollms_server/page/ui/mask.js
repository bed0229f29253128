// An image that is to be changed, and where: painted over it with a brush, or all of it where nothing is painted.
import { html, useEffect, useId, useRef, useState } from "../lib/html.js";
import { S } from "../strings.js";
import { Icon } from "./icons.js";

/** `onMask` gets a function that gives the mask as a PNG, transparent where it was painted, or null where nothing was. */
export function Mask({ image, onMask, onClose }) {
  const canvas = useRef();
  const painted = useRef(false);
  const [size, setSize] = useState(null);
  const [address, setAddress] = useState("");
  const [brush, setBrush] = useState(12);
  const [failed, setFailed] = useState(false);
  const id = useId();
  useEffect(() => {
    const made = URL.createObjectURL(image);
    setAddress(made);
    return () => URL.revokeObjectURL(made);
  }, [image]);
  useEffect(() => onMask(() => (painted.current ? maskOf(canvas.current) : null)), []);

  const at = (event) => {
    const box = canvas.current.getBoundingClientRect();
    return [((event.clientX - box.left) / box.width) * canvas.current.width, ((event.clientY - box.top) / box.height) * canvas.current.height];
  };
  const stroke = (from, to) => {
    const pen = canvas.current.getContext("2d");
    pen.lineWidth = (Math.max(canvas.current.width, canvas.current.height) * brush) / 100;
    pen.lineCap = pen.lineJoin = "round";
    pen.strokeStyle = "#f33";
    pen.beginPath();
    pen.moveTo(...from);
    pen.lineTo(to[0] + 0.01, to[1]);
    pen.stroke();
    painted.current = true;
  };
  const before = useRef(null);
  const down = (event) => {
    event.target.setPointerCapture(event.pointerId);
    before.current = at(event);
    stroke(before.current, before.current);
  };
  const move = (event) => {
    if (!before.current) return;
    const now = at(event);
    stroke(before.current, now);
    before.current = now;
  };
  // With keys the brush is moved from the middle, and the space bar paints.
  const hand = useRef(null);
  const key = (event) => {
    const { width, height } = canvas.current;
    const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1], " ": [0, 0] }[event.key];
    if (!way) return;
    event.preventDefault();
    const from = hand.current ?? [width / 2, height / 2];
    hand.current = [from[0] + (way[0] * width) / 20, from[1] + (way[1] * height) / 20];
    if (event.key === " " || event.shiftKey) stroke(from, hand.current);
  };
  const clear = () => {
    canvas.current.getContext("2d").clearRect(0, 0, canvas.current.width, canvas.current.height);
    painted.current = false;
  };
  return html`
    <div class="over">
      ${address && html`<img src=${address} alt=${S.mask.image} onLoad=${(event) => setSize([event.target.naturalWidth, event.target.naturalHeight])}
        onError=${() => setFailed(true)} />`}
      ${size && html`<canvas ref=${canvas} width=${size[0]} height=${size[1]} tabindex="0" role="application" aria-label=${S.mask.paint}
        onPointerDown=${down} onPointerMove=${move} onPointerUp=${() => (before.current = null)} onKeyDown=${key}></canvas>`}
    </div>
    ${failed && html`<p role="alert">${S.mask.none}</p>`}
    <div class="row">
      <label for=${id} class="quiet">${S.mask.brush}</label>
      <input id=${id} type="range" min="2" max="40" value=${brush} onInput=${(event) => setBrush(Number(event.target.value))} />
      <button class="chip" onClick=${clear}>${S.mask.clear}</button>
      <button class="chip" onClick=${onClose}><${Icon} name="close" />${S.mask.leave}</button>
    </div>
    <p class="quiet">${S.mask.hint}</p>
  `;
}

// Opaque where nothing was painted, transparent where something was.
function maskOf(painted) {
  const mask = new OffscreenCanvas(painted.width, painted.height);
  const pen = mask.getContext("2d");
  pen.fillRect(0, 0, mask.width, mask.height);
  pen.globalCompositeOperation = "destination-out";
  pen.drawImage(painted, 0, 0);
  return mask.convertToBlob({ type: "image/png" }).then((blob) => new File([blob], "mask.png", { type: "image/png" }));
}
