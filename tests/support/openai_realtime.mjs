// A program on OpenAI's official SDK: a realtime transcription, over both of its WebSockets.
// node openai_realtime.mjs ADDRESS KEY SOUND prints {"ws": [text, ...], "websocket": [text, ...]}.
// SOUND is a file of samples: 24 kHz, 16 bits, mono.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import OpenAI from "openai";
import { OpenAIRealtimeWS } from "openai/realtime/ws";
import { OpenAIRealtimeWebSocket } from "openai/realtime/websocket";
import { WebSocket } from "ws";

const [address, key, file] = process.argv.slice(2);
const client = new OpenAI({ baseURL: address, apiKey: key, dangerouslyAllowBrowser: true });
const sound = readFileSync(file);
globalThis.WebSocket ??= WebSocket; // a browser's, which puts the key into a subprotocol

async function heard(connection) {
  const texts = [], kinds = new Set();
  await new Promise((resolve, reject) => {
    connection.on("error", reject);
    connection.on("event", (event) => kinds.add(event.type));
    connection.on("session.created", () => connection.send({
      type: "session.update",
      session: { type: "transcription", audio: { input: { transcription: { model: "whisper-1", language: "en" } } } },
    }));
    connection.on("session.updated", () => {
      for (let at = 0; at < sound.length; at += 4800) {
        connection.send({ type: "input_audio_buffer.append", audio: sound.subarray(at, at + 4800).toString("base64") });
      }
    });
    connection.on("conversation.item.input_audio_transcription.completed", (event) => {
      texts.push(event.transcript);
      if (texts.length === 2) resolve();
    });
  });
  connection.close();
  for (const kind of ["input_audio_buffer.speech_started", "input_audio_buffer.speech_stopped",
    "input_audio_buffer.committed", "conversation.item.added", "conversation.item.input_audio_transcription.delta"]) {
    assert.ok(kinds.has(kind), kind);
  }
  return texts;
}

const ws = await heard(new OpenAIRealtimeWS({ model: "whisper" }, client));
const websocket = await heard(new OpenAIRealtimeWebSocket({ model: "whisper" }, client));
console.log(JSON.stringify({ ws, websocket }));
