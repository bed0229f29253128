"""The parts of the command line that can be asked alone."""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import pytest
import typer
from lollms_client import cli
from lollms_client.cli import app, choice, configuration, interrupt, listing
from lollms_client.cli.arguments import parse_pairs, type_name
from lollms_client.cli.checked_value import checked
from lollms_client.cli.errors import UsageError
from lollms_client.cli.targets import reserved
from lollms_modalities import (
    BindingNotFoundError,
    BindingRef,
    BindingSettings,
    CallOptions,
    MediaInput,
    Seed,
    SettingsError,
)
from lollms_modalities.finding.bindings import find_bindings
from pydantic import SecretStr
from typer.testing import CliRunner

# --- words to values ------------------------------------------------------------------------------------------------


class Many(BindingSettings):
    count: int = 1
    share: float = 0.5
    maybe: int | None = None
    on: bool = False
    word: str = ""
    name: str | None = None
    either: str | int | None = None
    device: Literal["auto", "cpu", "null"] = "auto"
    level: Literal[1, 2] = 1
    words: list[str] = []  # noqa: RUF012
    numbers: list[int] | None = None
    mapping: dict[str, int] = {}  # noqa: RUF012
    key: SecretStr = SecretStr("")
    folder: Path | None = None


@pytest.mark.parametrize(
    ("pair", "value"),
    [
        ("count=5", 5), ("share=2", 2.0), ("maybe=", None), ("maybe=null", None), ("maybe=3", 3), ("on=yes", True),
        ("on=false", False), ("word=5", "5"), ("word=", ""), ("word=a=b", "a=b"), ("name=null", None), ("name=5", "5"),
        ("either=7", "7"), ("either=", None), ("device=null", "null"), ("device=cpu", "cpu"), ("level=2", 2),
        ("words=a, b", ["a", "b"]), ('words=["a,b"]', ["a,b"]), ("words=", []), ("numbers=1,2", [1, 2]),
        ("numbers=null", None), ('mapping={"a": 1}', {"a": 1}), ("key=123", SecretStr("123")),
        ("folder=/tmp/x", Path("/tmp/x")), ("keep-alive=1.5", 1.5),
    ],
)  # fmt: skip
def test_a_value_is_what_the_schema_says(pair: str, value: Any) -> None:
    values = parse_pairs([pair], Many.model_json_schema(), "--set")
    (name,) = values
    found = getattr(Many(**values), name)
    assert (found, type(found)) == (value, type(value))


def test_an_option_may_be_a_file_and_a_seed() -> None:
    class Options(CallOptions):
        seed: Seed = None
        mask: MediaInput | None = None

    schema = Options.model_json_schema()
    assert parse_pairs(["seed=-1", "mask=a.png"], schema, "--opt") == {"seed": -1, "mask": "a.png"}
    assert type_name(schema["properties"]["mask"]) == "file"


@pytest.mark.parametrize("pair", ["count", "=5", " = 5"])
def test_a_word_without_name_or_value_is_refused(pair: str) -> None:
    with pytest.raises(UsageError, match="NAME=VALUE"):
        parse_pairs([pair], {}, "--set")


@pytest.mark.parametrize("pair", ["words=[1", "mapping={a"])
def test_json_that_is_none_is_refused(pair: str) -> None:
    with pytest.raises(UsageError, match="is no such value"):
        parse_pairs([pair], Many.model_json_schema(), "--set")


def test_documented_arguments_have_types_without_a_schema() -> None:
    assert parse_pairs(["width=64", "voice=12", "unheard=7"], {}, "--opt") == {"width": 64, "voice": "12", "unheard": 7}


# --- which binding --------------------------------------------------------------------------------------------------


@pytest.fixture
def nothing_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """No variable and no configuration; gives the place of the configuration file."""
    for modality in cli.MODALITIES:
        monkeypatch.delenv(f"LOLLMS_{modality.upper()}_BINDING", raising=False)
    monkeypatch.setenv("LOLLMS_CONFIG", str(tmp_path / "config.toml"))
    return tmp_path / "config.toml"


def installed(monkeypatch: pytest.MonkeyPatch, *names: str, environment: str | None = None) -> None:
    (some, *_) = find_bindings("tts")
    refs = [BindingRef("tts", [name, f"{name}_too"], f"x:{name}", some._told, None, environment) for name in names]
    monkeypatch.setattr(choice, "find_bindings", lambda modality: refs if modality == "tts" else [])


def test_the_only_one_is_used(nothing_said: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed(monkeypatch, "only")
    assert choice.choose("tts") == ("tts", "only", "the only one installed")
    assert choice.parse_target("only_too").name == "only_too"
    assert choice.parse_target("tts").name == "only"


def test_of_several_none_is_guessed(nothing_said: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed(monkeypatch, "b", "a")
    with pytest.raises(UsageError, match="Several tts bindings are installed: a, b"):
        choice.choose("tts")
    with pytest.raises(BindingNotFoundError, match="tts:a, tts:b"):
        choice.parse_target("c")


def test_none_at_all_says_what_to_install(nothing_said: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed(monkeypatch)
    with pytest.raises(
        BindingNotFoundError, match=r'lollms install piper \(pip install "lollms-client\[piper\]>=2.*,<3"'
    ):
        choice.choose("tts")


@pytest.mark.parametrize(
    ("words", "extra"),
    [(["image", "a house"], "diffusers"), (["upscale", "-"], "enhance"), (["cut-out", "-"], "enhance")],
)
def test_what_is_advised_does_what_was_asked_for(
    nothing_said: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], extra: str
) -> None:
    installed(monkeypatch)
    monkeypatch.chdir(tmp_path)
    told = CliRunner().invoke(app.build(cli.COMMANDS), words, input=b"image").exception
    assert f"lollms install {extra} " in str(told)


def test_the_only_one_of_an_environment(nothing_said: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed(monkeypatch, "there", environment="far")
    assert choice.choose("tts", environment="far") == ("tts", "there", "the only one there")
    with pytest.raises(UsageError, match="Which tts binding of '/a/folder'"):
        choice.choose("tts", environment="/a/folder")


def test_the_order_of_those_who_say_it(nothing_said: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed(monkeypatch, "a", "b", "c", "d")
    nothing_said.write_text('[tts]\nbinding = "c"\n')
    assert choice.choose("tts").name == "c"
    monkeypatch.setenv("LOLLMS_TTS_BINDING", "b")
    assert choice.choose("tts") == ("tts", "b", "LOLLMS_TTS_BINDING")
    assert choice.choose("tts", "a").name == "a"


# --- the configuration file -----------------------------------------------------------------------------------------

WRITTEN = """\
# Mine.
[tts]   # speech
binding = "a"   # the good one

[tts.piper]
n_threads = 2

# the end
"""


def test_a_change_keeps_the_rest(nothing_said: Path) -> None:
    nothing_said.write_text(WRITTEN)
    configuration.change("tts.binding", "b")
    assert nothing_said.read_text() == WRITTEN.replace('binding = "a"   # the good one', 'binding = "b"')
    configuration.change("tts.piper.default_voice", 'he said "é"')
    configuration.change("stt.faster_whisper.model_name", "base")
    configuration.change("tts.piper.n_threads", None)
    text = nothing_said.read_text()
    assert [line for line in text.splitlines() if line.startswith("#")] == ["# Mine.", "# the end"]
    loaded = configuration.load()
    assert loaded.settings("tts", "piper") == {"default_voice": 'he said "é"'}
    assert loaded.settings("stt", "whisper", "faster_whisper") == {"model_name": "base"}
    assert nothing_said.stat().st_mode & 0o77 == 0


def test_taking_out_what_is_not_there_changes_nothing(nothing_said: Path) -> None:
    nothing_said.write_text(WRITTEN)
    configuration.change("ttv.binding", None)
    configuration.change("tts.environment", None)
    assert nothing_said.read_text() == WRITTEN


def test_a_file_that_cannot_be_edited_is_left_alone(nothing_said: Path) -> None:
    text = 'tts = {binding = "a"}\n'
    nothing_said.write_text(text)
    with pytest.raises((configuration.ConfigurationError, ValueError)):
        configuration.change("tts.binding", "b")
    assert nothing_said.read_text() == text


@pytest.mark.parametrize("key", ["tts", "tts.x", "tts.binding.x", "x.binding", "tts.a.b.c", "tts..x", "tts.a b.c"])
def test_what_is_no_key_is_refused(nothing_said: Path, key: str) -> None:
    with pytest.raises(UsageError, match="is no key"):
        configuration.change(key, "x")
    assert not nothing_said.exists()


@pytest.mark.parametrize(
    ("key", "text", "written"),
    [
        ("tts.binding", "PIPER", 'binding = "piper"'), ("tts.binding", "tts:piper-tts", 'binding = "piper_tts"'),
        ("tts.piper.n-threads", "2", "n_threads = 2"), ("tts.Piper.use_cuda", "yes", "use_cuda = true"),
        ("tts.piper.default_speed", "1", "default_speed = 1.0"),
        ("tts.piper.default_voice", "5\x7f", 'default_voice = "5\\u007f"'),
        ("tti.lollms.service_key", "sk-1", 'service_key = "sk-1"'),
        ("tts.piper.piper_voices_dir", "/a b", 'piper_voices_dir = "/a b"'),
    ],
)  # fmt: skip
def test_a_value_is_written_as_the_binding_has_it(nothing_said: Path, key: str, text: str, written: str) -> None:
    parts, value = checked(configuration.parse_key(key), text)
    configuration.change(".".join(parts), value)
    assert written in nothing_said.read_text().splitlines()
    configuration.load()


@pytest.mark.parametrize(
    ("key", "text", "error", "said"),
    [
        ("tts.piper.default_sped", "1.2", UsageError, "Did you mean 'default_speed'"),
        ("tts.piper.n_threads", "abc", SettingsError, "valid integer"),
        ("tts.piper.n_threads", "9" * 400, SettingsError, "n_threads"),
        ("tts.piper.default_speed", "nan", SettingsError, "default_speed"),
        ("tts.piper.n_threads", "", UsageError, "number|nothing|valid"),
        ("tts.binding", "nobody", BindingNotFoundError, "No tts binding 'nobody'"),
        ("tts.binding", "dalle", BindingNotFoundError, "offers 'dalle' for tti"),
        ("tts.xtts.device", "cpu", BindingNotFoundError, "lollms install xtts"),
        ("tts.environment", "nowhere", BindingNotFoundError, "no environment 'nowhere'"),
        ("tts.piper.default_voice", "\udcff", UsageError, "is no text"),
    ],
    ids=range(10),
)  # fmt: skip
def test_a_value_that_cannot_be_is_refused_at_once(
    nothing_said: Path, key: str, text: str, error: type[Exception], said: str
) -> None:
    with pytest.raises((error, SettingsError) if text == "" else error, match=said):
        checked(configuration.parse_key(key), text)
    assert not nothing_said.exists()


def test_a_link_to_the_file_stays_one(nothing_said: Path, tmp_path: Path) -> None:
    (tmp_path / "dotfiles").mkdir()
    nothing_said.symlink_to(tmp_path / "dotfiles" / "config.toml")
    configuration.change("tts.binding", "piper")
    assert nothing_said.is_symlink()
    assert (tmp_path / "dotfiles" / "config.toml").read_text() == '[tts]\nbinding = "piper"\n'


def test_two_who_change_it_at_once_lose_nothing(nothing_said: Path) -> None:
    threads = [threading.Thread(target=configuration.change, args=(f"tts.a.s{n}", n)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert configuration.load().settings("tts", "a") == {f"s{n}": n for n in range(8)}


@pytest.mark.parametrize(
    "name", ["faster_whisper", "faster-whisper", "Faster-Whisper", "stt:faster_whisper", "STT:FASTER_WHISPER"]
)
def test_a_name_is_understood(name: str) -> None:
    assert choice.choose("stt", name).name == "faster_whisper"
    assert choice.parse_target(name)[:2] == ("stt", "faster_whisper")


def test_a_hint_names_our_extra_and_no_look_alike() -> None:
    for known in ("whisper", "Whisper"):
        with pytest.raises(BindingNotFoundError, match="Run lollms install whisper"):
            choice.parse_target(known)
    with pytest.raises(BindingNotFoundError, match="Did you mean 'stt:whispercpp'"):
        choice.parse_target("whspercpp")
    with pytest.raises(UsageError, match="is no tts binding"):
        choice.choose("tts", "stt:whispercpp")


@pytest.mark.parametrize("text", ["[tts]\nbinding = 5\n", "[tts]\npiper = 5\n", "[speech]\n", "tts = 5\n", "\0"])
def test_a_file_that_means_nothing_is_told(nothing_said: Path, text: str) -> None:
    nothing_said.write_text(text)
    with pytest.raises(configuration.ConfigurationError, match=r"config\.toml"):
        configuration.load()


# --- the rest -------------------------------------------------------------------------------------------------------


def test_a_free_name_is_reserved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.wav").mkdir()
    with reserved(None, "a", ".wav") as first, reserved(None, "a", ".wav") as second:
        assert (str(first), str(second)) == ("a-2.wav", "a-3.wav")
        second.write_bytes(b"sound")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a-3.wav", "a.wav"], "what was not written is free again"


def test_a_name_that_somebody_else_has_taken_meanwhile_stays(tmp_path: Path) -> None:
    with reserved(tmp_path, "a", ".wav") as path:
        (tmp_path / "other").touch()
        (tmp_path / "other").replace(path)
    assert path.exists()


def test_every_command_has_help() -> None:
    whole = app.build(cli.COMMANDS)
    for name in cli.COMMANDS:
        shown = CliRunner().invoke(whole, [name, "--help"])
        assert shown.exit_code == 0, shown.output
        assert f"Usage: lollms {name}" in shown.output
    # The quick help is the same list.
    slow = CliRunner().invoke(whole, ["--help"]).output
    for name in cli.COMMANDS:
        assert f"  {name} " in slow


def test_an_application_can_be_mounted(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("lollms_client.cli.rooms")
    rooms = typer.Typer(help="Rooms.")
    rooms.command("open")(lambda: typer.echo("it is open"))
    rooms.command("close")(lambda: typer.echo("it is closed"))
    module.app = rooms  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setitem(cli.COMMANDS, "rooms", ("rooms", "app", "Rooms."))
    assert CliRunner().invoke(app.build(["rooms"]), ["rooms", "close"]).output == "it is closed\n"
    assert "  rooms " in cli.help_text()


def test_a_conflict_of_names_is_told_once() -> None:
    (some, *_) = find_bindings("tts")
    (other, *_) = find_bindings("stt")
    assert listing.conflicts([some, some]) == []
    assert other.distribution
    both = [BindingRef("tts", ["x"], "a:A", some._told), BindingRef("tts", ["x"], "b:B", _of("zzz"))]
    (told,) = listing.conflicts(both)
    assert "and zzz 1.0 claim this name" in told


def _of(name: str) -> Any:
    class Told:
        requires = ()

        def __getitem__(self, key: str) -> str:
            return {"Name": name, "Version": "1.0"}.get(key, "")

    return Told()


def test_an_engine_that_does_not_notice_is_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first Ctrl-C cancels; time, or a second one, interrupts."""
    import signal

    monkeypatch.setattr(interrupt, "PATIENCE", 0.3)
    # Whoever started the tests in the background may have had it ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    start = time.monotonic()

    def stuck(*, again: bool) -> None:
        with interrupt.Interruptible() as token:
            signal.raise_signal(signal.SIGINT)
            assert token.wait(10)
            if again:
                signal.raise_signal(signal.SIGINT)
            time.sleep(30)

    with pytest.raises(KeyboardInterrupt):
        stuck(again=False)
    assert 0.2 < time.monotonic() - start < 20
    monkeypatch.setattr(interrupt, "PATIENCE", 60)
    with pytest.raises(KeyboardInterrupt):
        stuck(again=True)
    assert signal.signal(signal.SIGINT, before) is signal.default_int_handler
    assert threading.current_thread() is threading.main_thread()


def test_a_second_after_the_call_is_nobodys() -> None:
    with interrupt.Interruptible() as token:
        pass
    assert not token.cancelled


def test_the_manual_page_has_every_command_and_no_slip_of_troff(tmp_path: Path) -> None:
    import shutil
    import subprocess

    from lollms_client.cli.manual import page

    source = page()
    for name in cli.COMMANDS:
        assert f"\n.SS lollms {name.replace('-', chr(92) + '-')}" in source
    for said in (r"\fB\-\-subtitles\fR \fIFILE\fR", "LOLLMS_PLAYER", ".SH EXIT STATUS", "lollms env create"):
        assert said in source
    assert not [line for line in source.splitlines() if line.startswith("'")]
    if groff := shutil.which("groff"):
        told = subprocess.run([groff, "-man", "-Tutf8", "-ww"], input=source.encode(), capture_output=True, check=True)
        assert told.stderr == b""
