// Plays sound while it is made: chunks of samples, one after the other without a gap. All of it stays, to be played again.
import { Signal } from "./signal.js";

const AHEAD = 0.12; // seconds before the first sample sounds, for the second chunk to come
const PEAKS = 100; // a second of sound, in the waveform

export class Player {
  constructor() {
    this.chunks = []; // {samples: [Float32Array for each channel], at: seconds}
    this.duration = 0;
    this.rate = 0;
    this.channels = 1;
    this.peaks = [];
    this.playing = new Signal(false);
    this.changed = new Signal(0); // how many chunks there are
    this.moved = new Signal(0); // how often it was sent elsewhere
    this.context = null;
    this.sources = new Set();
    this.offset = 0; // where it stands while it does not play
    this.complete = false;
  }

  // Add int16 samples, channels in turn. A chunk of another rate is none of the same sound.
  add(bytes, rate, channels) {
    const whole = new Int16Array(bytes.buffer ?? bytes, bytes.byteOffset ?? 0, Math.floor(bytes.byteLength / 2));
    const frames = Math.floor(whole.length / channels);
    if (!frames) return;
    this.rate ||= rate;
    this.channels = Math.max(this.channels, channels);
    const samples = Array.from({ length: channels }, () => new Float32Array(frames));
    for (let c = 0; c < channels; c++) {
      const one = samples[c];
      for (let i = 0, at = c; i < frames; i++, at += channels) one[i] = whole[at] / 32768;
    }
    const chunk = { samples, rate, at: this.duration, bytes: whole };
    this.chunks.push(chunk);
    this.duration += frames / rate;
    addPeaks(this.peaks, samples[0], rate);
    if (this.playing.value) this.schedule(chunk);
    this.changed.set(this.chunks.length);
  }

  // No more comes.
  end() {
    this.complete = true;
    if (!this.sources.size && this.playing.value) this.ended();
    this.changed.set(this.changed.value + 1);
  }

  get position() {
    if (!this.playing.value || !this.context) return this.offset;
    return Math.max(0, Math.min(this.duration, this.context.currentTime - this.zero));
  }

  async play(from = this.offset) {
    this.silence();
    this.offset = this.complete && from >= this.duration - 0.01 ? 0 : from;
    this.context ??= new AudioContext(this.rate >= 8000 && this.rate <= 96000 ? { sampleRate: this.rate } : {});
    this.zero = this.context.currentTime + AHEAD - this.offset;
    this.playing.set(true);
    for (const chunk of this.chunks) this.schedule(chunk);
    if (this.context.state === "suspended") await this.context.resume();
  }

  pause() {
    this.offset = this.position;
    this.silence();
    this.playing.set(false);
  }

  seek(seconds) {
    const to = Math.max(0, Math.min(this.duration, seconds));
    if (this.complete && to >= this.duration) this.pause();
    if (this.playing.value) this.play(to);
    else this.offset = to;
    this.moved.set(this.moved.value + 1);
  }

  schedule(chunk) {
    const seconds = chunk.samples[0].length / chunk.rate;
    if (chunk.at + seconds <= this.offset) return;
    let when = this.zero + chunk.at;
    if (when < this.context.currentTime && chunk.at >= this.offset) {
      // It comes late: all that follows is later by as much.
      this.zero += this.context.currentTime + 0.02 - when;
      when = this.zero + chunk.at;
    }
    const skip = Math.max(0, this.offset - chunk.at);
    const buffer = this.context.createBuffer(chunk.samples.length, chunk.samples[0].length, chunk.rate);
    chunk.samples.forEach((one, c) => buffer.copyToChannel(one, c));
    const source = this.context.createBufferSource();
    source.buffer = buffer;
    source.connect(this.context.destination);
    source.onended = () => {
      this.sources.delete(source);
      if (!this.sources.size && this.complete && this.playing.value) this.ended();
    };
    this.sources.add(source);
    source.start(when + skip, skip);
  }

  ended() {
    this.offset = 0;
    this.playing.set(false);
  }

  silence() {
    for (const source of this.sources) {
      source.onended = null;
      source.stop();
    }
    this.sources.clear();
  }

  close() {
    this.silence();
    this.playing.set(false);
    this.context?.close();
    this.context = null;
  }

  // The whole as a WAV file.
  wav() {
    const bytes = this.chunks.reduce((n, chunk) => n + chunk.bytes.byteLength, 0);
    return new Blob([wavHeader(bytes, this.rate, this.channels), ...this.chunks.map((chunk) => chunk.bytes)], { type: "audio/wav" });
  }
}

function addPeaks(peaks, samples, rate) {
  const step = Math.max(1, Math.round(rate / PEAKS));
  for (let at = 0; at < samples.length; at += step) {
    let peak = 0;
    for (let i = at, end = Math.min(at + step, samples.length); i < end; i++) peak = Math.max(peak, Math.abs(samples[i]));
    peaks.push(peak);
  }
}

function wavHeader(bytes, rate, channels) {
  const view = new DataView(new ArrayBuffer(44));
  const text = (at, said) => [...said].forEach((letter, i) => view.setUint8(at + i, letter.charCodeAt(0)));
  text(0, "RIFF");
  view.setUint32(4, 36 + bytes, true);
  text(8, "WAVEfmt ");
  view.setUint32(16, 16, true);
  view.setUint16(20, 1, true);
  view.setUint16(22, channels, true);
  view.setUint32(24, rate, true);
  view.setUint32(28, rate * channels * 2, true);
  view.setUint16(32, channels * 2, true);
  view.setUint16(34, 16, true);
  text(36, "data");
  view.setUint32(40, bytes, true);
  return view.buffer;
}
