// Compose: music of a prompt.
import { html } from "../lib/html.js";
import { Maker } from "../ui/maker.js";

export default () => html`<${Maker} id="compose" modality="ttm" verb="generate_music" asJob />`;
