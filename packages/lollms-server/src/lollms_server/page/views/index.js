// The views, in the order of the navigation. Each is a file, fetched when it is first shown, whose default export draws it.
export const VIEWS = [
  { id: "speak", load: () => import("./speak.js") },
  { id: "listen", load: () => import("./listen.js") },
  { id: "compare", load: () => import("./compare.js") },
  { id: "draw", load: () => import("./draw.js") },
  { id: "compose", load: () => import("./compose.js") },
  { id: "film", load: () => import("./film.js") },
  { id: "server", load: () => import("./server.js") },
];
