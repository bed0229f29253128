"""The real engines in another process, in another Python, and for long: as in place."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from distributions import install
from lollms_client import LollmsClient
from lollms_modalities import (
    Audio,
    CallCancelled,
    CancelToken,
    LollmsSTTBindingManager,
    LollmsTTSBindingManager,
    OptionError,
    Progress,
    VoiceNotFoundError,
)
from memory import SUPPORT

ROOT = Path(__file__).parents[1]
PLAIN: dict[str, Any] = {"noise_scale": 0, "noise_w_scale": 0}
TEXT = "The boy was there when the sun rose. A rod is used to catch pink salmon."


@pytest.fixture(scope="module")
def piper() -> Iterator[Any]:
    with LollmsTTSBindingManager().require_binding("piper_tts", isolated=True) as binding:
        yield binding


def test_piper_says_the_same(piper: Any) -> None:
    with LollmsTTSBindingManager().require_binding("piper") as here:
        whole = here.generate_audio(TEXT, **PLAIN)
    seen: list[Progress] = []
    there = piper.generate_audio(TEXT, progress=seen.append, **PLAIN)
    assert there == whole
    assert Audio.from_chunks(piper.stream_audio(TEXT, **PLAIN)) == whole
    assert (there.sample_rate, there.provenance.binding, there.provenance.model) == (22050, "piper", "en_US-joe-medium")
    assert (seen[0].done, seen[-1].done, seen[-1].total) == (0, len(TEXT), len(TEXT))
    assert piper.binding_name == "piper"
    assert piper.list_voices() == here.list_voices()
    assert piper.capabilities == here.capabilities
    with pytest.raises(VoiceNotFoundError):
        piper.generate_audio(TEXT, voice="../joe")
    with pytest.raises(OptionError, match="Did you mean 'speed'"):
        piper.generate_audio(TEXT, sped=2)


def test_piper_stops(piper: Any) -> None:
    token = CancelToken()
    timer = threading.Timer(0.5, token.cancel)
    timer.start()
    began = time.monotonic()
    with pytest.raises(CallCancelled):
        piper.generate_audio(TEXT * 50, cancel=token)
    assert time.monotonic() - began < 3
    assert piper.generate_audio("Again.")


def test_faster_whisper_hears_the_same() -> None:
    config = {"isolated": True}
    with LollmsClient(
        tts_binding_name="piper",
        stt_binding_name="faster_whisper",
        tts_binding_config=config,
        stt_binding_config=config,
    ) as lc:
        assert lc.tts
        assert lc.stt
        speech = lc.tts.generate_audio(TEXT, **PLAIN)
        there = lc.stt.transcribe_audio(speech, timestamps="word")
        segments = list(lc.stt.stream_transcript(speech, timestamps="word"))
    with LollmsSTTBindingManager().require_binding("faster_whisper") as stt:
        here = stt.transcribe_audio(speech, timestamps="word")
    assert there == here
    assert there.segments == here.segments == tuple(segments)
    assert there.language == "en"
    assert "salmon" in there


def other_pythons() -> list[str]:
    """Interpreters of other versions that this project serves."""
    minors = [n for n in (12, 13, 14) if sys.version_info[1] != n]
    found = [shutil.which(f"python3.{n}") for n in minors]
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    candidates = [*filter(None, found), *(str(p) for n in minors for p in pyenv.glob(f"versions/3.{n}.*/bin/python"))]
    runs = []
    for python in candidates:
        done = subprocess.run([python, "-c", "import sys; print(sys.version_info[1])"], capture_output=True, text=True)
        if done.returncode == 0 and int(done.stdout) in minors:
            runs.append(python)
    return runs


PYTHONS = other_pythons()


@pytest.mark.skipif(not PYTHONS, reason="this machine has no other Python between 3.12 and 3.14")
def test_piper_in_another_python(tmp_path: Path, piper: Any) -> None:
    environment = tmp_path / "other"
    uv = [sys.executable, "-m", "uv"]
    subprocess.run([*uv, "venv", "-q", "--python", PYTHONS[0], str(environment)], check=True)
    wheels = os.environ.get("LOLLMS_WHEELS")
    packages = ["lollms-modalities-core[audio]>=2.0", "lollms-piper[voice]>=2.0"]
    if wheels is None:
        packages = [str(ROOT / "lollms-modalities-core[audio]"), str(ROOT / "packages" / "lollms-piper[voice]")]
    python = str(environment / "bin" / "python")
    links = ["--find-links", wheels] if wheels else []
    install = [*uv, "pip", "install", "-q", "--python", python, "--no-sources", *links, *packages]
    subprocess.run(install, check=True, cwd=tmp_path)
    with LollmsTTSBindingManager().require_binding("piper", environment=environment) as there:
        assert there.generate_audio("Hello there.").sample_rate == 22050
        assert Audio.from_chunks(there.stream_audio("Hello there.", **PLAIN)).duration > 0.5
        version = there._workers.ready["python"]  # type: ignore[attr-defined]
    assert version.split(".")[:2] != [str(n) for n in sys.version_info[:2]]


MEMORY = f"""
import sys
sys.path.append({SUPPORT!r})
from memory import peak
from lollms_modalities import LollmsTTSBindingManager, LollmsSTTBindingManager
size, folder, way = int(sys.argv[1]), sys.argv[2], sys.argv[3]
def peaks(binding):
    (worker,) = binding._workers.all()
    return peak(), peak(worker.process.pid)
if way == "out":
    binding = LollmsTTSBindingManager(folder).require_binding("nasty", isolated=True)
    binding.generate_audio("hi")
    before = peaks(binding)
    assert len(binding.generate_audio("hi", do="size", size=size)) == size + 44
else:
    binding = LollmsSTTBindingManager(folder).require_binding("nasty", isolated=True)
    binding.transcribe_audio(b"x")
    data = bytes(size)
    before = peaks(binding)
    assert binding.transcribe_audio(data).segments[0].extra["size"] == size
after = peaks(binding)
print(*(a - b for a, b in zip(after, before)))
"""


@pytest.mark.parametrize("way", ["out", "in"])
def test_memory_for_a_large_payload(tmp_path: Path, way: str) -> None:
    size = 200_000_000
    shutil.copy(ROOT / "lollms-modalities-core/tests/support/nasty_bindings.py", tmp_path)
    install(
        tmp_path,
        "nasty",
        "[lollms_client.tts_bindings]\nnasty = nasty_bindings:NastyTTSBinding\n"
        "[lollms_client.stt_bindings]\nnasty = nasty_bindings:NastySTTBinding\n",
    )
    command = [sys.executable, "-c", MEMORY, str(size), str(tmp_path), way]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    host, worker = map(int, done.stdout.split())
    assert host <= 2 * size + 64e6
    assert worker <= 2 * size + 64e6


@pytest.mark.full
def test_killed_workers_killed_hosts_and_growth_in_short() -> None:
    command = [sys.executable, str(ROOT / "soak" / "isolation.py"), "--short"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
