// A program on OpenAI's official SDK: every method for speech, transcription and models, against our server.
// node openai_program.mjs ADDRESS SENTENCE prints {"passed": N}; a failed assertion ends it.
import assert from "node:assert/strict";
import OpenAI, { toFile } from "openai";

const [address, sentence] = process.argv.slice(2);
const client = new OpenAI({ baseURL: address, apiKey: "none", maxRetries: 2 });
let passed = 0;
const heard = (text) => assert.match(text.toLowerCase(), /smooth planks/) ?? passed++;

const speech = await client.audio.speech.create({ model: "tts-1", voice: "alloy", input: sentence });
assert.equal(speech.headers.get("content-type"), "audio/mpeg");
const mp3 = Buffer.from(await speech.arrayBuffer());
assert.ok(mp3.length > 5000);
passed++;

for (const response_format of ["opus", "aac", "flac", "wav", "pcm"]) {
  const made = await client.audio.speech.create({ model: "piper", voice: "joe", input: "Hello there.", response_format });
  assert.ok((await made.arrayBuffer()).byteLength > 1000, response_format);
  passed++;
}

const events = await client.audio.speech.create({
  model: "piper", voice: "joe", input: "Hello there.", response_format: "wav", stream_format: "sse",
});
const told = (await events.text()).split("\n\n").filter((part) => part.startsWith("data: "));
assert.equal(JSON.parse(told.at(-1).slice(6)).type, "speech.audio.done");
passed++;

const file = () => toFile(mp3, "speech.mp3");
const model = "whisper-1";
heard((await client.audio.transcriptions.create({ model, file: await file() })).text);
heard(await client.audio.transcriptions.create({ model, file: await file(), response_format: "text" }));
assert.match(await client.audio.transcriptions.create({ model, file: await file(), response_format: "srt" }), /-->/);
const verbose = await client.audio.transcriptions.create({
  model, file: await file(), response_format: "verbose_json", timestamp_granularities: ["word", "segment"],
});
assert.ok(verbose.words.length > 5 && verbose.segments.length > 0);
passed++;

let streamed = "";
for await (const event of await client.audio.transcriptions.create({ model, file: await file(), stream: true })) {
  if (event.type === "transcript.text.delta") streamed += event.delta;
  else if (event.type === "transcript.text.done") assert.equal(event.text, streamed);
}
heard(streamed);
heard((await client.audio.translations.create({ model, file: await file() })).text);

const ids = [];
for await (const one of client.models.list()) ids.push(one.id);
assert.ok(ids.includes("piper"));
assert.equal((await client.models.retrieve("whisper/tiny.en")).id, "whisper/tiny.en");
await assert.rejects(client.models.retrieve("a/b"), OpenAI.NotFoundError);
await assert.rejects(
  client.audio.speech.create({ model: "piper", voice: "joe", input: "x", volum: 1 }),
  (error) => error instanceof OpenAI.BadRequestError && error.param === "volum" && /Did you mean/.test(error.message),
);
await assert.rejects(
  client.audio.speech.create({ model: "counting", voice: "one", input: "fail" }), OpenAI.InternalServerError,
);
passed++;

// Cancelled by the caller: the server stops the engine, and the promise is rejected.
const controller = new AbortController();
const long = client.audio.speech.create(
  { model: "counting", voice: "one", input: "work 100000", response_format: "wav" }, { signal: controller.signal },
).then((made) => made.arrayBuffer());
setTimeout(() => controller.abort(), 300);
await assert.rejects(long);
passed++;

console.log(JSON.stringify({ passed }));
