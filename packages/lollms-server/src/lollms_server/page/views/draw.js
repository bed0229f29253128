// Draw: images of a prompt, previewed as they come; and images that are changed where a mask is painted, enlarged, or cut out.
import { html } from "../lib/html.js";
import { Maker } from "../ui/maker.js";

const EDITS = ["edit_images", "upscale_image", "remove_background"];

export default () => html`<${Maker} id="draw" modality="tti" verb="generate_image" edits=${EDITS} />`;
