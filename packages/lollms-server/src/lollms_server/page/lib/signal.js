// A value that views follow, wherever they are.
import { useEffect, useState } from "./html.js";

export class Signal {
  constructor(value) {
    this.value = value;
    this.heard = new Set();
  }

  set(value) {
    if (Object.is(value, this.value)) return;
    this.value = value;
    for (const hear of [...this.heard]) hear(value);
  }

  follow(hear) {
    this.heard.add(hear);
    return () => this.heard.delete(hear);
  }
}

// Its value, in a view that is drawn anew when it changes.
export function useSignal(signal) {
  const [, set] = useState(signal.value);
  useEffect(() => {
    set(signal.value); // it may have changed since it was drawn
    return signal.follow(set);
  }, [signal]);
  return signal.value;
}
