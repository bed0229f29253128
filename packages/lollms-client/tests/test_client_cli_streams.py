"""Standard streams that are closed, full or of few letters; files that are pipes; what the system refuses."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from lollms_modalities import Audio
from lollms_shell import Shell


@pytest.fixture
def lollms(tmp_path: Path) -> Shell:
    shell = Shell(tmp_path)
    shell.env |= {"LOLLMS_TTS_BINDING": "example", "LOLLMS_STT_BINDING": "example"}
    return shell


@pytest.fixture(scope="module")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording that the example binding hears something in."""
    shell = Shell(tmp_path_factory.mktemp("spoken"))
    shell("speak", "hi", "-o", "rec.wav", "-b", "example")
    return shell.folder / "rec.wav"


@pytest.fixture
def recording(lollms: Shell, spoken: Path) -> str:
    """It, beside the folder that the command runs in."""
    shutil.copy(spoken, lollms.folder / "../rec.wav")
    return "../rec.wav"


# --- closed ---------------------------------------------------------------------------------------------------------

CLOSED = {  # what is run: the exit code, what standard error says, the files
    "speak hi >&-": (0, "speech.wav\n", ["speech.wav"]),
    "speak hi -o a.wav >&-": (0, "", ["a.wav"]),
    "speak hi -o - >&-": (1, "lollms: Standard output is closed. Name a file with -o.\n", []),
    "speak hi --json >&-": (0, '"path": "speech.wav"', ["speech.wav"]),
    "speak hi 2>&-": (0, "", ["speech.wav"]),
    "speak hi -b nobody 2>&-": (1, "", []),
    "speak hi >&- 2>&- <&-": (0, "", ["speech.wav"]),
    "speak <&-": (2, "There is no text.", []),
    "speak - <&-": (2, "There is no text.", []),
    "image <&-": (2, "There is no prompt.", []),
    "transcribe <&-": (2, "There is no recording.", []),
    "transcribe - <&-": (2, "Standard input is closed.", []),
    "transcribe ../rec.wav >&-": (1, "Standard output is closed. Name a file or a folder", []),
    "transcribe ../rec.wav -d . >&-": (0, "rec.txt\n", ["rec.txt"]),
    "list >&-": (1, "Standard output is closed.", []),
    "info tts:example >&-": (1, "Standard output is closed.", []),
    "--help >&-": (1, "Standard output is closed.", []),
    "config >&- 2>&-": (1, "", []),
}


QUICK = ("speak hi >&-", "speak hi 2>&-", "speak <&-", "transcribe ../rec.wav >&-", "list >&-", "--help >&-")


@pytest.mark.parametrize(
    "line", [line if line in QUICK else pytest.param(line, marks=pytest.mark.full) for line in CLOSED]
)
def test_a_closed_stream(lollms: Shell, recording: str, line: str) -> None:
    code, told, files = CLOSED[line]
    done = lollms.line(f"lollms {line}", code=code)
    assert told in done.stderr
    assert lollms.files == files


def test_what_a_closed_stream_leaves_free_is_no_file_of_ours(lollms: Shell) -> None:
    """An engine that prints would print into the file that has the number of standard output."""
    lollms.line("lollms speak hi -o a.wav >&- 2>&- <&-")
    assert Audio((lollms.folder / "a.wav").read_bytes()).duration > 0
    done = lollms.line("lollms speak hi -o b.wav --isolated >&- 2>&- <&-")
    assert (lollms.folder / "a.wav").read_bytes() == (lollms.folder / "b.wav").read_bytes()
    assert done.stdout == b""


@pytest.mark.parametrize(
    "line",
    [
        "list",
        "speak hi -o -",
        *(pytest.param(line, marks=pytest.mark.full) for line in ("transcribe ../rec.wav", "info tts:example --json")),
    ],
)
def test_a_full_disk_behind_standard_output_is_named(lollms: Shell, recording: str, line: str) -> None:
    done = lollms.line(f"lollms {line} >/dev/full", code=1)
    assert done.stderr.count("Standard output cannot be written: No space left on device.") == 1
    assert len(done.stderr.splitlines()) == 1
    lollms.line(f"lollms {line} >/dev/full 2>/dev/full", code=1)


# --- letters --------------------------------------------------------------------------------------------------------


def test_no_letter_is_lost_where_the_encoding_lacks_it(lollms: Shell) -> None:
    for encoding in ("ascii", "latin-1"):
        done = lollms("speak", "hi", "-o", "日é.wav", "--json", PYTHONIOENCODING=encoding)
        assert json.loads(done.stdout)["path"] == "日é.wav"
    made = lollms("transcribe", "日é.wav", "-d", "日", PYTHONIOENCODING="ascii").stdout
    assert made == rb"\u65e5/\u65e5\xe9.txt" + b"\n"
    assert "\\u65e5" in lollms("transcribe", "日.wav", code=1, PYTHONIOENCODING="ascii").stderr
    # Whoever asks for a way to treat them has it.
    assert lollms("transcribe", "日é.wav", "-d", "日", PYTHONIOENCODING="ascii:replace").stdout == b"?/??-2.txt\n"


def test_a_name_that_is_no_text_is_written_as_it_is(lollms: Shell) -> None:
    name = os.fsdecode(b"\xff.wav")
    lollms("speak", "hi", "-o", name)
    assert lollms.files == [name]
    assert lollms("transcribe", name, "-d", ".").stdout == b"\xff.txt\n"
    assert json.loads(lollms("speak", "hi", "-o", name, "--json").stdout)["path"].endswith(".wav")


@pytest.mark.full
def test_marks_that_editors_begin_with(lollms: Shell, tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_bytes(b"\xef\xbb\xbf[tts]\nbinding = 'example'\n")
    lollms("config", "stt.binding", "example", LOLLMS_CONFIG=str(file))
    done = lollms("config", "tts.binding", LOLLMS_CONFIG=str(file))
    assert done.stdout == b"example\n"
    texts = {"hi": b"hi", "utf-8": b"\xef\xbb\xbfhi", "utf-16": "hi".encode("utf-16"), "be": b"\xfe\xff\x00h\x00i"}
    sounds = set()
    for name, data in texts.items():
        (lollms.folder / name).write_bytes(data)
        sounds.add(lollms("speak", "-i", name, "-o", "-").stdout)
        sounds.add(lollms("speak", "-o", "-", stdin=data).stdout)
    assert len(sounds) == 1
    assert "no UTF-8 text" in lollms("speak", stdin=b"\xe9t\xe9", code=2).stderr
    assert "'x' is no UTF-8 text" in lollms.line(r"printf '\351t' > x; lollms speak -i x", code=2).stderr


# --- pipes as files -------------------------------------------------------------------------------------------------


def test_a_recording_may_come_from_a_pipe(lollms: Shell, recording: str) -> None:
    expected = lollms("transcribe", recording).stdout
    for line in (
        "lollms transcribe <(cat ../rec.wav)", "cat ../rec.wav | lollms transcribe /dev/stdin",
        "lollms transcribe /dev/stdin < ../rec.wav", "cat ../rec.wav | lollms transcribe",
        "lollms transcribe - < ../rec.wav",
    ):  # fmt: skip
        assert lollms.line(line).stdout == expected, line
    assert "empty (0 bytes)" in lollms.line("lollms transcribe <(true)", code=1).stderr
    assert lollms.line("lollms speak -i <(echo hi) -o -").stdout == lollms("speak", "hi", "-o", "-").stdout


# --- what the system refuses ----------------------------------------------------------------------------------------


def test_a_working_directory_that_is_gone(lollms: Shell) -> None:
    for line in ("speak hi", "transcribe /dev/null -o a.srt", "speak hi -d out"):
        done = lollms.line(f"mkdir gone; cd gone; rmdir ../gone; lollms {line}", code=None)
        assert done.returncode in (1, 2)
        assert "directory" in done.stderr or "cannot be made" in done.stderr
        assert done.stdout == b""
    assert "example" in lollms.line("mkdir gone; cd gone; rmdir ../gone; lollms list").stdout.decode()


@pytest.fixture
def sealed(tmp_path: Path) -> Iterator[Path]:
    """A folder that cannot be written to, even by root."""
    folder = tmp_path / "sealed"
    folder.mkdir()
    shutil.copy(__file__, folder / "some.py")
    folder.chmod(0o555)
    if os.geteuid() == 0 and (shutil.which("chattr") is None or os.system(f"chattr +i {folder} 2>/dev/null")):
        folder = Path("/proc/self")
    yield folder
    if os.geteuid() == 0 and folder.parent == tmp_path:
        os.system(f"chattr -i {folder}")
    (tmp_path / "sealed").chmod(0o755)


def test_a_folder_that_may_not_be_written_to(lollms: Shell, recording: str, sealed: Path) -> None:
    for words in (
        ["speak", "hi", "-o", f"{sealed}/a.wav"], ["speak", "hi", "-d", str(sealed)],
        ["speak", "hi", "-d", f"{sealed}/sub/more"], ["transcribe", recording, "-o", f"{sealed}/a.srt"],
        ["transcribe", recording, "none.wav", "-d", str(sealed)],
    ):  # fmt: skip
        done = lollms(*words, code=None)
        assert done.returncode in (1, 2)
        assert str(sealed) in done.stderr
        assert len(done.stderr.splitlines()) == 1, "before any work"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["speak", "-i", "nothing.txt"], "cannot be read from 'nothing.txt': No such file"),
        (["speak", "hi", "-o", "~nobody-here/a.wav"], "~nobody-here"),
        (["speak", "hi", "-o", "a.wav", "-o", "b.wav"], "-o is given twice"),
        (["speak", "hi", "-d", "/dev/null/x"], "'/dev/null/x' cannot be made: Not a directory"),
        (["speak", "hi", "-o", f"{'a' * 300}.wav"], "File name too long"),
        (["speak", os.fsdecode(b"\xff")], "lone surrogate at position 0"),
        (["speak", "hi", "--opt", os.fsdecode(b"a\xff=1")], "has no option"),
        (["transcribe", "/dev/null/x"], "Not a directory"),
        (["speak", "hi", "--speed", "1e-9"], "greater than or equal to 0.1"),
    ],
    ids=range(9),
)  # fmt: skip
def test_what_cannot_be_is_named(lollms: Shell, words: list[str], said: str) -> None:
    _refused(lollms, words, said)


@pytest.mark.full
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["speak", "-i", "/"], "cannot be read from '/': Is a directory"),
        (["speak", "-i", "x", "hi"], "given twice"),
        (["speak", "hi", "-o", "a.wav", "-d", "x"], "-o and -d"),
        (["speak", "hi", "-o", ""], "-o names nothing"),
        (["transcribe", os.fsdecode(b"\xff.wav")], "There is no audio file"),
        (["transcribe", "-", "-"], "named twice"),
        (["transcribe", ".."], "'..' holds no recording"),
        (["speak", "hi", "--opt", "speed=1e400"], "finite"),
        (["speak", "hi", "--speed", "nan"], "finite"),
        (["speak", "hi", "--opt", f"speed={'9' * 5000}"], "speed"),
        (["speak", "hi", "--timeout", "nan"], "--timeout"),
        (["image", "a", "-b", "example", "--width", "9" * 30], "less than or equal to 2147483647"),
        (["image", "a", "-b", "example", "--width", "9" * 9], "At most 4096 pixels"),
    ],
    ids=range(13),
)
def test_more_that_cannot_be_is_named(lollms: Shell, words: list[str], said: str) -> None:
    _refused(lollms, words, said)


def _refused(lollms: Shell, words: list[str], said: str) -> None:
    done = lollms(*words, code=None)
    assert done.returncode in (1, 2)
    assert said in done.stderr
    assert "failed in its engine" not in done.stderr
    assert lollms.files == []


def test_a_nul_in_what_is_piped_in(lollms: Shell) -> None:
    assert "NUL character at position 1" in lollms("speak", stdin=b"a\0b", code=2).stderr
    assert "NUL character at position 1" in lollms("image", "-b", "example", stdin=b"a\0b", code=2).stderr
