"""What is written, played and read while it is made; subtitles; flags of their own."""

from __future__ import annotations

import json
import os
import platform
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import srt
from lollms_modalities import Audio
from lollms_shell import LIMIT, PLAIN, Shell

TEXT = "The stale smell of old beer lingers. It takes heat to bring out the odor. "


@pytest.fixture
def lollms(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


def pcm(sound: bytes) -> bytes:
    """The samples, as int16."""
    return bytes((Audio(sound).to_numpy() * 32768).round().astype("int16").tobytes())


def test_sound_is_written_while_it_is_made(lollms: Shell) -> None:
    process = lollms.start("speak", "-o", "-", stdin=TEXT.encode() * 400)
    assert process.stdout is not None
    assert process.stdout.read(4) == b"RIFF"
    assert len(process.stdout.read(20000)) == 20000
    process.send_signal(signal.SIGINT)  # which ends it: so it was not done
    _, told = process.communicate(timeout=LIMIT)
    assert (process.returncode, told) == (130, b"Cancelled.\n")


def test_text_is_printed_as_it_is_heard(lollms: Shell) -> None:
    lollms("speak", TEXT, "-o", "one.wav", *PLAIN)
    one = (lollms.folder / "one.wav").read_bytes()
    Audio.from_pcm(pcm(one) * 120, Audio(one).sample_rate).save(lollms.folder / "long.wav")
    process = lollms.start("transcribe", "long.wav")
    assert process.stdout is not None
    first = os.read(process.stdout.fileno(), 20)  # so that nothing waits in a buffer of ours
    process.send_signal(signal.SIGINT)
    rest, told = process.communicate(timeout=LIMIT)
    assert (process.returncode, told) == (130, b"Cancelled.\n")
    assert (first + rest).startswith(b"The stale smell of old beer lingers")
    assert (first + rest).endswith(b"\n")


_AGAIN_AND_AGAIN = """
import resource
from lollms_client.cli.allocator import keep_freed_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(5):
        b"x" * (80 << 20)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

before = faults()
keep_freed_memory()
faults()
print(before, faults())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another allocator")
def test_memory_that_is_freed_is_kept() -> None:
    told = subprocess.run([sys.executable, "-c", _AGAIN_AND_AGAIN], check=True, capture_output=True, text=True).stdout
    before, after = map(int, told.split())
    assert after < before / 20, "what was freed is taken again without asking the system"


@pytest.mark.full
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another allocator")
def test_who_waits_for_text_waits_for_no_memory(lollms: Shell) -> None:
    lollms("speak", TEXT, "-o", "one.wav", *PLAIN)

    def faults(*words: str) -> int:
        before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_minflt
        process = lollms.start("transcribe", "one.wav", *words)
        process.communicate(timeout=LIMIT)
        assert process.returncode == 0
        return resource.getrusage(resource.RUSAGE_CHILDREN).ru_minflt - before

    assert faults() < 0.7 * faults("-f", "json")


def test_what_is_streamed_is_what_a_file_holds(lollms: Shell) -> None:
    lollms("speak", TEXT, "-o", "a.wav", *PLAIN)
    piped = pcm(lollms("speak", TEXT, "-o", "-", *PLAIN).stdout)
    assert piped == pcm((lollms.folder / "a.wav").read_bytes())
    raw = lollms("speak", TEXT, "-o", "-", "-f", "pcm", *PLAIN).stdout
    assert raw == piped
    told = json.loads(lollms("speak", TEXT, "-o", "-", "--json", *PLAIN).stderr)
    assert (told["path"], told["sample_rate"], told["provenance"]["binding"]) == (None, 22050, "piper")
    assert "cannot be streamed" in lollms("speak", "hi", "-o", "-", "-f", "docx", code=2).stderr


def test_it_is_played_while_it_is_made(lollms: Shell) -> None:
    player = {"LOLLMS_PLAYER": "sh -c 'cat > heard.wav'"}
    lollms("speak", TEXT, "--play", *PLAIN, **player)
    assert lollms.files == ["heard.wav"]
    heard = pcm((lollms.folder / "heard.wav").read_bytes())
    lollms("speak", TEXT, "--play", "-o", "kept.wav", *PLAIN, **player)
    assert pcm((lollms.folder / "kept.wav").read_bytes()) == heard
    for command, said in (
        ("false", "'false' ended with code 1"), ("sh -c 'echo no device >&2; exit 3'", "code 3: no device"),
        ("no-such-player", "cannot be started"), ("'", "is no command"),
    ):  # fmt: skip
        assert said in lollms("speak", "hi", "--play", code=1, LOLLMS_PLAYER=command).stderr
    assert "LOLLMS_PLAYER" in lollms("speak", "hi", "--play", code=1, PATH="/nowhere").stderr
    assert "--play and -o -" in lollms("speak", "hi", "--play", "-o", "-", code=2, **player).stderr


def test_subtitles_of_what_is_spoken(lollms: Shell) -> None:
    lollms("speak", TEXT * 2, "-o", "a.mp3", "--subtitles", "a.srt", *PLAIN)
    cues = list(srt.parse((lollms.folder / "a.srt").read_text()))
    assert " ".join(cue.content.replace("\n", " ") for cue in cues) == (TEXT * 2).strip()
    assert all(len(line) <= 42 for cue in cues for line in cue.content.splitlines())
    assert "no suffix of subtitles" in lollms("speak", "hi", "--subtitles", "a.doc", code=2).stderr
    assert "goes with a file" in lollms("speak", "hi", "--subtitles", "a.vtt", "-o", "-", code=2).stderr


def test_transcripts_in_every_format(lollms: Shell) -> None:
    lollms("speak", TEXT, "-o", "a.wav", *PLAIN)
    (lollms.folder / "out").mkdir()
    (lollms.folder / "out" / "a.vtt").touch()
    made = lollms("transcribe", "a.wav", "-d", "out", "-f", "all").stdout.decode().split()
    assert made == [f"out/a-2.{suffix}" for suffix in ("txt", "srt", "vtt", "tsv", "json")]
    (cue, *_) = srt.parse((lollms.folder / "out" / "a-2.srt").read_text())
    assert len(max(cue.content.splitlines(), key=len)) <= 42
    assert (lollms.folder / "out" / "a-2.tsv").read_text().startswith("start\tend\ttext\n")
    assert lollms("transcribe", "a.wav", "-f", "tsv").stdout.decode() == (lollms.folder / "out" / "a-2.tsv").read_text()
    text = (lollms.folder / "out" / "a-2.txt").read_text()
    assert lollms("transcribe", "a.wav", "-f", "TXT").stdout.decode() == text
    assert "Name a folder" in lollms("transcribe", "a.wav", "-f", "all", code=2).stderr
    assert "There are txt" in lollms("transcribe", "a.wav", "-f", "docx", code=2).stderr


def test_flags_go_where_the_binding_has_them(lollms: Shell) -> None:
    made = json.loads(lollms("speak", "hi", "--speed", "2", "--json", "--voice", "en_US-joe-medium").stdout)
    assert (made["provenance"]["options"]["speed"], made["provenance"]["model"]) == (2.0, "en_US-joe-medium")
    (heard,) = json.loads(lollms("transcribe", "speech.wav", "--language", "en", "--json").stdout)
    assert heard["provenance"]["options"]["language"] == "en"
    assert "has no option 'language'" in lollms("speak", "hi", "--language", "fr", code=2).stderr
    assert "has no option 'model'" in lollms("speak", "hi", "--model", "x", code=2).stderr


def test_values_are_completed(lollms: Shell) -> None:
    def completed(line: str) -> list[str]:
        words = line.split(" ")
        env = {"_LOLLMS_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
        return str(lollms(**env).stdout.decode()).split()

    assert completed("lollms speak --voice en_") == ["en_US-joe-medium.onnx"]
    assert "base.en" in completed("lollms transcribe --model base")
    assert completed("lollms speak --opt sentence_") == ["sentence_silence="]
    assert completed("lollms speak --set piper_voices") == ["piper_voices_dir="]
    assert "tts:piper" in completed("lollms info tts:pi")
    # As bash hands it over, for which a colon is a word.
    assert completed("lollms info tts : pi") == ["piper", "piper_tts"]
    assert "piper" in completed("lollms info tts :")
    assert completed("lollms models stt : faster_") == ["faster_whisper"]
    assert completed("lollms config tts.piper.piper_v") == ["tts.piper.piper_voices_dir"]
    assert completed("lollms install pip") == ["piper"]
    assert completed("lollms speak -b nobody --voice x") == []
