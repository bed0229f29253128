// Draw: images of a prompt, previewed as they come; and images changed where a mask is painted.
import { html } from "../lib/html.js";
import { Maker } from "../ui/maker.js";

export default () => html`<${Maker} id="draw" modality="tti" verb="generate_image" edits="edit_images" />`;
