"""What holds across the distributions."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DISTRIBUTIONS = [ROOT / "lollms-modalities-core", *sorted((ROOT / "packages").iterdir())]
# The import paths that are documented, each with its classes.
DOCUMENTED = {
    "lollms_tts_binding": "LollmsTTSBinding LollmsTTSBindingManager",
    "lollms_tti_binding": "LollmsTTIBinding LollmsTTIBindingManager",
    "lollms_stt_binding": "LollmsSTTBinding LollmsSTTBindingManager",
    "lollms_ttm_binding": "LollmsTTMBinding LollmsTTMBindingManager",
    "lollms_ttv_binding": "LollmsTTVBinding LollmsTTVBindingManager",
    "tts_bindings.bark": "BarkTTSBinding BarkClientBinding",
    "tts_bindings.xtts": "XTTSBinding XTTSClientBinding",
    "tts_bindings.piper_tts": "PiperTTSBinding PiperClientBinding",
    "tts_bindings.kokoro": "KokoroTTSBinding",
    "tts_bindings.lollms": "LollmsTTSBinding_Impl",
    "tti_bindings.lollms": "LollmsTTIBinding_Impl LollmsTTIBinding",
    "tti_bindings.enhance": "EnhanceTTIBinding",
    "tti_bindings.dalle": "DalleTTIBinding_Impl",
    "tti_bindings.openai": "OpenAITTIBinding",
    "tti_bindings.diffusers": "DiffusersTTIBinding_Impl DiffusersTTIBinding",
    "stt_bindings.lollms": "LollmsSTTBinding_Impl",
    "stt_bindings.whisper": "WhisperSTTBinding",
    "stt_bindings.whispercpp": "WhisperCppSTTBinding",
    "stt_bindings.moonshine": "MoonshineSTTBinding",
    "stt_bindings.faster_whisper": "FasterWhisperSTTBinding",
    "ttm_bindings.lollms": "LollmsTTMBinding_Impl",
    "ttm_bindings.audiocraft": "AudioCraftTTMBinding",
    "ttm_bindings.bark": "BarkTTMBinding",
    "ttv_bindings.lollms": "LollmsTTVBinding_Impl",
    "ttm_bindings.diffusers": "DiffusersTTMBinding",
    "ttv_bindings.diffusers": "DiffusersTTVBinding",
}
# The distributions that need torch, and the documented paths that each serves. They are installed in ``torch_tests``.
ON_TORCH = {
    "lollms_audiocraft": ("ttm_bindings.audiocraft",),
    "lollms_bark": ("tts_bindings.bark", "ttm_bindings.bark"),
    "lollms_diffusers": ("tti_bindings.diffusers", "ttm_bindings.diffusers", "ttv_bindings.diffusers"),
    "lollms_whisper": ("stt_bindings.whisper",),
    "lollms_xtts": ("tts_bindings.xtts",),
}
WITH_TORCH = bool(os.environ.get("LOLLMS_WITH_TORCH"))
ABSENT = {} if WITH_TORCH else {path: package for package, paths in ON_TORCH.items() for path in paths}
MODULES = (
    "lollms_modalities",
    "lollms_client",
    "lollms_align",
    "lollms_piper",
    "lollms_faster_whisper",
    "lollms_moonshine",
    "lollms_whispercpp",
    "lollms_dalle",
    "lollms_remote",
    "lollms_server",
    "lollms_marks",
    *(ON_TORCH if WITH_TORCH else ()),
)


@pytest.mark.parametrize("path", sorted(DOCUMENTED.keys() - ABSENT.keys()))
def test_documented_paths_have_their_classes(path: str) -> None:
    module = importlib.import_module(f"lollms_client.{path}")
    for name in DOCUMENTED[path].split():
        assert isinstance(getattr(module, name), type)


def test_a_documented_path_says_what_to_install() -> None:
    for path, package in ABSENT.items():
        extra = package.removeprefix("lollms_")
        with pytest.raises(
            ImportError, match=re.escape(f'Run lollms install {extra} (pip install "lollms-client[{extra}]>=2.')
        ):
            importlib.import_module(f"lollms_client.{path}")


def test_no_hint_names_ours_without_its_versions() -> None:
    """An index that has nothing but lollms-client 1.x would answer, and take the place of all this."""
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *ROOT.glob("packages/*/README.md")]
    sources = [p for d in DISTRIBUTIONS for p in (d / "src").rglob("*.py")]
    found = []
    for path in [*pages, *sources]:
        for line in path.read_text("utf-8").splitlines():
            bare = re.search(r'install [^`]*"lollms-[a-z-]+(\[[^]]*\])?"', line)
            # The one place that says what would happen.
            if bare and "lollms-client<2" not in line and "a plain" not in line:
                found.append(f"{path.relative_to(ROOT)}: {line.strip()}")
    assert not found


def test_benchmarks_have_what_they_import_of_the_suite() -> None:
    """Their session installs their group and no other; the suite's modules import pytest."""
    importing = [path for path in (ROOT / "bench").glob("*.py") if "lollms_modalities.testing" in path.read_text()]
    group = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]["bench"]
    assert not importing or any(each.startswith("pytest") for each in group), importing


def test_versions_are_equal_everywhere() -> None:
    told = {d.name: tomllib.loads((d / "pyproject.toml").read_text())["project"]["version"] for d in DISTRIBUTIONS}
    told |= {name: importlib.import_module(name).__version__ for name in MODULES}
    assert len(set(told.values())) == 1, told
    assert told["lollms-client"] >= "2.0", "the registry has 1.x"


def test_the_tests_run_against_what_is_installed() -> None:
    """From the wheels where nox says so; a source folder on the path would hide what a wheel lacks."""
    if os.environ.get("LOLLMS_WHEELS"):
        for name in MODULES:
            origin = importlib.import_module(name).__file__
            assert origin is not None
            assert "site-packages" in origin


def test_every_distribution_has_the_same_shape() -> None:
    for distribution in DISTRIBUTIONS:
        (package,) = [p for p in (distribution / "src").iterdir() if (p / "__init__.py").exists()]
        assert (package / "py.typed").exists()
        assert (distribution / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()
        assert list((distribution / "tests").glob("test_*.py"))
        assert len((distribution / "README.md").read_text()) > 300


def test_the_wheels_install_together_into_an_empty_environment(tmp_path: Path) -> None:
    wheels = os.environ.get("LOLLMS_WHEELS")
    if wheels is None:
        wheels = str(tmp_path / "wheels")
        for distribution in DISTRIBUTIONS:
            subprocess.run(
                [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", wheels, str(distribution)], check=True
            )
    # With uv, which is quick; that pip does it is shown by the first minute in test_tutorial.py.
    python = str(tmp_path / "venv" / "bin" / "python")
    uv = [sys.executable, "-m", "uv"]
    subprocess.run([*uv, "venv", "-q", "--python", sys.executable, str(tmp_path / "venv")], check=True)
    install = ["install", "-q", "--python", python, "--no-sources", "--find-links", wheels]
    subprocess.run([*uv, "pip", *install, "lollms-client[piper,faster-whisper]>=2.0"], check=True, cwd=tmp_path)
    subprocess.run([*uv, "pip", "check", "-q", "--python", python], check=True)
    program = """
from lollms_client import LollmsClient
with LollmsClient(tts_binding_name="piper", stt_binding_name="faster_whisper") as lc:
    print(lc.stt.transcribe_audio(lc.tts.generate_audio("The boy was there.", noise_scale=0, noise_w_scale=0)))
"""
    said = subprocess.run([python, "-c", program], check=True, capture_output=True, text=True, timeout=120)
    assert said.stdout.strip().lower().startswith("the boy was there")
    assert said.stderr == ""
