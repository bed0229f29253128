// One picture, piece of music or film: asked for, followed, had.
import { call } from "./calls.js";
import { Signal } from "./signal.js";

export const VERBS = { tti: "generate_image", ttm: "generate_music", ttv: "generate_video" };

export class Making {
  constructor(request) {
    this.request = request; // {modality, name, text, options}
    this.state = new Signal("waiting"); // then "coming", at last "whole", "stopped" or "failed"
    this.progress = new Signal(null);
    this.problem = null;
    this.provenance = null;
    this.wholeAfter = null;
    this.address = ""; // of what was made, for an element of its `kind`
    this.kind = "";
    this.ends = new AbortController();
  }

  async make() {
    const { modality, name, text, options } = this.request;
    const begin = performance.now();
    const args = { ...options, prompt: text };
    try {
      for await (const event of call({ modality, name, verb: VERBS[modality], args, signal: this.ends.signal })) {
        this.state.set("coming");
        if (event.type === "progress") this.progress.set(event);
        if (event.type === "result") this.take(event);
      }
      this.wholeAfter = (performance.now() - begin) / 1000;
      this.state.set("whole");
    } catch (problem) {
      this.problem = problem;
      this.state.set(this.ends.signal.aborted ? "stopped" : "failed");
    }
    return this;
  }

  take({ value, payloads, provenance }) {
    const one = value.kind === "list" ? value.items[0] : value;
    this.kind = one.kind;
    this.provenance = provenance;
    this.address = URL.createObjectURL(new Blob([payloads[one.payload]], { type: one.mime_type }));
  }

  stop() {
    this.ends.abort();
  }

  close() {
    this.stop();
    if (this.address) URL.revokeObjectURL(this.address);
  }
}
