// What views are written with: html`<p>…</p>` makes elements of Preact's. Text in it is text, never markup.
import htm from "../vendor/htm.mjs";
import { h, render } from "../vendor/preact.mjs";

export { Component, createContext, render } from "../vendor/preact.mjs";
export {
  useCallback, useContext, useEffect, useErrorBoundary, useId, useLayoutEffect, useMemo, useReducer, useRef, useState,
} from "../vendor/hooks.mjs";
export const html = htm.bind(h);
export const mount = (element, place) => render(element, place);
