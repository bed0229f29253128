// An image that something is made of: what is done with it, by what the model can do, and where.
import { html, useEffect, useRef, useState } from "../lib/html.js";
import { S, fill } from "../strings.js";
import { Icon } from "./icons.js";
import { Mask } from "./mask.js";

/** `edited` is {blob, title, mask}; `ways` are the verbs of the model that take an image, `way` the one that is chosen. */
export function Edited({ edited, model, ways, way, spec, onWay, onClose }) {
  return html`
    <div class="mask">
      ${ways.length > 1 && html`<div class="kinds" role="radiogroup" aria-label=${S.edit.ways}>
        ${ways.map((one) => html`<label key=${one} class="chip"><input type="radio" name="way" checked=${one === way}
          onChange=${() => onWay(one)} /><span>${S.edit.verbs[one]}</span></label>`)}
      </div>`}
      ${!ways.length && html`<p role="status">${fill(S.edit.none, { model })}</p>`}
      ${spec?.params.includes("mask")
        ? html`<${Mask} image=${edited.blob} onMask=${(mask) => (edited.mask = mask)} onClose=${onClose} />`
        : html`<${Plain} image=${edited.blob} onClose=${onClose} />`}
    </div>
  `;
}

function Plain({ image, onClose }) {
  const [address, setAddress] = useState("");
  const [failed, setFailed] = useState(false);
  useEffect(() => {
    const made = URL.createObjectURL(image);
    setAddress(made);
    return () => URL.revokeObjectURL(made);
  }, [image]);
  return html`
    ${address && html`<img src=${address} alt=${S.mask.image} onError=${() => setFailed(true)} />`}
    ${failed && html`<p role="alert">${S.mask.none}</p>`}
    <div class="row"><button class="chip" onClick=${onClose}><${Icon} name="close" />${S.mask.leave}</button></div>
  `;
}

export function Upload({ onFile }) {
  const input = useRef();
  const choose = (event) => {
    if (event.target.files.length) onFile(event.target.files[0]);
    event.target.value = "";
  };
  return html`
    <button onClick=${() => input.current.click()}><${Icon} name="edit" />${S.edit.choose}</button>
    <input ref=${input} type="file" accept="image/*" hidden onChange=${choose} aria-label=${S.edit.choose} />
  `;
}
