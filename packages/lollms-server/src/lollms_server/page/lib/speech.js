// Speech as it is made: the player that sounds it, and what is said when.
import { problemIn } from "./api.js";
import { call } from "./calls.js";
import { Player } from "./player.js";
import { Signal } from "./signal.js";

/**
 * One text that is spoken.
 *
 * `spoken` is [{text, start, end, word}], seconds from the beginning; `word` is whether these are the engine's times of
 * words, else they are those of a whole part of the text.
 */
export class Speech {
  constructor(request) {
    this.request = request; // {name, text, voice, options}
    this.player = new Player();
    this.spoken = [];
    this.state = new Signal("waiting"); // then "coming", at last "whole", "stopped" or "failed"
    this.problem = null;
    this.progress = new Signal(null);
    this.firstAfter = null; // seconds
    this.wholeAfter = null;
    this.provenance = null;
    this.ends = new AbortController();
  }

  // Until all of it is made. What goes wrong is in `problem`.
  async make({ play = true, begin = performance.now() } = {}) {
    const { name, text, voice, options } = this.request;
    const args = { ...options, text, ...(voice ? { voice } : {}) };
    const since = () => (performance.now() - begin) / 1000;
    try {
      for await (const event of call({ modality: "tts", name, verb: "stream_audio", args, signal: this.ends.signal })) {
        if (event.type === "progress") this.progress.set(event);
        if (event.type === "done") this.provenance = event.provenance;
        if (event.type !== "item") continue;
        const bytes = await event.payloads[event.value.payload].arrayBuffer();
        if (this.ends.signal.aborted) continue; // until the server says that it has stopped
        this.take(event.value, bytes);
        this.firstAfter ??= since();
        if (this.state.value === "waiting") {
          this.state.set("coming");
          if (play) this.player.play(0);
        }
      }
      this.wholeAfter = since();
      this.finish(this.ends.signal.aborted ? "stopped" : "whole");
    } catch (problem) {
      this.problem = problemIn(problem);
      this.finish(this.ends.signal.aborted ? "stopped" : "failed");
    }
    return this;
  }

  take(value, bytes) {
    const at = this.player.duration;
    this.player.add(bytes, value.sample_rate, value.channels);
    const words = value.words ?? [];
    if (words.length) {
      for (const word of words) this.spoken.push({ text: word.text, start: at + word.start, end: at + word.end, word: true });
    } else if (value.text) {
      this.spoken.push({ text: value.text, start: at, end: this.player.duration, word: false });
    }
  }

  finish(state) {
    this.player.end();
    this.state.set(state);
  }

  stop() {
    this.ends.abort();
    this.player.pause();
  }

  close() {
    this.stop();
    this.player.close();
  }
}
