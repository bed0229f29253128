// What the server serves, and what each of it takes. Asked once, and anew when the connection came back.
import { get } from "./api.js";
import { bindingPath } from "./calls.js";
import { returned } from "./connection.js";
import { useCallback, useEffect, useState } from "./html.js";
import { Signal, useSignal } from "./signal.js";

// {rows: null | [{name, modality, binding, loaded, ...}], problem}
export const models = new Signal({ rows: null, problem: null });

export async function loadModels() {
  try {
    const rows = (await get("lollms/v2/bindings")).data;
    models.set({ rows, problem: null });
  } catch (problem) {
    models.set({ rows: models.value.rows, problem });
  }
  described.clear();
  looked.set(looked.value + 1);
}

const described = new Map();
const looked = new Signal(0);
returned.follow(loadModels);

export const useModels = () => useSignal(models);

export function describe(modality, name) {
  const path = bindingPath(modality, name);
  if (!described.has(path)) {
    const asked = get(path);
    described.set(path, asked);
    asked.catch(() => described.get(path) === asked && described.delete(path));
  }
  return described.get(path);
}

// Something that is asked for when the view shows it: {value, problem, again()}.
export function useAsked(make, of) {
  const [state, setState] = useState({ of: null, value: null, problem: null });
  const since = useSignal(looked);
  const [turn, setTurn] = useState(0);
  const mark = JSON.stringify(of);
  useEffect(() => {
    let shown = true;
    make().then(
      (value) => shown && setState({ of: mark, value, problem: null }),
      (problem) => shown && setState({ of: mark, value: null, problem }),
    );
    return () => {
      shown = false;
    };
  }, [mark, since, turn]);
  const again = useCallback(() => setTurn((n) => n + 1), []);
  const current = state.of === mark ? state : { value: null, problem: null };
  return { value: current.value, problem: current.problem, again };
}

export const useDescription = (modality, name) =>
  useAsked(async () => (name ? describe(modality, name) : null), ["describe", modality, name]);

// The binding's lists, by the names that its options have for them.
export const listsOf = (told) => ({ list_voices: told?.voices, list_models: told?.models });

export const useVoices = (modality, name) =>
  useAsked(
    async () => (name ? (await get(`${bindingPath(modality, name)}/voices`)).data : null),
    ["voices", modality, name],
  );
