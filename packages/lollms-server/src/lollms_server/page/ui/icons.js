// Icons: strokes in a square of 24, in the text's colour.
import { html } from "../lib/html.js";

const PATHS = {
  speak: "M5 10v4M9 7v10M13 4v16M17 8v8M21 11v2",
  listen: "M12 3a3 3 0 0 1 3 3v5a3 3 0 0 1-6 0V6a3 3 0 0 1 3-3zM5 11a7 7 0 0 0 14 0M12 18v3",
  compare: "M4 4h6v16H4zM14 4h6v16h-6z",
  draw: "M4 5h16v14H4zM4 16l5-5 4 4 3-3 4 4M15.5 9.5h.01",
  compose: "M9 18V6l11-2v11M9 18a2.5 2.5 0 1 1-5 0 2.5 2.5 0 0 1 5 0zM20 15a2.5 2.5 0 1 1-5 0 2.5 2.5 0 0 1 5 0z",
  film: "M3 5h18v14H3zM8 5v14M16 5v14M3 10h5M3 14h5M16 10h5M16 14h5",
  gallery: "M4 4h7v7H4zM13 4h7v7h-7zM4 13h7v7H4zM13 13h7v7h-7z",
  server: "M4 4h16v6H4zM4 14h16v6H4zM8 7h.01M8 17h.01",
  play: "M7 5l12 7-12 7z",
  pause: "M8 5v14M16 5v14",
  stop: "M6 6h12v12H6z",
  download: "M12 4v11M7 11l5 5 5-5M5 20h14",
  key: "M14 10a4 4 0 1 0-3.5 4L12 15.5V18h2.5v2.5H18V17l-4.2-4.2A4 4 0 0 0 14 10zM8.5 9.5h.01",
  sun: "M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM12 2v2M12 20v2M2 12h2M20 12h2M5 5l1.4 1.4M17.6 17.6L19 19M5 19l1.4-1.4M17.6 6.4L19 5",
  moon: "M20 14.5A8 8 0 0 1 9.5 4a8 8 0 1 0 10.5 10.5z",
  system: "M3 5h18v11H3zM8 20h8M12 16v4",
  record: "M12 7a5 5 0 1 0 0 10 5 5 0 0 0 0-10z",
  edit: "M4 20h4L19 9l-4-4L4 16z",
  close: "M6 6l12 12M18 6L6 18",
  check: "M5 12l5 5 9-10",
  more: "M6 9l6 6 6-6",
  again: "M4 12a8 8 0 1 1 2.5 5.8M4 20v-5h5",
  file: "M6 3h8l4 4v14H6zM14 3v4h4",
};

export const Icon = ({ name }) => html`
  <svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false"><path d=${PATHS[name] ?? ""} /></svg>
`;
