"""The commands for what a binding may do beside its main verb, what is told of it, and bindings that follow each other."""

from __future__ import annotations

import json
import re
import shutil
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import gate_binding
import pytest
from distributions import install
from lollms_client import LollmsClient
from lollms_client.cli import configuration, manual
from lollms_client.cli.around import done_around
from lollms_client.cli.checked_value import checked
from lollms_client.cli.choice import choose
from lollms_client.cli.errors import UsageError
from lollms_client.cli.use import Which, opened
from lollms_modalities import BindingNotFoundError, Image
from lollms_shell import Shell


@pytest.fixture
def lollms(tmp_path: Path) -> Shell:
    shell = Shell(tmp_path)
    shell.env["LOLLMS_TTI_BINDING"] = "example"
    return shell


def size(path: Path) -> tuple[int, int]:
    image = Image(path.read_bytes())
    return image.width, image.height


def test_images_of_images(lollms: Shell) -> None:
    lollms("image", "A lighthouse", "-o", "a.png", "--width", "64", "--height", "32")
    assert lollms("edit", "a.png", "Snow", "on the roof").stdout == b"edited.png\n"
    told = json.loads(
        lollms("edit", "a.png", "Snow", "--with", "edited.png", "--mask", "a.png", "--opt", "seed=3", "-o", "b.jpg",
               "--json").stdout
    )  # fmt: skip
    assert (told["format"], told["provenance"]["seed"]) == ("jpeg", 3)
    assert lollms("upscale", "a.png", "--scale", "3").stdout == b"upscaled.png\n"
    assert size(lollms.folder / "upscaled.png") == (192, 96)
    piped = lollms("cut-out", "-", "-o", "-", "--opt", "tolerance=3", stdin=(lollms.folder / "a.png").read_bytes())
    assert Image(piped.stdout).width == 64


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["edit", "nosuch.png", "Snow"], "no image file 'nosuch.png'"),
        (["edit", "-", "-"], "cannot both be standard input"),
        (["edit", "a.png"], "no image"),
        (["edit", "a.png", "Snow", "--opt", "sed=1"], "has no option 'sed'. Did you mean 'seed'?"),
        (["upscale", "a.png"], "no image: its format is unknown"),
        (["cut-out", "a.png", "-o", "x.docx"], "x.docx"),
        (["upscale", "a.png", "-b", "dalle", "--set", "service_key=k"], "tti:dalle has no upscale_image"),
        (["upscale", "a.png", "-b", "piper"], "'piper' is no tti binding, but one of tts. lollms speak -b piper"),
    ],
)
def test_images_that_cannot_be_made(lollms: Shell, words: list[str], said: str) -> None:
    (lollms.folder / "a.png").write_text("no picture", "utf-8")
    done = lollms(*words, code=None, stdin=b"Snow")
    assert done.returncode in (1, 2)
    assert said in " ".join(done.stderr.split())
    assert "<_io" not in done.stderr
    assert [path.name for path in lollms.folder.iterdir()] == ["a.png"], "no name stays reserved"


def test_standard_streams_of_images(lollms: Shell) -> None:
    lollms("image", "A lighthouse", "-o", "a.png", "--width", "64", "--height", "32")
    assert Image(lollms.line("lollms upscale a.png --scale 2 -o /dev/stdout | cat").stdout).width == 128
    assert "Standard input is closed" in lollms.line("lollms cut-out - <&-", code=2).stderr
    assert "edited.png" in lollms.line("lollms edit a.png Snow >&-").stderr
    assert "Standard output is closed" in lollms.line("lollms voices describe >&-", code=1).stderr
    assert "No space left" in lollms.line("lollms cut-out a.png -o - > /dev/full", code=1).stderr
    assert sorted(path.name for path in lollms.folder.iterdir()) == ["a.png", "edited.png"]


def test_voices_of_ones_own(lollms: Shell, tmp_path: Path) -> None:
    site = tmp_path / "site"
    install(site, "gates", "[lollms_client.tts_bindings]\ngate = gate_binding:GateTTSBinding\n")
    shutil.copy(str(gate_binding.__file__), site)
    lollms.env |= {"PYTHONPATH": str(site), "LOLLMS_TTS_BINDING": "gate"}
    place = ["--set", f"folder={tmp_path}"]
    (lollms.folder / "anna.wav").write_bytes(b"sound")
    for words in (["add"], ["add", "anna"], ["add", "anna", "anna.wav"], ["add", "anna", "anna.wav", "--consent", " "],
                  ["remove"], ["list", "anna"], ["describe", "anna", "anna.wav"]):  # fmt: skip
        assert lollms("voices", *words, *place, code=2).stderr.count("lollms") >= 1
    done = lollms("voices", "add", "anna", "anna.wav", "--consent", "Anna Berg, today", *place)
    assert "lollms speak -b gate -v 'anna'" in done.stderr
    assert lollms("voices", *place).stdout == lollms("voices", "list", *place).stdout == b"plain\nother\nanna\n"
    rows = json.loads(lollms("voices", "describe", "--json", *place).stdout)
    assert [(row["name"], row["default"]) for row in rows] == [("plain", True), ("other", False), ("anna", False)]
    assert lollms("voices", "describe", "other", *place).stdout.split() == [b"other", b"-", b"-"]
    lollms("voices", "remove", "anna", *place)
    assert b"anna" not in lollms("voices", *place).stdout
    assert "anna" in lollms("voices", "remove", "anna", *place, code=1).stderr


def test_info_and_doctor_tell_who_does_what(lollms: Shell) -> None:
    facts = json.loads(lollms("info", "stt:faster_whisper", "--json").stdout)
    assert facts["also"] == {"diarize": f"by lollms-speakers {facts['version']}", "live": "yes: lollms listen"}
    told = lollms("info", "tti:example").stdout.decode()
    for said in ("yes: lollms cut-out", "Options of upscale_image\n  scale", "Options of edit_images"):
        assert said in told
    providers = json.loads(lollms("doctor", "--quick", "--json", code=None).stdout)["providers"]
    assert {kind: who.split()[0] for kind, who in providers.items()} == {
        "aligner": "lollms-align", "voice_activity": "lollms-speakers", "diarizer": "lollms-speakers",
    }  # fmt: skip


def test_what_nobody_does_is_told_with_the_command_that_helps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lollms_client.cli.around.read_entry_points", lambda group: [])
    verbs: dict[str, Any] = {"transcribe_audio": {"common": ["diarize"]}}
    described = {"modality": "stt", "verbs": verbs, "options": {"properties": {}}}
    assert "lollms install speakers" in dict(done_around(described, {}))["diarize"]
    own = {**described, "options": {"properties": {"diarize": {}}}}
    assert dict(done_around(own, {}))["diarize"] == "by its engine"


# --- several bindings, of which the first is taken that is to be had -------------------------------------------------


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for modality in ("TTS", "STT"):
        monkeypatch.delenv(f"LOLLMS_{modality}_BINDING", raising=False)
    monkeypatch.setenv("LOLLMS_CONFIG", str(tmp_path / "config.toml"))
    return tmp_path / "config.toml"


def test_the_first_that_is_to_be_had(config: Path) -> None:
    config.write_text('[tts]\nbinding = ["nobody", "Piper"]\n[tts.piper]\ndefault_speed = 2.0\n')
    assert choose("tts").name == "piper"
    with opened(Which("tts")) as made:
        assert made.binding.binding_name == "piper"
        chosen = made.binding.generate_audio("Hi.").provenance.extra["chosen"]  # type: ignore[attr-defined]
    assert chosen["asked"] == ["nobody", "piper"]
    assert "No tts binding 'nobody'" in chosen["instead_of"]["nobody"]
    with LollmsClient.from_config() as lc:
        assert lc.require("tts").settings.default_speed == 2.0
        assert lc.generate_audio("Hi.").provenance.extra["chosen"]["asked"] == ["nobody", "piper"]


def test_none_of_several_is_to_be_had(config: Path) -> None:
    config.write_text('[tts]\nbinding = ["nobody", "noone"]\n')
    with pytest.raises(BindingNotFoundError, match=r"config.toml, line 2: none of the tts bindings nobody, noone"), \
            opened(Which("tts")):  # fmt: skip
        pass


@pytest.mark.parametrize("said", ["[]", '["piper", 3]', '[""]', "3", '{ name = "piper" }'])
def test_what_is_no_binding(config: Path, said: str) -> None:
    config.write_text(f"[tts]\nbinding = {said}\n")
    with pytest.raises(configuration.ConfigurationError, match=r"config.toml, line 2: tts.binding is"):
        choose("tts")


def test_several_are_written_and_looked_at(config: Path) -> None:
    keys = ("tts", "binding")
    assert checked(keys, "bark, PIPER")[1] == ["bark", "piper"], "ours need not be here yet"
    assert checked(keys, "piper")[1] == "piper"
    assert checked(keys, '["piper", "example", "piper"]')[1] == ["piper", "example"]
    assert checked(keys, "piper,Piper")[1] == "piper"
    for wrong in ("piper,", ",", "piper,,example"):
        with pytest.raises(UsageError, match="between commas"):
            checked(keys, wrong)
    with pytest.raises(BindingNotFoundError, match="nobody"):
        checked(keys, "piper,nobody")
    configuration.change("tts.binding", ["bark", "piper"])
    assert 'binding = ["bark", "piper"]' in config.read_text()
    assert choose("tts") == ("tts", "piper", str(config))
    assert choose("tts").chain == ("bark", "piper")


def test_a_binding_of_another_modality_is_told_with_its_command(config: Path) -> None:
    with pytest.raises(UsageError, match=r"'faster_whisper' is no tts binding, but one of stt. lollms transcribe -b"):
        choose("tts", "faster_whisper")


def test_a_wrong_name_is_told_before_what_it_needs(lollms: Shell) -> None:
    assert "No stt binding 'nobody'" in lollms("test-binding", "stt:nobody", code=1).stderr
    assert "--sample" in lollms("test-binding", "stt:example", code=2).stderr


def test_the_installed_manual_page_is_the_one_of_the_commands() -> None:
    def said(source: str) -> list[str]:
        # What versions of typer call the types of values is left out.
        return re.findall(r"^(?:\.TH.*|\.SS lollms [^ ]+|\\fB.*?\\fR)", source, re.MULTILINE)

    kept = distribution("lollms-client").locate_file("../../../share/man/man1/lollms.1")
    if not Path(str(kept)).exists():  # an editable installation has no data
        kept = Path(__file__).parents[1] / "data" / "share" / "man" / "man1" / "lollms.1"
    told = "run lollms man --raw > packages/lollms-client/data/share/man/man1/lollms.1"
    assert said(Path(str(kept)).read_text("utf-8")) == said(manual.page()), told
    assert len(said(manual.page())) > 150


def test_the_manual_page_goes_into_a_pipe_as_man_shows_it(lollms: Shell) -> None:
    programs = lollms.folder / "programs"
    programs.mkdir()
    shown = programs / "man"
    shown.write_text('#!/bin/sh\necho "shown $*"; exec /bin/cat\n')
    shown.chmod(0o755)
    first, *page = lollms("man", PATH=str(programs)).stdout.decode().splitlines()
    assert first == "shown -l -"
    assert page == lollms("man", "--raw", PATH=str(programs)).stdout.decode().splitlines()
    shown.unlink()
    assert "apt-get install man-db" in lollms("man", code=1, PATH=str(programs)).stderr
    assert lollms("man", "--raw", PATH=str(programs)).stdout.startswith(b".TH LOLLMS 1")
