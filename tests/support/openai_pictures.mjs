// A program on OpenAI's official SDK: every method for images and videos, against our server.
// node openai_pictures.mjs ADDRESS PNG prints {"passed": N}; a failed assertion ends it.
import assert from "node:assert/strict";
import { createReadStream } from "node:fs";
import OpenAI from "openai";

const [address, png] = process.argv.slice(2);
const client = new OpenAI({ baseURL: address, apiKey: "none", maxRetries: 2 });
let passed = 0;
const isPng = (text) => Buffer.from(text, "base64").subarray(1, 4).toString() === "PNG";

const images = await client.images.generate({ model: "gpt-image-1", prompt: "a house", n: 2, size: "1024x1024", seed: 3 })
  .catch((error) => error);
assert.ok(images instanceof OpenAI.BadRequestError && images.param === "width", "the model draws 512 pixels");
const drawn = await client.images.generate({ model: "gpt-image-1", prompt: "a house", n: 2 });
assert.ok(drawn.data.length === 2 && drawn.data.every((row) => isPng(row.b64_json)));
passed++;

const kept = await client.images.generate({ prompt: "a house", response_format: "url" });
const fetched = await fetch(kept.data[0].url);
assert.equal(fetched.headers.get("content-type"), "image/png");
passed++;

const kinds = [];
for await (const event of await client.images.generate({ prompt: "work 3", stream: true, partial_images: 2 })) {
  kinds.push(event.type);
  assert.ok(isPng(event.b64_json));
}
assert.equal(kinds.at(-1), "image_generation.completed");
assert.ok(kinds.length > 1);
passed++;

const edited = await client.images.edit({ image: createReadStream(png), mask: createReadStream(png), prompt: "x" });
assert.ok(isPng(edited.data[0].b64_json));
passed++;

let video = await client.videos.create({ model: "sora-2", prompt: "work 20", seconds: "4", size: "64x64" });
assert.match(video.id, /^video_[0-9a-f]{32}$/);
while (["queued", "in_progress"].includes(video.status)) {
  await new Promise((resolve) => setTimeout(resolve, 50));
  video = await client.videos.retrieve(video.id);
}
assert.deepEqual([video.status, video.progress, video.seconds], ["completed", 100, "4"]);
const film = Buffer.from(await (await client.videos.downloadContent(video.id)).arrayBuffer());
assert.equal(film.subarray(4, 8).toString(), "ftyp");
const picture = await client.videos.downloadContent(video.id, { variant: "thumbnail" });
assert.equal(picture.headers.get("content-type"), "image/webp");
passed++;

const remixed = await client.videos.remix(video.id, { prompt: "another" });
assert.equal(remixed.remixed_from_video_id, video.id);
const listed = [];
for await (const one of client.videos.list({ limit: 1 })) listed.push(one.id);
assert.ok(listed.includes(video.id) && listed.includes(remixed.id));
passed++;

const withPicture = await client.videos.create({ prompt: "x", input_reference: createReadStream(png) });
assert.equal((await client.videos.delete(withPicture.id)).deleted, true);
await assert.rejects(client.videos.retrieve(withPicture.id), OpenAI.NotFoundError);
passed++;

await assert.rejects(
  client.videos.create({ prompt: "x", colour: 1 }),
  (error) => error instanceof OpenAI.BadRequestError && error.param === "colour",
);
passed++;

console.log(JSON.stringify({ passed }));
