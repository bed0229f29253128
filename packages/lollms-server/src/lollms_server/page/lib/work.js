// An image, music or a film as it is made: how far it is, what it looks like so far, and what came of it.
import { addressOf, ask, eventsOf, get, isCancelled, part, Problem, theKey } from "./api.js";
import { bindingPath, bodyOf, call } from "./calls.js";
import { Signal } from "./signal.js";

const KINDS = { ttv: "video/", ttm: "audio/", tti: "image/" };
const jobPath = (id) => `lollms/v2/jobs/${part(id)}`;

/**
 * One request. `state` is "waiting", "coming", at last "whole", "stopped" or "failed"; `progress` is
 * {fraction, left, stage, preview}, each of which may be null: `left` are seconds, told once there is something to tell from.
 *
 * What takes long (`asJob`) is a job of the server's, which a reload does not end: `jobId` names it.
 */
export class Work {
  constructor(request, { asJob = false, jobId = null } = {}) {
    this.request = request; // {modality, name, verb, args, title}
    this.asJob = asJob || jobId !== null;
    this.jobId = jobId;
    this.state = new Signal("waiting");
    this.progress = new Signal({ fraction: null, left: null, stage: "", preview: null });
    this.results = []; // Blobs
    this.provenance = null;
    this.problem = null;
    this.wholeAfter = null; // seconds
    this.shown = ""; // the address of the first result, once it was asked for
    this.ends = new AbortController();
    this.pace = new Pace();
  }

  async make(onJob = () => {}) {
    const begin = performance.now();
    try {
      if (this.asJob) await this.follow(onJob);
      else await this.watch();
      this.wholeAfter = (performance.now() - begin) / 1000;
      this.state.set(this.ends.signal.aborted ? "stopped" : "whole");
    } catch (problem) {
      this.problem = problem;
      this.state.set(this.ends.signal.aborted || isCancelled(problem) ? "stopped" : "failed");
    }
    this.drop(this.progress.value.preview);
    return this;
  }

  async watch() {
    for await (const event of call({ ...this.request, signal: this.ends.signal })) {
      if (event.type === "progress") {
        const shown = event.preview ? event.payloads[event.preview.payload] : null;
        this.tell(event, shown && new Blob([shown], { type: event.preview.mime_type }));
      }
      if (event.type !== "result") continue;
      const values = event.value.kind === "list" ? event.value.items : [event.value];
      this.results = values.filter((value) => value.payload !== undefined).map(
        (value) => new Blob([event.payloads[value.payload]], { type: value.mime_type }),
      );
      this.provenance = event.provenance;
    }
  }

  async follow(onJob) {
    if (!this.jobId) {
      const { modality, name, verb, args } = this.request;
      const answer = await ask(`${bindingPath(modality, name)}/verbs/${part(verb)}`, {
        method: "POST", ...bodyOf(args), headers: { prefer: "respond-async" }, signal: this.ends.signal,
      });
      this.jobId = (await answer.json()).id;
    }
    onJob(this.jobId);
    const cancel = () => cancelJob(this.jobId);
    if (this.ends.signal.aborted) cancel();
    this.ends.signal.addEventListener("abort", cancel);
    try {
      await this.whole(await this.ended());
    } finally {
      this.ends.signal.removeEventListener("abort", cancel);
    }
  }

  // The job when it has ended, whatever its state.
  async ended() {
    let job = null;
    const answer = await ask(jobPath(this.jobId), { headers: { accept: "text/event-stream" } });
    for await (const event of eventsOf(answer)) {
      job = event;
      if (event.status === "in_progress") this.tell(event.reported ?? {}, null);
    }
    return job ?? get(jobPath(this.jobId));
  }

  async whole(job) {
    if (job.status === "cancelled") return this.ends.abort();
    if (job.status !== "completed") throw Problem.of(job.error ?? {});
    this.provenance = job.provenance;
    for (const [number, file] of job.files.entries()) {
      if (!file.mime_type.startsWith(KINDS[job.modality] ?? "")) continue; // a film's thumbnail
      this.results.push(await (await ask(`${jobPath(job.id)}/content?file=${number}`)).blob());
    }
  }

  tell({ done = 0, total = null, stage = "" }, preview) {
    const before = this.progress.value;
    if (preview) this.drop(before.preview);
    const fraction = total > 0 ? Math.min(1, done / total) : null;
    this.progress.set({
      fraction, left: this.pace.left(stage, fraction), stage, preview: preview ? URL.createObjectURL(preview) : before.preview,
    });
    if (this.state.value === "waiting") this.state.set("coming");
  }

  drop(address) {
    if (address) URL.revokeObjectURL(address);
  }

  // "image", "audio" or "video": what the first result is, and its address for an element of that kind.
  get kind() {
    return this.results[0]?.type.split("/")[0] ?? "";
  }

  get address() {
    if (!this.shown && this.results.length) this.shown = URL.createObjectURL(this.results[0]);
    return this.shown;
  }

  stop() {
    this.ends.abort();
  }

  close() {
    this.stop();
    this.drop(this.shown);
  }
}

// How long it will take, by what was done since this stage was first told of. Nothing is said before it is a tenth or two steps on.
class Pace {
  left(stage, fraction) {
    const now = performance.now();
    if (fraction === null || stage !== this.stage || fraction < this.first) {
      Object.assign(this, { stage, first: fraction ?? 0, since: now, told: 0 });
      return null;
    }
    if (fraction > this.first) this.told += 1;
    if (this.told < 2 || fraction <= this.first) return null;
    return ((now - this.since) / 1000 / (fraction - this.first)) * (1 - fraction);
  }
}

function cancelJob(id) {
  const key = theKey();
  return fetch(addressOf(`${jobPath(id)}/cancel`), {
    method: "POST", credentials: "omit", keepalive: true, headers: key ? { authorization: `Bearer ${key}` } : {},
  }).catch(() => {});
}
