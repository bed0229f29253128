// One recording that is written down, segment by segment.
import { problemIn } from "./api.js";
import { call } from "./calls.js";
import { Signal } from "./signal.js";

const TOGETHER = 60; // milliseconds

export class Listening {
  constructor(request) {
    this.request = request; // {name, file, model, options}
    this.segments = new Signal([]);
    this.heard = [];
    this.timer = 0;
    this.state = new Signal("waiting"); // then "coming", at last "whole", "stopped" or "failed"
    this.progress = new Signal(null); // {done, total, unit, left: seconds or null}
    this.problem = null;
    this.provenance = null;
    this.firstAfter = this.wholeAfter = null;
    this.ends = new AbortController();
  }

  async make() {
    const { name, file, model, options } = this.request;
    const args = { ...options, audio_path: file, ...(model ? { model } : {}) };
    const begin = performance.now();
    const since = () => (performance.now() - begin) / 1000;
    let heard = null;
    try {
      for await (const event of call({ modality: "stt", name, verb: "stream_transcript", args, signal: this.ends.signal })) {
        if (this.state.value === "waiting") this.state.set("coming");
        if (event.type === "done") this.provenance = event.provenance;
        if (event.type === "progress") {
          heard ??= { at: since(), done: event.done };
          this.progress.set({ ...event, left: leftOf(event, heard, since()) });
        }
        if (event.type !== "item") continue;
        this.firstAfter ??= since();
        this.take(event.value);
      }
      this.tell();
      this.wholeAfter = since();
      this.state.set(this.ends.signal.aborted ? "stopped" : "whole");
    } catch (problem) {
      this.tell();
      this.problem = problemIn(problem);
      this.state.set(this.ends.signal.aborted ? "stopped" : "failed");
    }
    return this;
  }

  // One with an id takes the place of the one before it. Of many that come at once the list is drawn once.
  take({ kind: _, ...segment }) {
    if (segment.id && this.heard.at(-1)?.id === segment.id) this.heard.pop();
    this.heard.push(segment);
    this.timer ||= setTimeout(() => this.tell(), TOGETHER);
  }

  tell() {
    clearTimeout(this.timer);
    this.timer = 0;
    if (this.heard.length) this.segments.set([...this.heard]);
  }

  stop() {
    this.ends.abort();
  }
}

// Seconds that are left, by how fast it went so far; null where nobody can know.
export function leftOf({ done, total }, heard, now) {
  const share = done - heard.done;
  return total && share > 0 && now - heard.at > 2 ? ((total - done) * (now - heard.at)) / share : null;
}
