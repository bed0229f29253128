// Dark or light: as the system has it, or as was chosen here. The choice is every tab's.
import { Signal } from "./signal.js";

const KEY = "lollms.theme";
export const THEMES = ["system", "light", "dark"];

const read = () => {
  try {
    return localStorage.getItem(KEY);
  } catch {
    return null;
  }
};
const known = (name) => (THEMES.includes(name) ? name : "system");

export const theme = new Signal(known(read()));

const apply = (name) => {
  if (name === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = name;
};

export function choose(name) {
  theme.set(known(name));
  apply(theme.value);
  try {
    localStorage.setItem(KEY, theme.value);
  } catch {
    // It is forgotten, then.
  }
}

apply(theme.value);
addEventListener("storage", (event) => {
  if (event.key !== KEY) return;
  theme.set(known(event.newValue));
  apply(theme.value);
});
