"""What a user waits for at the command line: the first sound of ``speak -o -``, the first text of ``transcribe``.

Beside the commands of the engines themselves, on the same voice and weights: whole processes, up to the first byte.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.harness import Pair, paired, show, show_extra
from bench.listing_peers import uv

TEXT = (
    "The stale smell of old beer lingers. It takes heat to bring out the odor. A cold dip restores health and zest. "
    "A salt pickle tastes fine with ham. Tacos al pastor are my favorite. A zestful food is the hot cross bun. "
)
SENTENCES = (TEXT * 8)[:1500]
LENGTH = 78.0  # seconds of speech


_NO_TEXT = b"Detected language"  # what whisper-ctranslate2 says before it has heard a word


def first_byte(command: list[str], stdin: bytes, env: dict[str, str]) -> float:
    """Seconds from the start of a program to the first byte of what was asked for; then it is ended."""
    start = time.perf_counter()
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=env
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(stdin)
        process.stdin.close()
        found = b""
        while not _said(found) and (part := os.read(process.stdout.fileno(), 4096)):
            found += part
        taken = time.perf_counter() - start
        process.kill()
    if not _said(found):
        raise RuntimeError(f"{command} printed nothing")
    return taken


def _said(found: bytes) -> bool:
    """Whether more stands there than that line."""
    first, _, rest = found.partition(b"\n")
    return bool(rest.strip()) or not _NO_TEXT.startswith(first[: len(_NO_TEXT)])


def first_hour() -> None:
    """Both, in pairs that take turns."""
    from lollms_faster_whisper.models import packaged_model
    from lollms_modalities import Audio, LollmsTTSBindingManager
    from lollms_piper.voices import packaged_voice

    env = {**os.environ, "PYTHONUNBUFFERED": "1", "HF_HUB_OFFLINE": "1"}
    env.pop("PYTHONDONTWRITEBYTECODE", None)  # a user's programs are compiled once, by the first run
    env |= {"LOLLMS_TTS_BINDING": "piper", "LOLLMS_STT_BINDING": "faster_whisper"}
    ours = [sys.executable, "-m", "lollms_client"]
    piper = [sys.executable, "-m", "piper", "--model", str(packaged_voice()), "--output-raw"]
    text = SENTENCES.encode()
    pair = paired(
        lambda: first_byte([*ours, "speak", "-o", "-"], text, env), lambda: first_byte(piper, text, env), pairs=5
    )
    _tell("lollms speak -o -, first byte of 1,500 characters", "piper --output-raw", pair, 0.5)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with LollmsTTSBindingManager().require_binding("piper") as binding:
            spoken = binding.generate_audio(TEXT)
        samples = spoken.to_numpy()
        rate = spoken.sample_rate
        repeated = [samples] * (int(LENGTH * rate) // len(samples) + 1)
        import numpy as np

        talk = folder / "talk.wav"
        Audio.from_samples(np.concatenate(repeated)[: int(LENGTH * rate)], rate).save(talk)
        theirs = _whisper_ctranslate2(folder)
        command = [theirs, str(talk), "--model_directory", str(packaged_model()), "--language", "en", "--device", "cpu"]
        command += ["--output_dir", str(folder)]
        pair = paired(
            lambda: first_byte([*ours, "transcribe", str(talk)], b"", env),
            lambda: first_byte(command, b"", env),
            pairs=3,
        )
        _tell(f"lollms transcribe, first text of {LENGTH:g} s", "whisper-ctranslate2", pair, 1.0)


def _whisper_ctranslate2(folder: Path) -> str:
    """The peer's program, in an environment of its own; or the one that ``WHISPER_CTRANSLATE2`` names."""
    if given := os.environ.get("WHISPER_CTRANSLATE2"):
        return given
    subprocess.run([uv(), "venv", "-q", "--python", sys.executable, str(folder / "peer")], check=True)
    python = folder / "peer" / "bin" / "python"
    subprocess.run([uv(), "pip", "install", "-q", "--python", str(python), "whisper-ctranslate2"], check=True)
    return str(python.parent / "whisper-ctranslate2")


def _tell(what: str, peer: str, pair: Pair, goal: float) -> None:
    show(what, peer, pair, 1.0, unit=1.0, name="s")
    show_extra(f"  {what.partition(',')[0]}", pair.ours, goal, 1.0, "s", "in all")
