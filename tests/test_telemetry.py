"""No engine reports home: a fresh HOME stays as it was, and nobody is asked but the servers that a call is about."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from harvard import spoken
from lollms_modalities.settings.telemetry import VARIABLES, switch_off_telemetry
from loopback import Reply, serving
from whisper_cpp_program import whisper_cli
from whisper_weights import make_ggml

# Runs in each Python that starts, workers too.
WATCH = """
import os, sys

def watch(event, args):
    if event in ("socket.getaddrinfo", "socket.gethostbyname", "socket.connect"):
        with open(os.environ["ASKED"], "a") as file:
            file.write(f"{event} {args[0] if 'connect' not in event else args[1]}\\n")

sys.addaudithook(watch)
"""
PROGRAMS = {
    "piper": "PiperTTSBinding().generate_audio('Hello.')",
    "faster_whisper": "FasterWhisperSTTBinding().transcribe_audio(sys.argv[1])",
    "whispercpp": "WhisperCppSTTBinding(sys.argv[2], whispercpp_exe_path=sys.argv[3]).transcribe_audio(sys.argv[1])",
    "kokoro": "KokoroTTSBinding(default_language='en').generate_audio('Hello.')",
    "moonshine": "MoonshineSTTBinding().transcribe_audio(sys.argv[1])",
    "enhance": "EnhanceTTIBinding().upscale_image(sys.argv[5], model='realesr-animevideov3-x2')",
    "speakers": "FasterWhisperSTTBinding().transcribe_audio(sys.argv[1], diarize=True)",
    "dalle": "DalleTTIBinding_Impl('sk-1', host_address=sys.argv[4] + '/v1', max_retries=0).generate_image('a cat')",
    "lollms": "LollmsSTTBinding_Impl(sys.argv[4], protocol='openai', service_key='k').transcribe_audio(sys.argv[1])",
}
IMPORTS = """
import sys
from lollms_dalle import *; from lollms_faster_whisper import *; from lollms_piper import *
from lollms_remote import *; from lollms_whispercpp import *; from lollms_kokoro import *
from lollms_moonshine import *; from lollms_enhance import *
"""
IN_A_WORKER = """
from lollms_client.lollms_tts_binding import LollmsTTSBindingManager
with LollmsTTSBindingManager().create_binding("piper", isolated=True) as piper:
    assert len(piper.generate_audio("Hello.")) > 10_000
"""
PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., list[str]]:
    """Run a program in a fresh HOME; who was asked, after a look that HOME holds nothing of its engines."""
    (tmp_path / "watch").mkdir()
    (tmp_path / "watch" / "sitecustomize.py").write_text(WATCH)
    home, asked = tmp_path / "home", tmp_path / "asked"
    home.mkdir()
    asked.touch()
    # Nothing of this environment, in which a library may think that it is tested and keep quiet for that.
    variables = {"PATH": os.environ["PATH"], "HOME": str(home), "ASKED": str(asked)}

    def run(program: str, *args: object) -> list[str]:
        done = subprocess.run(
            [sys.executable, "-c", program, *map(str, args)], capture_output=True, text=True, timeout=300, check=False,
            env={**variables, "PYTHONPATH": str(tmp_path / "watch")},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert [str(p.relative_to(home)) for p in home.rglob("*") if p.is_file()] == []
        return asked.read_text().splitlines()

    return run


@pytest.mark.parametrize("binding", PROGRAMS)
def test_a_binding_reports_nothing(binding: str, run: Callable[..., list[str]], tmp_path: Path) -> None:
    speech = spoken("Rice is often served in round bowls.").save(tmp_path / "speech.wav")
    image = Reply({"data": [{"b64_json": base64.b64encode(PIXEL).decode()}]})
    routes = {"POST /v1/images/generations": image, "POST /v1/audio/transcriptions": Reply({"text": "Rice."})}
    model = make_ggml(tmp_path / "ggml-tiny.en.bin") if binding == "whispercpp" else ""
    program = whisper_cli() if binding == "whispercpp" else ""
    (tmp_path / "pixel.png").write_bytes(PIXEL)
    with serving(routes) as server:
        asked = run(IMPORTS + PROGRAMS[binding], speech, model, program, server.url, tmp_path / "pixel.png")
    assert [line for line in asked if "127.0.0.1" not in line] == []
    assert bool(asked) == (binding in ("dalle", "lollms")), "the watch sees what is asked"


def test_a_worker_reports_nothing(run: Callable[..., list[str]]) -> None:
    assert run(IN_A_WORKER) == []


def test_what_the_user_set_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ORT_DISABLE_TELEMETRY", "0")
    switch_off_telemetry()
    assert os.environ["ORT_DISABLE_TELEMETRY"] == "0"
    assert os.environ["HF_HUB_DISABLE_TELEMETRY"] == "1"


def test_the_docs_name_each_switch() -> None:
    page = (Path(__file__).parents[1] / "docs" / "settings.md").read_text()
    assert [f"{name}={value}" for name, value in VARIABLES.items() if f"`{name}={value}`" not in page] == []
