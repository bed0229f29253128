// Film: videos of a prompt.
import { html } from "../lib/html.js";
import { Maker } from "../ui/maker.js";

export default () => html`<${Maker} id="film" modality="ttv" verb="generate_video" asJob />`;
