"""Speak a sentence, write it down, and compare: the whole way with real models, on this machine alone."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import jiwer
from lollms_client import LollmsClient

SENTENCE = "The stale smell of old beer lingers. It takes heat to bring out the odor."
OUT = Path("demo-out")
PLAIN = jiwer.Compose(  # as both texts are compared: lower case, no punctuation
    [jiwer.ToLowerCase(), jiwer.RemovePunctuation(), jiwer.RemoveMultipleSpaces(), jiwer.Strip(),
     jiwer.ReduceToListOfListOfWords()]
)  # fmt: skip


def main() -> int:
    OUT.mkdir(exist_ok=True)
    with LollmsClient(tts_binding_name="piper", stt_binding_name="faster_whisper") as lc:
        assert lc.tts is not None, lc.unavailable["tts"]
        assert lc.stt is not None, lc.unavailable["stt"]
        lc.tts.load()
        lc.stt.load()

        start = time.perf_counter()
        speech = lc.tts.generate_audio(SENTENCE, noise_scale=0, noise_w_scale=0)
        speaking = time.perf_counter() - start
        wav, mp3 = speech.save(OUT / "speech.wav"), speech.save(OUT / "speech.mp3")

        start = time.perf_counter()
        heard = lc.stt.transcribe_audio(wav)
        hearing = time.perf_counter() - start

    wer = jiwer.wer(SENTENCE, str(heard), reference_transform=PLAIN, hypothesis_transform=PLAIN)
    print(f"said    {SENTENCE}")
    print(f"wrote   {wav} and {mp3}: {speech!r}")
    print(f"heard   {heard}")
    for name, seconds in (("Piper", speaking), ("faster-whisper", hearing)):
        factor = seconds / speech.duration
        print(f"{name:15} {seconds:.2f} s for {speech.duration:.2f} s of sound: real-time factor {factor:.3f}")
    print(f"word error rate {wer:.3f}")
    return 0 if wer == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
