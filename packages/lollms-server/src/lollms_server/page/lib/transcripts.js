// A transcript as text, subtitles and JSON, of segments {text, start, end, words, speaker}.
const LONGEST = 84; // characters of a subtitle: two lines
const SECONDS = 7;

export const textOf = (segments) =>
  segments.map((one) => (one.speaker ? `${one.speaker}: ${one.text.trim()}` : one.text.trim())).filter(Boolean).join("\n");

export const toTxt = (segments) => `${textOf(segments)}\n`;

export const toJson = (segments, about) =>
  JSON.stringify({ ...about, text: segments.map((one) => one.text.trim()).join(" "), segments }, null, 2);

export function toSrt(segments) {
  return cuesOf(segments)
    .map((cue, number) => `${number + 1}\n${stamp(cue.start, ",")} --> ${stamp(cue.end, ",")}\n${line(cue, (t) => t.replaceAll("-->", "→"))}\n`)
    .join("\n");
}

export function toVtt(segments) {
  const safe = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
  const cues = cuesOf(segments).map((cue) => `${stamp(cue.start, ".")} --> ${stamp(cue.end, ".")}\n${line(cue, safe, "vtt")}\n`);
  return `WEBVTT\n\n${cues.join("\n")}`;
}

export const FORMATS = {
  txt: { make: toTxt, type: "text/plain" }, srt: { make: toSrt, type: "application/x-subrip" },
  vtt: { make: toVtt, type: "text/vtt" }, json: { make: toJson, type: "application/json" },
};

function line(cue, safe, kind) {
  const text = safe(cue.text.trim().replace(/\s+/g, " ")); // an empty line would end the subtitle
  if (!cue.speaker) return text;
  return kind === "vtt" ? `<v ${safe(cue.speaker.replace(/[\r\n]/g, " "))}>${text}` : `${safe(cue.speaker)}: ${text}`;
}

// What is too long for a subtitle is parted between words, where their times are known.
function cuesOf(segments) {
  return segments.filter((one) => one.text.trim()).flatMap((one) => {
    const fits = one.text.length <= LONGEST && one.end - one.start <= SECONDS;
    if (fits || !one.words?.length) return [one];
    const cues = [];
    for (const word of one.words) {
      const last = cues.at(-1);
      if (last && last.text.length + word.text.length <= LONGEST && word.end - last.start <= SECONDS) {
        last.text += word.text; // which carries the space before it
        last.end = word.end;
      } else {
        cues.push({ text: word.text.trimStart(), start: word.start, end: word.end, speaker: one.speaker });
      }
    }
    return cues;
  });
}

export function stamp(seconds, point) {
  const whole = Math.max(0, Math.round(seconds * 1000));
  const two = (n) => String(Math.floor(n)).padStart(2, "0");
  return `${two(whole / 3_600_000)}:${two((whole / 60_000) % 60)}:${two((whole / 1000) % 60)}${point}${String(whole % 1000).padStart(3, "0")}`;
}

/** A segment with another text. Its words keep their times where there are as many of them as before. */
export function edited(segment, text) {
  const before = segment.words ?? [], now = text.trim().split(/\s+/);
  const words = before.length === now.length ? before.map((word, i) => ({ ...word, text: (i ? " " : "") + now[i] })) : [];
  return { ...segment, text: text.trim(), words };
}
