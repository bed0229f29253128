// Files out of the page, and sound in other formats.
import { ask, blobOf } from "./api.js";

export const SOUNDS = ["wav", "mp3", "flac", "opus", "ogg", "aac"];

export function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000); // by then the browser has it
}

export async function converted(wav, format, signal) {
  if (format === "wav") return wav;
  const form = new FormData();
  form.append("output_format", format);
  form.append("file", wav, "sound.wav");
  return blobOf(await ask("lollms/v2/audio/convert", { method: "POST", form, signal }));
}

// A name for a file, of the first words of a text.
export function nameOf(text, ending) {
  const words = text.normalize("NFC").replace(/[^\p{L}\p{N}\s-]/gu, "").trim().split(/\s+/).slice(0, 6).join("-").slice(0, 48);
  return `${words || "lollms"}.${ending}`;
}
