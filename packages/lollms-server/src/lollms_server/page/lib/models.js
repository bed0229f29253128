// What the server serves, and what each of it takes. Asked once, and anew when the connection came back.
import { get, list, unknown } from "./api.js";
import { bindingPath } from "./calls.js";
import { returned } from "./connection.js";
import { useCallback, useEffect, useState } from "./html.js";
import { Signal, useSignal } from "./signal.js";

// {rows: null | [{name, modality, binding, loaded, ...}], problem}
export const models = new Signal({ rows: null, problem: null });

export async function loadModels() {
  try {
    const rows = (await list("lollms/v2/bindings")).filter((row) => typeof row.name === "string" && typeof row.modality === "string");
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
unknown.follow(loadModels);

export const useModels = () => useSignal(models);

export function describe(modality, name) {
  const path = bindingPath(modality, name);
  if (!described.has(path)) {
    const asked = get(path).then(whole);
    described.set(path, asked);
    asked.catch(() => described.get(path) === asked && described.delete(path));
  }
  return described.get(path);
}

// With all that views read of it.
const object = (given) => (given && typeof given === "object" && !Array.isArray(given) ? given : {});
const names = (given) => (Array.isArray(given) ? given.filter((name) => typeof name === "string") : []);
const whole = (told) => ({
  ...told, capabilities: object(told.capabilities), voices: names(told.voices), models: names(told.models),
  settings: Array.isArray(told.settings) ? told.settings.filter((one) => typeof one?.name === "string") : [],
  verbs: Object.fromEntries(Object.entries(object(told.verbs)).map(([name, spec]) => [name, { ...object(spec), params: names(spec?.params), common: names(spec?.common) }])),
});

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
    async () => (name ? (await list(`${bindingPath(modality, name)}/voices`)).filter((row) => typeof row.id === "string") : null),
    ["voices", modality, name],
  );
