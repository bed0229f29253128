// All that the page says, in English. {names} in braces are filled in by fill().
export const S = {
  name: "lollms",
  skip: "Skip to the content",
  nav: "Views",
  views: {
    speak: "Speak", listen: "Listen", compare: "Compare",
  },
  theme: { name: "Colours", system: "As the system", light: "Light", dark: "Dark" },
  key: {
    title: "A key is needed",
    why: "This server lets in those who have a key. It stays in this tab, and is forgotten with it.",
    label: "Key",
    use: "Use this key",
    change: "Another key",
    forget: "Forget the key",
    refused: "The key that was given is not taken.",
  },
  connection: {
    lost: "The server cannot be reached. What you typed is kept; the page goes on when it is back.",
    back: "The server is back.",
  },
  problem: {
    unknown: "Something went wrong.",
    lost: "The connection to the server was lost.",
    lostHint: "The page looks for it, and says when it is back. Then ask again.",
    cut: "The server ended the answer before it was whole.",
    status: "The server answered with status {status}, and no reason.",
    again: "Ask again in {seconds} s.",
    number: "{field}: that is no number.",
    whole: "{field}: that is no whole number.",
    json: "{field}: that is no JSON.",
    view: "This part of the page failed.",
    load: "This part of the page could not be loaded.",
    loadHint: "The server may have another version by now: load the page anew.",
    reload: "Load anew",
    close: "Close",
    param: "It is about {param}.",
  },
  model: {
    label: "Model", none: "No model of this kind is served.",
    noneHint: "Install one, such as: {command}. Then start the server again.",
    loading: "Asking what the server has …",
    own: "Of its own models", ownDefault: "its default", loaded: "in memory", resting: "loads at the first request",
  },
  form: {
    options: "Options of {model}", none: "{model} has no further options.", reset: "Back to what it does by itself",
    initial: "{value} if left empty", empty: "its own if left empty", yes: "yes", no: "no", unset: "its own",
    unsetIs: "its own ({value})", oneALine: "One a line.", asJson: "As JSON.", file: "Choose a file", files: "Choose files",
    clear: "Clear {field}", between: "{min} to {max}", atLeast: "at least {min}", atMost: "at most {max}",
    secret: "kept secret",
  },
  act: { stop: "Stop", stopping: "Stopping …", cancelled: "Stopped.", download: "Download", copy: "Copy", copied: "Copied" },
  sound: {
    play: "Play", pause: "Pause", wave: "Sound; arrow keys move through it", at: "{at} of {whole}",
    converting: "Making the {format} …",
  },
  speak: {
    title: "Speak", lead: "Type a text, hear it. Sound begins before all of it is made.",
    text: "Text", placeholder: "What is to be said …", voice: "Voice", voiceDefault: "its default voice",
    sample: "Hear this voice", sampling: "Stop the sample", speed: "Speed", go: "Speak", first: "first sound after {seconds} s",
    made: "{sound} s of sound in {seconds} s", waiting: "Waiting for the first sound …", making: "Making more …",
    light: "Light up words as they are spoken", lightHint: "The engine is asked for the times of words; sentences light up otherwise.",
    own: "yours", length: "{count} characters", result: "What was said",
    empty: "What you have spoken appears here, with its waveform and its words.",
    shortcut: "Ctrl+Enter speaks",
    samples: {
      en: "Hello. This is what I sound like.", de: "Guten Tag. So klinge ich.", fr: "Bonjour. Voici ma voix.",
      es: "Hola. Así sueno yo.", it: "Ciao. Questa è la mia voce.", pt: "Olá. Esta é a minha voz.",
      nl: "Hallo. Zo klink ik.", ru: "Здравствуйте. Так звучит мой голос.", ja: "こんにちは。これが私の声です。",
      zh: "你好，这是我的声音。", ko: "안녕하세요. 제 목소리입니다.", hi: "नमस्ते। यह मेरी आवाज़ है।",
      ar: "مرحبا. هذا هو صوتي.", pl: "Dzień dobry. Tak brzmi mój głos.", tr: "Merhaba. Benim sesim böyle.",
    },
  },
};

export function fill(text, values) {
  return text.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? String(values[name]) : whole));
}
