"""The command ``lollms`` as its user runs it: whole processes, real bindings."""

from __future__ import annotations

import hashlib
import json
import os
import pty
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import srt
from distributions import install
from lollms_client.cli import COMMANDS
from lollms_modalities import Audio, Image, Video
from lollms_shell import LIMIT, PLAIN, Shell, wait_until
from loopback import Reply, serving

SENTENCE = "The stale smell of old beer lingers."
LONG = "It was a long and winding road, and it came to its end. " * 3000


@pytest.fixture
def lollms(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


@pytest.fixture(scope="module")
def speech(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A spoken sentence."""
    shell = Shell(tmp_path_factory.mktemp("speech"))
    shell("speak", SENTENCE, "-o", "beer.wav", *PLAIN)
    return shell.folder / "beer.wav"


def words_of(text: str) -> str:
    return "".join(c for c in text.lower() if c.isalnum() or c == " ").strip()


# --- help and listing -----------------------------------------------------------------------------------------------


def test_help_names_every_command(lollms: Shell) -> None:
    for words in ([], ["--help"], ["-h"]):
        told = lollms(*words).stdout.decode()
        assert [name for name in COMMANDS if f"\n  {name} " in told] == list(COMMANDS)
    assert lollms("--version").stdout.decode().startswith("lollms 2.")


@pytest.mark.parametrize("words", [["--help"], ["list"], ["list", "tts", "--json"]])
def test_help_and_listing_import_nothing_heavy(lollms: Shell, words: list[str]) -> None:
    command = [sys.executable, "-X", "importtime", "-m", "lollms_client", *words]
    done = subprocess.run(command, capture_output=True, text=True, env=lollms.env, timeout=LIMIT, check=True)
    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}
    assert "lollms_client" in imported
    heavy = {"typer", "rich", "click", "pydantic", "numpy", "pluggy", "asyncio", "lollms_piper", "torch"}
    assert not imported & heavy


def test_the_console_script_is_installed(lollms: Shell) -> None:
    script = Path(sys.executable).parent / "lollms"
    told = subprocess.run([script, "list"], capture_output=True, text=True, env=lollms.env, timeout=LIMIT, check=True)
    assert "piper (piper_tts)" in told.stdout


def test_listing_names_each_binding_once(lollms: Shell) -> None:
    told = json.loads(lollms("list", "--json").stdout)
    (piper,) = [b for b in told["bindings"] if b["distribution"] == "lollms-piper"]
    assert (piper["modality"], piper["name"], piper["aliases"]) == ("tts", "piper", ["piper_tts"])
    assert (piper["place"], piper["error"], told["damaged"]) == ("installed", None, [])
    only = lollms("list", "stt").stdout.decode()
    assert "faster_whisper" in only
    assert "piper" not in only


def test_checking_imports_in_a_child(lollms: Shell) -> None:
    done = lollms("list", "--check", "--json", "stt", "--timeout", "60", code=None)
    found = {b["name"]: b for b in json.loads(done.stdout)["bindings"]}
    assert done.returncode == any(b["error"] is not None for b in found.values())
    assert found["faster_whisper"]["error"] is None
    assert found["faster_whisper"]["seconds"] > 0


def test_info_tells_all_that_is_known(lollms: Shell) -> None:
    told = lollms("info", "piper").stdout.decode()
    for said in (
        "tts:piper (also piper_tts)", "piper-tts 1.", "GPL-3.0", "streaming; languages en-US", "piper_voices_dir",
        "sentence_silence", "place         installed",
    ):  # fmt: skip
        assert said in told
    facts = json.loads(lollms("info", "stt:faster_whisper", "--json").stdout)
    assert facts["licences"]["faster-whisper"] == "MIT"
    assert facts["capabilities"]["timestamps"] == ["segment", "word"]
    assert facts["settings"]["properties"]["device"]["enum"] == ["auto", "cpu", "cuda"]


def test_info_of_a_binding_that_needs_a_setting(lollms: Shell) -> None:
    told = lollms("info", "tts:piper", "--set", "n_threads=0").stdout.decode()
    assert "To know its capabilities it has to be made. setting 'n_threads'" in told


def test_voices_and_models(lollms: Shell) -> None:
    assert lollms("voices").stdout == b"en_US-joe-medium.onnx\n"
    assert "base.en" in lollms("models", "stt:faster_whisper").stdout.decode().split()
    assert json.loads(lollms("models", "tti:example", "--json").stdout)[0]["name"] == "blocks"


# --- speaking and listening -----------------------------------------------------------------------------------------


def test_a_text_is_spoken_and_written_down(lollms: Shell) -> None:
    assert lollms("speak", *SENTENCE.split(), "-o", "a.mp3", *PLAIN).stdout == b""
    assert Audio((lollms.folder / "a.mp3").read_bytes()).format == "mp3"
    assert words_of(lollms("transcribe", "a.mp3").stdout.decode()) == words_of(SENTENCE)


def test_without_a_name_a_free_one_is_taken(lollms: Shell) -> None:
    assert [lollms("speak", "hi", "-b", "example").stdout for _ in range(2)] == [b"speech.wav\n", b"speech-2.wav\n"]
    assert lollms("speak", "hi", "-b", "example", "-f", "flac").stdout == b"speech.flac\n"
    assert lollms.files == ["speech-2.wav", "speech.flac", "speech.wav"]


def test_pipes(lollms: Shell) -> None:
    sound = lollms("speak", "-o", "-", "--format", "flac", *PLAIN, stdin=SENTENCE.encode()).stdout
    assert Audio(sound).format == "flac"
    assert words_of(lollms("transcribe", stdin=sound).stdout.decode()) == words_of(SENTENCE)
    assert words_of(lollms("transcribe", "-", stdin=sound).stdout.decode()) == words_of(SENTENCE)
    assert lollms.files == []


def test_json_beside_the_result(lollms: Shell) -> None:
    done = lollms("speak", "hi", "--json", "--opt", "speed=1.5", "--set", "n_threads=1", "--set", "default-speaker=")
    told = json.loads(done.stdout)
    made = told["provenance"]
    assert (told["path"], told["format"], told["sample_rate"]) == ("speech.wav", "wav", 22050)
    assert (made["options"]["speed"], made["settings"]["n_threads"]) == (1.5, 1)
    assert made["settings"]["default_speaker"] is None
    piped = lollms("speak", "hi", "-o", "-", "--json", "-b", "example")
    assert Audio(piped.stdout).format == "wav"
    assert json.loads(piped.stderr)["format"] == "wav"


@pytest.mark.parametrize(
    "suffix", ["srt", *(pytest.param(name, marks=pytest.mark.full) for name in ("vtt", "json", "txt"))]
)
def test_the_suffix_of_a_transcript_decides(lollms: Shell, speech: Path, suffix: str) -> None:
    lollms("transcribe", str(speech), "-o", f"a.{suffix}", "--opt", "timestamps=word")
    text = (lollms.folder / f"a.{suffix}").read_text("utf-8")
    if suffix == "srt":
        (cue,) = srt.parse(text)
        assert words_of(cue.content) == words_of(SENTENCE)
        # The same to standard output.
        assert lollms("transcribe", str(speech), "-f", "srt", "--opt", "timestamps=word").stdout.decode() == text
    elif suffix == "vtt":
        assert text.startswith("WEBVTT\n\n00:00:00")
    elif suffix == "json":
        assert len(json.loads(text)["segments"][0]["words"]) == len(SENTENCE.split())
    else:
        assert words_of(text) == words_of(SENTENCE)


def test_several_recordings_of_which_one_is_not_there(lollms: Shell, speech: Path) -> None:
    (lollms.folder / "out").mkdir()
    done = lollms("transcribe", str(speech), "none.wav", str(speech), "-o", "out", "-f", "srt", code=1)
    assert "There is no audio file 'none.wav'" in done.stderr
    assert sorted(os.listdir(lollms.folder / "out")) == ["beer-2.srt", "beer.srt"]
    assert done.stdout.decode().split() == ["out/beer.srt", "out/beer-2.srt"]
    done = lollms("transcribe", str(speech), "none.wav", "--json", code=1)
    told, failed = json.loads(done.stdout)
    assert (told["file"], told["provenance"]["binding"]) == (str(speech), "faster_whisper")
    assert (failed["file"], failed["error"]["type"]) == ("none.wav", "AudioFileNotFoundError")
    done = lollms("transcribe", str(speech), str(speech))
    assert done.stdout.decode().count(f"{speech}: ") == 2


def test_images_music_and_video(lollms: Shell) -> None:
    lollms("image", "a", "blue", "house", "-b", "example", "--width", "64", "--opt", "height=32", "-o", "i.webp")
    image = Image((lollms.folder / "i.webp").read_bytes())
    assert (image.format, image.width, image.height) == ("webp", 64, 32)
    lollms("music", "a chord", "-b", "example", "--opt", "duration=0.5", "-o", "m.ogg")
    assert abs(Audio((lollms.folder / "m.ogg").read_bytes()).duration - 0.5) < 0.05
    lollms("video", "a ball", "-b", "example", "--opt", "num-frames=3", "-o", "v.mp4")
    assert Video((lollms.folder / "v.mp4").read_bytes()).num_frames == 3


def test_a_voice_is_chosen(lollms: Shell) -> None:
    low, high = (lollms("speak", "hi", "-b", "example", "-v", v, "-o", "-").stdout for v in ("low", "high"))
    assert low != high
    assert "Known ones: low, high" in lollms("speak", "hi", "-b", "example", "-v", "x", "-o", "-", code=1).stderr


# --- elsewhere ------------------------------------------------------------------------------------------------------


def test_in_a_process_of_its_own(lollms: Shell) -> None:
    here = lollms("speak", SENTENCE, "-o", "-", *PLAIN).stdout
    there = lollms(
        "speak", SENTENCE, "-o", "-", *PLAIN, "--isolated", "--set", "n_threads=1", "--opt", "speed=1"
    ).stdout
    assert Audio(there).duration == pytest.approx(Audio(here).duration, abs=0.01)
    assert "Did you mean 'speed'" in lollms("speak", "hi", "--isolated", "--opt", "sped=1", "-o", "-", code=2).stderr
    assert lollms("voices", "--isolated").stdout == b"en_US-joe-medium.onnx\n"


def test_in_an_environment(lollms: Shell, tmp_path: Path) -> None:
    place = tmp_path / "data" / "lollms" / "environments" / "elsewhere"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(place)], check=True)
    (site,) = place.glob("lib/python3*/site-packages")
    (site / "here.pth").write_text("\n".join(p for p in sys.path if p.endswith(("-packages", "/src"))))
    for name in ("elsewhere", str(place)):
        told = json.loads(lollms("speak", "hi", "-e", name, "--opt", "speed=2", "--json", *PLAIN).stdout)
        assert told["provenance"]["options"]["speed"] == 2.0
    assert "no environment 'nowhere'" in lollms("speak", "hi", "-e", "nowhere", code=1).stderr
    lollms("config", "tts.binding", "example")
    lollms("config", "tts.environment", "elsewhere")
    del lollms.env["LOLLMS_TTS_BINDING"]
    done = lollms("--debug", "speak", "hi")
    assert "here, in a process" not in done.stderr
    assert (lollms.folder / "speech.wav").exists()
    assert "place         elsewhere" in lollms("info", "tts:example", "-e", "elsewhere").stdout.decode()


# --- choosing -------------------------------------------------------------------------------------------------------


def test_the_default_comes_from_command_environment_configuration(lollms: Shell) -> None:
    def used() -> str:
        return str(json.loads(lollms("doctor", "--quick", "--json").stdout)["used"]["tts"])

    assert used() == "piper, by LOLLMS_TTS_BINDING"
    del lollms.env["LOLLMS_TTS_BINDING"]
    assert "Several tts bindings are installed" in used()
    done = lollms("speak", "hi", code=2)
    for said in ("example", "piper", "--binding", "LOLLMS_TTS_BINDING", "lollms config tts.binding"):
        assert said in done.stderr
    lollms("config", "tts.binding", "example")
    assert used().startswith("example, by ")
    assert json.loads(lollms("speak", "hi", "--json").stdout)["provenance"]["binding"] == "example"
    assert json.loads(lollms("speak", "hi", "--json", "-b", "piper").stdout)["provenance"]["binding"] == "piper"


def test_settings_come_from_the_configuration_and_the_command_wins(lollms: Shell) -> None:
    lollms("config", "tts.piper_tts.n_threads", "1")
    lollms("config", "tts.Piper.default-speed", "2.0")
    made = json.loads(lollms("speak", "hi", "--json").stdout)["provenance"]["settings"]
    assert (made["n_threads"], made["default_speed"]) == (1, 2.0)
    made = json.loads(lollms("speak", "hi", "--json", "--set", "n_threads=2").stdout)["provenance"]["settings"]
    assert made["n_threads"] == 2
    assert lollms("config", "tts.piper.default_speed").stdout == b"2.0\n"
    lollms("config", "tti.lollms.service_key", "sk-1")
    assert b"sk-1" not in lollms("config").stdout
    assert b"sk-1" not in lollms("config", "--json").stdout


@pytest.mark.parametrize("whole", [False, pytest.param(True, marks=pytest.mark.full)])  # whole: each engine breathes
def test_what_is_wrong_with_the_configuration_is_a_problem(lollms: Shell, tmp_path: Path, whole: bool) -> None:
    file = tmp_path / "config.toml"
    file.write_text("[tti]\nbinding = 'nobody'\n[tts.piper]\nn_threads = 'x'\n")
    (tmp_path / "site" / "faster_whisper").mkdir(parents=True)
    (tmp_path / "site" / "faster_whisper" / "__init__.py").write_text("raise ImportError('no libgomp')")
    place = {"LOLLMS_CONFIG": str(file), "PYTHONPATH": str(tmp_path / "site")}
    words = ["doctor", "--json"] if whole else ["doctor", "--quick", "--json"]
    told = json.loads(lollms(*words, code=1, **place).stdout)
    nobody, *others = told["problems"]
    assert "says 'nobody', which is not installed" in nobody
    if whole:
        assert f"{file}, line 4: setting 'n_threads'" in others[0]
        (engine,) = [other for other in others if "faster_whisper" in other]
        assert "has an engine that does not work: ImportError: no libgomp." in engine
    assert told["packages"]["lollms-piper"].startswith("2.")
    assert lollms("doctor", "--quick", code=1, **place).stdout.decode().startswith("python: 3.")


# --- errors ---------------------------------------------------------------------------------------------------------

WRONG: dict[str, tuple[list[str], int, str]] = {
    "no command": (["spek"], 2, "No such command 'spek'"),
    "no flag": (["speak", "hi", "--loud"], 2, "No such option"),
    "no value": (["speak", "hi", "--opt", "speed"], 2, "--opt NAME=VALUE"),
    "unknown option": (["speak", "hi", "--opt", "sped=2"], 2, "Did you mean 'speed'?"),
    "wrong option": (["speak", "hi", "--opt", "speed=fast"], 2, "valid number"),
    "unknown setting": (["speak", "hi", "--set", "threads=2"], 2, "Did you mean 'n_threads'?"),
    "wrong setting": (["speak", "hi", "--set", "n_threads=x"], 2, "valid integer"),
    "unknown suffix": (["speak", "hi", "-o", "a.xyz"], 2, "Known ones: .wav"),
    "no folder": (["speak", "hi", "-o", "no/a.wav"], 2, "its folder does not exist"),
    "two formats": (["speak", "hi", "-o", "a.wav", "-f", "mp3"], 2, "both say the format"),
    "nothing to say": (["speak", "..."], 2, "holds nothing to say"),
    "no transcript": (["transcribe", "a.wav", "-o", "a.doc"], 2, ".srt"),
    "many to one": (["transcribe", "a.wav", "b.wav", "-o", "a.srt"], 2, "no folder for 2"),
    "many as one": (["transcribe", "a.wav", "b.wav", "-f", "srt"], 2, "cannot be one text"),
    "several modalities": (["info", "example"], 2, "tts:example"),
    "no target": (["info", "tts:"], 2, "tts:piper"),
    "no key": (["config", "tts.x"], 2, "MODALITY.binding"),
    "no binding": (["speak", "hi", "-b", "pipr"], 1, "Did you mean 'piper'?"),
    "an extra": (["speak", "hi", "-b", "xtts"], 1, 'lollms install xtts (pip install "lollms-client[xtts]>=2.'),
    "another modality": (["speak", "hi", "-b", "stt:piper"], 2, "is no tts binding"),
    "no setting": (["config", "tts.piper.default_sped", "1.2"], 2, "Did you mean 'default_speed'?"),
    "no voice": (["speak", "hi", "-v", "nobody"], 1, "nobody"),
    "no home": (["install", "piper", "--from", "~nobody-here/x"], 2, "no folder"),
    "no file": (["transcribe", "a.wav"], 1, "There is no audio file"),
    "an address": (["transcribe", "https://a.b/c?d"], 1, "curl -sSL 'https://a.b/c?d' | lollms ... -"),
    "nothing to fetch": (["pull", "tts:example", "x"], 1, "has nothing to fetch"),
    "out of time": (["speak", "-", "--timeout", "0.5"], 1, "did not finish within"),
}


@pytest.mark.parametrize("what", WRONG)
def test_failures_are_one_paragraph(lollms: Shell, what: str) -> None:
    words, code, said = WRONG[what]
    done = lollms(*words, code=code, stdin=LONG.encode())
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == b""
    assert lollms.files == []
    if code == 1:
        assert len(done.stderr.strip().splitlines()) == 1


def test_no_recording_at_all(lollms: Shell) -> None:
    assert "The audio is empty (0 bytes)" in lollms("transcribe", code=1).stderr


def test_debug_shows_the_traceback(lollms: Shell) -> None:
    for words in (["--debug", "speak", "hi", "-v", "nobody"], ["speak", "hi", "-v", "nobody", "--debug"]):
        done = lollms(*words, code=1)
        assert "Traceback" in done.stderr
        assert "VoiceNotFoundError" in done.stderr
    assert json.loads(lollms("speak", "--json", "-b", "example", "--", "--debug").stdout)["bytes"] > 100


def test_a_configuration_that_is_broken_is_told(lollms: Shell, tmp_path: Path) -> None:
    file = tmp_path / "config" / "lollms" / "config.toml"
    file.parent.mkdir(parents=True)
    file.write_text("[tts\n", "utf-8")
    assert f"{file} cannot be read" in lollms("speak", "hi", code=1).stderr
    told = json.loads(lollms("doctor", "--quick", "--json", code=1).stdout)
    assert f"{file} cannot be read" in told["problems"][0]
    file.write_text("[tss]\n", "utf-8")
    assert "Did you mean 'tts'?" in lollms("speak", "hi", code=1, LOLLMS_TTS_BINDING="").stderr


def test_a_reader_that_has_had_enough(lollms: Shell) -> None:
    process = lollms.start("models", "stt:faster_whisper", stdin=b"")
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    told = process.stderr.read()
    assert (process.wait(LIMIT), told) == (1, b"")
    process.stderr.close()


def test_a_plug_in_that_raises_is_told_and_loses_nothing(lollms: Shell, tmp_path: Path) -> None:
    points = "[lollms_client.plugins]\nbad = bad_plugin\nworse = no_such_plugin\n"
    install(tmp_path / "site", "bad_plugin", points)
    (tmp_path / "site" / "bad_plugin.py").write_text(
        "from lollms_modalities import hookimpl\n@hookimpl\ndef lollms_after_call(result):\n    raise ValueError('oh')\n"
    )
    done = lollms("speak", "hi", "-b", "example", PYTHONPATH=str(tmp_path / "site"))
    assert "lollms: plug-in 'bad' failed in lollms_after_call: ValueError: oh\n" in done.stderr
    assert "plug-in 'worse' (no_such_plugin) cannot be loaded" in done.stderr
    assert "Traceback" not in done.stderr
    assert lollms.files == ["speech.wav"]


# --- Ctrl-C ---------------------------------------------------------------------------------------------------------


def workers_of(pid: int) -> list[Any]:
    import psutil

    children = psutil.Process(pid).children(recursive=True)
    return [c for c in children if "lollms_modalities.workers.worker" in " ".join(c.cmdline())]


@pytest.mark.parametrize(
    ("more", "number"),
    [
        pytest.param([], signal.SIGINT, id="ctrl-c"),
        pytest.param([], signal.SIGTERM, id="terminated", marks=pytest.mark.full),
        pytest.param(["--isolated"], signal.SIGINT, id="isolated"),
    ],
)
def test_a_call_is_cancelled_and_leaves_no_file(lollms: Shell, more: list[str], number: int) -> None:
    import psutil

    process = lollms.start("speak", "-o", "long.wav", *more, stdin=LONG.encode())
    whole = psutil.Process(process.pid)
    # It works once it has used more of the processor than starting takes.
    wait_until(lambda: sum(sum(p.cpu_times()[:2]) for p in [whole, *whole.children(recursive=True)]) > 4)
    workers = workers_of(process.pid) if more else []
    assert bool(workers) == bool(more)
    process.send_signal(number)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130
    assert told.decode().strip() == "Cancelled."
    assert lollms.files == []
    wait_until(lambda: not any(worker.is_running() for worker in workers), 10)


def test_ctrl_c_while_recordings_are_written_down(lollms: Shell, speech: Path) -> None:
    process = lollms.start("transcribe", *[str(speech)] * 2000, "-o", ".", "-f", "srt")
    wait_until(lambda: "beer-2.srt" in lollms.files)
    process.send_signal(signal.SIGINT)
    made, told = process.communicate(timeout=60)
    assert (process.returncode, told.decode().strip()) == (130, "Cancelled.")
    assert lollms.files == sorted(made.decode().split()), "whole ones stay, and no part of another"
    for name in lollms.files:
        assert words_of(next(srt.parse((lollms.folder / name).read_text())).content) == words_of(SENTENCE)


def test_ctrl_c_while_bindings_are_checked(lollms: Shell, tmp_path: Path) -> None:
    import broken_distributions

    site = tmp_path / "site"
    site.mkdir()
    broken_distributions.make(site, "endless_loop")
    lollms.env["PYTHONPATH"] = str(site)
    process = lollms.start("list", "--check")
    wait_until(lambda: len(workers_of(process.pid)) > 0)
    workers = workers_of(process.pid)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    wait_until(lambda: not any(worker.is_running() for worker in workers), 10)


# --- at a terminal --------------------------------------------------------------------------------------------------


@pytest.fixture
def terminal() -> Iterator[tuple[int, Callable[[], str]]]:
    """A terminal's file, and a function that reads what is shown on it once the process has ended."""
    ours, theirs = pty.openpty()
    shown: list[bytes] = []

    def take() -> None:
        with suppress(OSError):  # as a terminal says that nobody has it open any more
            while data := os.read(ours, 65536):
                shown.append(data)

    # While the process runs: a terminal holds few bytes, and whoever writes more waits.
    reader = threading.Thread(target=take)
    reader.start()
    open_ = [theirs]

    def read() -> str:
        os.close(open_.pop())
        reader.join(LIMIT)
        return b"".join(shown).decode("utf-8", "replace")

    yield theirs, read
    if open_:
        read()
    os.close(ours)


def test_progress_is_shown_on_a_terminal_alone(lollms: Shell, terminal: tuple[int, Callable[[], str]]) -> None:
    screen, shown = terminal
    command = [sys.executable, "-m", "lollms_client", "speak", "One. Two. Three. " * 10, "-o", "-"]
    env = {**lollms.env, "TERM": "xterm-256color", "COLUMNS": "100"}
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=screen, env=env, timeout=LIMIT, check=True
    )
    assert Audio(done.stdout).duration > 3, "and what goes through the pipe is whole"
    text = shown()
    assert " of 170 character" in text
    assert "━" in text
    assert lollms("speak", "One. Two.", "-o", "-").stderr == "", "not into a file"


def test_sound_is_not_thrown_at_a_terminal(lollms: Shell, terminal: tuple[int, Callable[[], str]]) -> None:
    screen, shown = terminal
    command = [sys.executable, "-m", "lollms_client", "speak", "hi", "-o", "-"]
    done = subprocess.run(command, stdin=screen, stdout=screen, stderr=screen, env=lollms.env, timeout=LIMIT)
    assert done.returncode == 2
    assert "no text for a terminal" in shown()


def test_nothing_to_say_at_a_terminal(lollms: Shell, terminal: tuple[int, Callable[[], str]]) -> None:
    screen, _ = terminal
    for command, said in (
        ("speak", "There is no text."),
        ("image", "There is no prompt."),
        ("transcribe", "no recording"),
    ):
        done = subprocess.run(
            [sys.executable, "-m", "lollms_client", command], stdin=screen, capture_output=True, text=True,
            env=lollms.env, timeout=LIMIT,
        )  # fmt: skip
        assert (done.returncode, said in done.stderr) == (2, True)


# --- completion and pull --------------------------------------------------------------------------------------------


def test_words_are_completed(lollms: Shell) -> None:
    def completed(line: str) -> list[str]:
        words = line.split(" ")
        env = {"_LOLLMS_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
        return str(lollms(**env).stdout.decode()).split()

    assert completed("lollms sp") == ["speak"]
    assert completed("lollms tra") == ["transcribe"]
    assert completed("lollms speak --bind") == ["--binding"]
    assert {"piper", "piper_tts"} <= set(completed("lollms speak --binding pip"))
    assert "faster_whisper" in completed("lollms transcribe -b fas")
    assert "faster_whisper" not in completed("lollms speak -b fas")
    shell = lollms("--show-completion", "bash", _TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1")
    assert "_LOLLMS_COMPLETE=complete_bash" in shell.stdout.decode()


def test_a_voice_is_fetched(lollms: Shell, tmp_path: Path) -> None:
    from lollms_piper.voices import packaged_voice

    packaged = packaged_voice()
    assert packaged is not None
    name, base = "en_US-joe-medium", "en/en_US/joe/medium"
    files = {f"{base}/{name}.onnx": packaged, f"{base}/{name}.onnx.json": Path(f"{packaged}.json")}
    data = {path: file.read_bytes() for path, file in files.items()}
    listed = {p: {"size_bytes": len(d), "md5_digest": hashlib.md5(d).hexdigest()} for p, d in data.items()}
    routes = {"GET /voices.json": Reply({name: {"files": listed}})} | {f"GET /{p}": Reply(d) for p, d in data.items()}
    with serving(routes) as server:
        place = ["--set", f"voices_url={server.url}"]
        assert "lollms pull tts:piper NAME" in lollms("pull", "tts:piper", *place, code=2).stderr
        own = tmp_path / "data" / "lollms" / "voices" / "piper" / f"{name}.onnx"
        done = lollms("pull", "tts:piper", name, *place)
        assert (done.stdout.decode(), own.exists()) == (f"{own}\n", True)
        assert f"lollms speak -b piper -v {name}" in done.stderr
        lollms("config", "tts.piper.piper_voices_dir", str(tmp_path / "voices"))
        done = lollms("pull", "tts:piper", name, *place)
        assert done.stdout.decode() == f"{tmp_path / 'voices' / name}.onnx\n"
        assert "en_US-lessac-low" in lollms("pull", "piper", "en_US-lessac-low", *place, code=1).stderr
    assert lollms("voices").stdout.decode().split() == [f"{name}.onnx"]
    lollms("speak", "hi", "-v", name, "-o", "hi.wav")


def test_a_model_without_a_method_of_its_own_is_loaded_once(lollms: Shell) -> None:
    from lollms_faster_whisper.models import packaged_model

    assert "is there" in lollms("pull", "stt:faster_whisper", str(packaged_model())).stderr
    assert lollms("pull", "stt:faster_whisper", "/no/such/model", code=1).stderr.startswith("lollms: '/no/such/model'")
