"""whisper.cpp through the binding against its program alone, and how soon a call stops."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import threading
import time
from pathlib import Path

from lollms_modalities import Audio, CallCancelled, CancelToken
from lollms_modalities.media.sound import decode_audio

import bench.support  # noqa: F401 - makes the imports from there possible
from bench.harness import paired, seconds, show, show_extra

_SENTENCES = "The birch canoe slid on the smooth planks. Glue the sheet to the dark blue background. "


def whispercpp() -> None:
    """The same program, model and options, one thread; a WAV that fits, and one that must be decoded first."""
    from lollms_piper import PiperTTSBinding
    from lollms_whispercpp import WhisperCppSTTBinding
    from whisper_cpp_program import whisper_cli  # type: ignore[import-not-found, unused-ignore]
    from whisper_weights import make_ggml  # type: ignore[import-not-found, unused-ignore]

    with PiperTTSBinding() as speaker:
        audio = speaker.generate_audio(_SENTENCES * 3, noise_scale=0, noise_w_scale=0)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = make_ggml(folder / "ggml-tiny.en.bin")
        given = audio.save(folder / "given.mp3")
        fits = Audio.from_samples(decode_audio(given), 16000).save(folder / "fits.wav")
        program = whisper_cli()
        environment = {**os.environ, "OMP_WAIT_POLICY": "passive"}

        def alone(path: Path) -> str:
            """The program reads WAV and MP3 itself."""
            subprocess.run(
                [program, "-m", model, "-f", path, "-l", "en", "-t", "1", "-bs", "1", "-sns", "-oj", "-of",
                 folder / "heard"],
                check=True, capture_output=True, env=environment,
            )  # fmt: skip
            told = json.loads((folder / "heard.json").read_bytes())
            return " ".join(part["text"].strip() for part in told["transcription"])

        with WhisperCppSTTBinding(model, program, n_threads=1, default_beam_size=1) as binding:
            assert binding.transcribe_audio(fits) == alone(fits)
            for what, path in (("WAV that fits", fits), ("MP3", given)):
                pair = paired(
                    lambda path=path: seconds(lambda: binding.transcribe_audio(path)),  # type: ignore[misc]
                    lambda path=path: seconds(lambda: alone(path)),  # type: ignore[misc]
                    pairs=9,
                )
                show(f"whisper.cpp, {audio.duration:.0f} s of speech, {what}", "alone", pair, 1.02)
            slowest = max(_stopped_after(binding, fits, 0.1 + 0.1 * n) for n in range(10))
            show_extra("whisper.cpp, cancel until the call has ended", slowest, 0.1, 1e3, "ms", "slowest of 10")


def _stopped_after(binding: object, path: Path, delay: float) -> float:
    """Seconds from a cancel, ``delay`` seconds into the call, to the call's end."""
    from lollms_whispercpp import WhisperCppSTTBinding

    assert isinstance(binding, WhisperCppSTTBinding)
    token, cancelled_at = CancelToken(), [0.0]

    def cancel() -> None:
        time.sleep(delay)
        cancelled_at[0] = time.perf_counter()
        token.cancel()

    thread = threading.Thread(target=cancel)
    thread.start()
    try:
        binding.transcribe_audio(path, cancel=token)
    except CallCancelled:
        return time.perf_counter() - cancelled_at[0]
    finally:
        thread.join()
    return 0.0  # it was done before


if __name__ == "__main__":
    whispercpp()
