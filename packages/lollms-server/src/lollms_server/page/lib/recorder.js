// The microphone: a recording, and how loud it is while it is made.
import { Problem } from "./api.js";
import { Signal } from "./signal.js";
import { S } from "../strings.js";

const KINDS = ["audio/webm;codecs=opus", "audio/mp4", "audio/ogg;codecs=opus"];

// Why there is no microphone here, or null.
export function unable() {
  if (!window.isSecureContext) return new Problem(S.listen.insecure, { hint: S.listen.insecureHint });
  if (!navigator.mediaDevices?.getUserMedia || !window.MediaRecorder) return new Problem(S.listen.noRecorder);
  return null;
}

export class Recorder {
  /** `live` hears what is recorded, while it is. */
  constructor(live = null) {
    this.live = live;
    this.level = new Signal(0);
    this.began = 0;
  }

  async start() {
    let stream;
    try {
      stream = await navigator.mediaDevices.getUserMedia({ audio: { echoCancellation: false, noiseSuppression: true } });
    } catch (error) {
      const refused = error.name === "NotAllowedError";
      throw new Problem(refused ? S.listen.refused : S.listen.noMicrophone, { hint: refused ? S.listen.refusedHint : String(error.message) });
    }
    this.stream = stream;
    const kind = KINDS.find((one) => MediaRecorder.isTypeSupported(one));
    this.media = new MediaRecorder(stream, kind ? { mimeType: kind } : {});
    this.parts = [];
    this.media.ondataavailable = (event) => event.data.size && this.parts.push(event.data);
    this.media.start(1000);
    this.began = performance.now();
    this.watch(stream);
  }

  watch(stream) {
    this.context = new AudioContext();
    const analyser = this.context.createAnalyser();
    analyser.fftSize = 1024;
    const source = this.context.createMediaStreamSource(stream);
    source.connect(analyser);
    this.live?.start(this.context, source).catch((failed) => console.warn("nothing is written down live:", failed));
    const samples = new Float32Array(analyser.fftSize);
    const look = () => {
      if (!this.context) return;
      analyser.getFloatTimeDomainData(samples);
      let peak = 0;
      for (const one of samples) peak = Math.max(peak, Math.abs(one));
      this.level.set(peak);
      requestAnimationFrame(look);
    };
    look();
  }

  get seconds() {
    return (performance.now() - this.began) / 1000;
  }

  // End it; gives the recording as a File.
  stop() {
    return new Promise((done) => {
      this.media.onstop = () => {
        const type = this.media.mimeType.split(";")[0] || "audio/webm";
        done(Object.assign(new File(this.parts, `${S.listen.recording}.${type.split("/")[1]}`, { type }), { recorded: true }));
      };
      this.media.stop();
      this.close();
    });
  }

  close() {
    for (const track of this.stream?.getTracks() ?? []) track.stop();
    this.live?.close();
    this.context?.close();
    this.context = null;
  }
}
