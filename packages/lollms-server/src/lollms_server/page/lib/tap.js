// In the thread of the sound: what the microphone hears, as 16 bit samples, in parts of a tenth of a second.
class Tap extends AudioWorkletProcessor {
  constructor({ processorOptions: { every } }) {
    super();
    this.every = every; // so many samples are made one: speech needs no more than 24 kHz
    this.part = new Int16Array(Math.round(sampleRate / every / 10));
    this.filled = 0;
    this.sum = this.counted = 0;
  }

  process([[samples]]) {
    for (const one of samples ?? []) {
      this.sum += one;
      if (++this.counted < this.every) continue;
      this.part[this.filled++] = Math.max(-1, Math.min(1, this.sum / this.every)) * 32767;
      this.sum = this.counted = 0;
      if (this.filled < this.part.length) continue;
      this.port.postMessage(this.part.slice());
      this.filled = 0;
    }
    return true;
  }
}
registerProcessor("lollms-tap", Tap);
