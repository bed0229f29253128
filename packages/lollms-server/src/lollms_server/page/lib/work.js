// An image, music or a film as it is made: how far it is, what it looks like so far, and what came of it.
import { addressOf, ask, blobOf, eventsOf, get, isCancelled, part, Problem, problemIn, randomName, theKey, told } from "./api.js";
import { bindingPath, bodyOf, call } from "./calls.js";
import { whenThere } from "./connection.js";
import { Pace } from "./pace.js";
import { Signal } from "./signal.js";
import { S } from "../strings.js";

const KINDS = { ttv: "video/", ttm: "audio/", tti: "image/" };
const AGAIN = 1000; // milliseconds
const ENDS = ["completed", "failed", "cancelled"];
const jobPath = (id) => `lollms/v2/jobs/${part(id)}`;

/**
 * One request. `state` is "waiting", "coming", at last "whole", "stopped" or "failed"; `progress` is
 * {fraction, left, at, stage, preview}, each of which may be null: `left` are seconds from `at` on, told once there is something
 * to tell from.
 *
 * What takes long (`asJob`) is a job of the server's, which neither a reload nor a lost connection ends: `jobId` names it.
 */
export class Work {
  constructor(request, { asJob = false, jobId = null } = {}) {
    this.request = request; // {modality, name, verb, args, title}
    this.asJob = asJob || jobId !== null;
    this.jobId = jobId;
    this.state = new Signal("waiting");
    this.progress = new Signal({ fraction: null, left: null, at: 0, stage: "", preview: null });
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
      if (!this.results.length && !this.ends.signal.aborted) throw new Problem(S.make.nothing);
      this.wholeAfter = (performance.now() - begin) / 1000;
      this.state.set(this.ends.signal.aborted ? "stopped" : "whole");
    } catch (problem) {
      this.problem = problemIn(problem);
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
      this.results = values.filter((value) => event.payloads[value.payload]).map(
        (value) => new Blob([event.payloads[value.payload]], { type: value.mime_type }),
      );
      this.provenance = event.provenance;
    }
  }

  async follow(onJob) {
    const begun = this.jobId ? Promise.resolve(this.jobId) : this.begin();
    const cancel = () => begun.then(cancelJob, () => {});
    if (this.ends.signal.aborted) cancel();
    this.ends.signal.addEventListener("abort", cancel);
    try {
      this.jobId = await unlessStopped(begun, this.ends.signal);
      onJob(this.jobId);
      await this.whole(await this.ended());
    } finally {
      this.ends.signal.removeEventListener("abort", cancel);
    }
  }

  // The new job's id. One key makes one job, so what was asked for is asked for again where the answer was lost; also
  // after a stop, which a job that has begun is told once its name is known.
  async begin() {
    const { modality, name, verb, args } = this.request;
    const path = `${bindingPath(modality, name)}/verbs/${part(verb)}`;
    const headers = { prefer: "respond-async", "idempotency-key": randomName() };
    return (await despiteLosses(async () => told(await ask(path, { method: "POST", ...bodyOf(args), headers })))).id;
  }

  // The job when it has ended, whatever its state. It goes on at the server while that cannot be reached.
  ended() {
    return despiteLosses(async () => {
      for (;;) {
        const answer = await ask(jobPath(this.jobId), { headers: { accept: "text/event-stream" } });
        for await (const event of eventsOf(answer)) {
          if (event.status === "in_progress") this.tell(event.reported ?? {}, null);
        }
        const job = await get(jobPath(this.jobId));
        if (ENDS.includes(job.status)) return job;
        await new Promise((done) => setTimeout(done, AGAIN)); // a proxy ended the answer
      }
    }, this.ends.signal);
  }

  async whole(job) {
    if (job.status === "cancelled") return this.ends.abort();
    if (job.status !== "completed") throw Problem.of(job.error ?? {});
    this.provenance = job.provenance;
    for (const [number, file] of job.files.entries()) {
      if (!file.mime_type?.startsWith(KINDS[job.modality] ?? "")) continue; // a film's thumbnail
      this.results.push(await despiteLosses(async () => blobOf(await ask(`${jobPath(job.id)}/content?file=${number}`)), this.ends.signal));
    }
  }

  tell({ done = 0, total = null, stage = "" }, preview) {
    const before = this.progress.value;
    if (preview) this.drop(before.preview);
    const share = total > 0 ? done / total : NaN;
    const fraction = Number.isFinite(share) ? Math.max(0, Math.min(1, share)) : null;
    this.progress.set({
      fraction, left: this.pace.left(stage, fraction), at: performance.now(), stage: String(stage ?? ""), preview: preview ? URL.createObjectURL(preview) : before.preview,
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

// What `step` gives, taken again when the server is back where the connection was lost in it, until `signal`.
async function despiteLosses(step, signal) {
  for (;;) {
    try {
      return await step();
    } catch (problem) {
      if (problem.code !== "lost" || signal?.aborted) throw problem;
      await whenThere(signal);
      if (signal?.aborted) throw problem;
    }
  }
}

const unlessStopped = (promise, signal) =>
  new Promise((done, failed) => {
    const stop = () => failed(new DOMException("", "AbortError"));
    if (signal.aborted) stop();
    signal.addEventListener("abort", stop, { once: true });
    promise.then(done, failed);
  });

// It goes on where nobody can be told that it is to stop; then they are once they can.
async function cancelJob(id) {
  await whenThere();
  const key = theKey();
  return fetch(addressOf(`${jobPath(id)}/cancel`), {
    method: "POST", credentials: "omit", keepalive: true, headers: key ? { authorization: `Bearer ${key}` } : {},
  }).catch(() => {});
}
