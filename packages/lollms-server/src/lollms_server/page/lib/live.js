// What is said into the microphone, written down while it is said: the server's realtime transcription, as of OpenAI's protocol.
import { addressOf, part, theKey } from "./api.js";
import { Signal } from "./signal.js";

const TAP = new URL("tap.js", import.meta.url);
const HIGH = 32_000; // Hz from which two samples are made one
const LOWEST = 8000, HIGHEST = 48_000; // Hz that the server takes
const BEHIND = 1_000_000; // bytes that wait to be sent; what comes then is left out

/**
 * `text` is all that was heard so far, of which the last words may still change. Where it cannot be had (the surface is off,
 * a proxy passes no WebSocket on) it stays empty: the recording is written down when it is stopped.
 */
export class Live {
  constructor({ name, options }) {
    this.text = new Signal("");
    this.on = new Signal(false); // whether the server listens
    this.turns = new Map(); // of each turn's id, its text
    this.request = { name, options };
  }

  // Listen to a microphone's `source` in its context.
  async start(context, source) {
    const every = context.sampleRate >= HIGH ? 2 : 1;
    const rate = Math.round(context.sampleRate / every);
    if (rate < LOWEST || rate > HIGHEST || !context.audioWorklet) return;
    await context.audioWorklet.addModule(TAP);
    if (this.over) return;
    const { name, options } = this.request;
    const address = addressOf(`v1/realtime?intent=transcription&model=${part(name)}`);
    address.protocol = address.protocol.replace("http", "ws");
    const key = theKey();
    this.socket = new WebSocket(address, key ? ["realtime", `openai-insecure-api-key.${key}`] : ["realtime"]);
    this.socket.onopen = () => {
      this.on.set(true);
      const input = { format: { type: "audio/pcm", rate }, transcription: { ...options, model: name }, turn_detection: { type: "server_vad" } };
      this.send({ type: "session.update", session: { type: "transcription", audio: { input } } });
    };
    this.socket.onmessage = ({ data }) => this.take(data);
    this.socket.onclose = () => this.close();
    this.node = new AudioWorkletNode(context, "lollms-tap", { numberOfOutputs: 0, channelCount: 1, channelCountMode: "explicit", processorOptions: { every } });
    this.node.port.onmessage = ({ data }) => this.send({ type: "input_audio_buffer.append", audio: base64(data) });
    source.connect(this.node);
  }

  send(event) {
    if (this.socket?.readyState === WebSocket.OPEN && this.socket.bufferedAmount < BEHIND) this.socket.send(JSON.stringify(event));
  }

  take(data) {
    let event;
    try {
      event = JSON.parse(data);
    } catch {
      return this.close();
    }
    if (event?.type === "input_audio_buffer.speech_started") this.turns.set(event.item_id, "");
    if (typeof event?.transcript !== "string") return;
    this.turns.set(event.item_id, event.transcript);
    this.text.set([...this.turns.values()].filter(Boolean).join(" "));
  }

  close() {
    this.over = true;
    this.on.set(false);
    this.socket?.close();
    this.node?.disconnect();
    if (this.node) this.node.port.onmessage = null;
  }
}

function base64(samples) {
  const bytes = new Uint8Array(samples.buffer);
  let text = "";
  for (const one of bytes) text += String.fromCharCode(one);
  return btoa(text);
}
