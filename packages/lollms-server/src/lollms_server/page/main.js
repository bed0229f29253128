// The page begins here.
import { html, mount } from "./lib/html.js";
import "./lib/theme.js";
import { App } from "./ui/app.js";

mount(html`<${App} />`, document.getElementById("page"));
