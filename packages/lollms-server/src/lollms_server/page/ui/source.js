// Where a recording comes from: the microphone, a file that is chosen, dropped or pasted.
import { html, useEffect, useRef, useState } from "../lib/html.js";
import { Recorder, unable } from "../lib/recorder.js";
import { Signal, useSignal } from "../lib/signal.js";
import { clock } from "../lib/time.js";
import { S, fill } from "../strings.js";
import { Icon } from "./icons.js";
import { ProblemBox } from "./problem.js";

const SILENT = new Signal(0);
const isSound = (file) => !file.type || /^(audio|video)\//.test(file.type) || file.type === "application/ogg";

/** `onFile` gets a File; `live()` gives what hears the microphone meanwhile. Dropping and pasting count while `shown`. */
export function Source({ file, onFile, shown, disabled, live = () => null }) {
  const [recorder, setRecorder] = useState(null);
  const [problem, setProblem] = useState(null);
  const [over, setOver] = useState(false);
  const chooser = useRef();
  const take = (files) => {
    const found = [...files].find(isSound);
    setProblem(found || !files.length ? null : { message: S.listen.notSound, hint: S.listen.notSoundHint });
    if (found) onFile(found);
  };
  useEffect(() => {
    if (!shown || disabled) return;
    const paste = (event) => {
      if (!event.clipboardData?.files.length) return;
      event.preventDefault();
      take(event.clipboardData.files);
    };
    const drag = (event) => {
      if (!event.dataTransfer?.types.includes("Files")) return;
      event.preventDefault();
      setOver(event.type === "dragover");
      if (event.type === "drop") take(event.dataTransfer.files);
    };
    addEventListener("paste", paste);
    for (const name of ["dragover", "dragleave", "drop"]) addEventListener(name, drag);
    return () => {
      removeEventListener("paste", paste);
      for (const name of ["dragover", "dragleave", "drop"]) removeEventListener(name, drag);
    };
  }, [shown, disabled]);
  useEffect(() => () => recorder?.close(), [recorder]);

  const record = async () => {
    setProblem(null);
    for (const audio of document.querySelectorAll("audio")) audio.pause(); // or it would hear that, too
    if (recorder) {
      const made = await recorder.stop();
      setRecorder(null);
      return onFile(made);
    }
    const why = unable();
    if (why) return setProblem(why);
    let started;
    try {
      started = new Recorder(live());
      await started.start();
      setRecorder(started);
    } catch (failed) {
      setProblem(failed);
    }
  };
  return html`
    <div class=${`card source ${over ? "over" : ""}`}>
      <div class="row">
        <button class=${recorder ? "stop" : "main"} onClick=${record} disabled=${disabled}>
          <${Icon} name=${recorder ? "stop" : "listen"} />${recorder ? S.listen.stopRecording : S.listen.record}</button>
        ${!recorder && html`
          <button onClick=${() => chooser.current.click()} disabled=${disabled}><${Icon} name="file" />${S.listen.choose}</button>
          <input type="file" class="hidden" tabindex="-1" ref=${chooser} accept="audio/*,video/*" aria-label=${S.listen.choose}
            onChange=${(event) => { take(event.target.files); event.target.value = ""; }} />
          <span class="quiet">${S.listen.dropOrPaste}</span>`}
        ${recorder && html`<${Level} recorder=${recorder} />`}
      </div>
      ${recorder?.live && html`<${Heard} live=${recorder.live} />`}
      ${file && !recorder && html`<p class="quiet" dir="auto">${fill(S.listen.chosen, { name: file.name, size: sizeOf(file.size) })}</p>`}
      <${ProblemBox} problem=${problem} onClose=${() => setProblem(null)} />
    </div>
  `;
}

function Level({ recorder }) {
  const level = useSignal(recorder?.level ?? SILENT);
  return html`
    <span class="level" aria-hidden="true"><span class="bar" style=${{ transform: `scaleX(${Math.min(1, Math.sqrt(level))})` }}></span></span>
    <span class="quiet" role="timer">${clock(recorder.seconds)}</span>
    <span class="hidden" role="status">${S.listen.recordingNow}</span>
  `;
}

// The last of it is what is being said.
function Heard({ live }) {
  const text = useSignal(live.text);
  const on = useSignal(live.on);
  const place = useRef();
  useEffect(() => {
    if (place.current) place.current.scrollTop = place.current.scrollHeight;
  }, [text]);
  if (!on && !text) return null;
  return html`<p class="spoken heard" dir="auto" role="log" aria-label=${S.listen.heard} tabindex="0" ref=${place}>${text || html`<span class="quiet">${S.listen.speak}</span>`}</p>`;
}

export function sizeOf(bytes) {
  if (bytes < 1000) return fill(S.listen.bytes, { n: bytes });
  return bytes < 1e6 ? fill(S.listen.kilobytes, { n: Math.round(bytes / 1000) }) : fill(S.listen.megabytes, { n: (bytes / 1e6).toFixed(1) });
}
