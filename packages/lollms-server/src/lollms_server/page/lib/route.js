// Which view is shown: the address's part behind the #.
import { Signal } from "./signal.js";
import { keep, readKept } from "./kept.js";
import { VIEWS } from "../views/index.js";

const known = (name) => VIEWS.some((view) => view.id === name);
const read = () => {
  const name = location.hash.slice(1).split("/")[0];
  const before = readKept("view", VIEWS[0].id);
  return known(name) ? name : known(before) ? before : VIEWS[0].id;
};

export const shown = new Signal(read());

addEventListener("hashchange", () => {
  shown.set(read());
  keep("view", shown.value);
});
