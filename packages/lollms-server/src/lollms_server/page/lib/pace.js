// How long something will still take, by how far it came of late.
const LATELY = 0.5; // of the time since it began

/**
 * `left(stage, fraction)` gives seconds, or null where there is nothing to tell from: nothing is said before it is a step or
 * two on, nor of another stage. What is counted is the later half of the time, so that an engine that becomes slower is believed.
 */
export class Pace {
  constructor(now = () => performance.now()) {
    this.now = now;
    this.told = []; // {at, fraction} of this stage
  }

  left(stage, fraction) {
    const now = this.now();
    const before = this.told.at(-1);
    if (fraction === null || stage !== this.stage || (before && fraction < before.fraction)) this.told = [];
    this.stage = stage;
    if (fraction === null) return null;
    if (this.told.at(-1)?.fraction !== fraction) this.told.push({ at: now, fraction });
    if (this.told.length < 3) return null;
    const since = now - (now - this.told[0].at) * LATELY;
    const from = this.told.findLast((one) => one.at <= since) ?? this.told[0];
    return ((now - from.at) / 1000 / (fraction - from.fraction)) * (1 - fraction);
  }
}
