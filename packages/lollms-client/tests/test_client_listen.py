"""``lollms listen`` as its user runs it: pipes, a terminal, Ctrl-C, and a microphone that is none."""

from __future__ import annotations

import io
import json
import os
import pty
import shutil
import signal
import subprocess
import sys
import time
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import srt
import tone_bindings as tones
from distributions import install
from lollms_client.cli.listen import list_devices
from lollms_client.cli.showing import fitting, printable
from lollms_modalities import AudioChunk, MediaError, read_chunks
from waiting import wait_until

LIMIT = 120
TEXT = "do re mi . fa so ."


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a binding that knows tones."""
    folder = tmp_path_factory.mktemp("tones") / "site"
    install(folder, "tones", "[lollms_client.stt_bindings]\ntones = tone_bindings:ToneSTTBinding\n")
    shutil.copy(str(tones.__file__), folder)
    return folder


class Shell:
    """Runs ``lollms listen`` in an empty folder."""

    def __init__(self, folder: Path, site: Path) -> None:
        self.folder = folder
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("LOLLMS_", "XDG_", "COV"))}
        self.env = {
            **kept, "XDG_CONFIG_HOME": str(folder / "config"), "LOLLMS_STT_BINDING": "tones", "PYTHONPATH": str(site),
            "PYTHONWARNINGS": "error::ResourceWarning", "OMP_NUM_THREADS": "1",
        }  # fmt: skip

    def __call__(self, *words: str, stdin: bytes = b"", code: int = 0, **env: str) -> Any:
        done = subprocess.run(
            command(*words), input=stdin, capture_output=True, cwd=self.folder, env=self.env | env, timeout=LIMIT
        )
        assert done.returncode == code, (done.stdout, done.stderr)
        return done

    def start(self, *words: str, **options: Any) -> subprocess.Popen[bytes]:
        """In a process group of its own, which hears Ctrl-C."""
        return subprocess.Popen(
            command(*words), cwd=self.folder, env=self.env, start_new_session=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            **{"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options},
        )  # fmt: skip


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "lollms_client", "listen", *words]


@pytest.fixture
def listen(tmp_path: Path, site: Path) -> Shell:
    return Shell(tmp_path, site)


def raw(text: str, rate: int = 16000) -> bytes:
    return AudioChunk.from_samples(tones.tune(text, rate), rate).pcm


def wav(text: str, rate: int = 16000, channels: int = 1, said: int | None = None) -> bytes:
    """A WAV file; ``said`` stands where its length should be."""
    sound = np.repeat(np.frombuffer(raw(text, rate), "<i2"), channels).tobytes()
    with wave.open(file := io.BytesIO(), "wb") as out:
        out.setnchannels(channels)
        out.setsampwidth(2)
        out.setframerate(rate)
        out.writeframes(sound)
    data = bytearray(file.getvalue())
    if said is not None:
        data[40:44] = said.to_bytes(4, "little")
    return bytes(data)


# -- pipes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "data"),
    [
        pytest.param([], lambda: wav(TEXT, 44100, 2, said=0), id="stereo, of no length"),
        pytest.param(["--rate", "22050"], lambda: raw(TEXT, 22050), id="bare samples of another rate"),
    ],
)
def test_a_pipe(listen: Shell, words: list[str], data: Any) -> None:
    assert listen("-", *words, stdin=data()).stdout.decode() == "do re mi\nfa so\n"


def test_json_lines(listen: Shell) -> None:
    told = [json.loads(line) for line in listen("-", "--json", stdin=wav(TEXT)).stdout.splitlines()]
    finals = [s for s in told if s["final"]]
    assert [s["text"] for s in finals] == ["do re mi", "fa so"]
    assert {s["id"] for s in told} == {s["id"] for s in finals}
    assert any(not s["final"] for s in told)
    assert finals[0]["end"] <= finals[1]["start"]


def test_subtitles_at_the_end(listen: Shell) -> None:
    (listen.folder / "talk.wav").write_bytes(wav(TEXT))
    done = listen("talk.wav", "-o", "talk.srt")
    assert done.stdout == b"do re mi\nfa so\n"
    kept = list(srt.parse((listen.folder / "talk.srt").read_text()))
    assert [cue.content for cue in kept] == ["do re mi", "fa so"]
    assert list(srt.parse(listen("talk.wav", "-f", "srt").stdout.decode())) == kept
    assert listen("talk.wav", "--format", "vtt", "--isolated").stdout.startswith(b"WEBVTT")
    assert listen("talk.wav", "-p", "spelling=large", "-m", "tones").stdout == b"DO RE MI\nFA SO\n"


def test_text_comes_while_the_pipe_is_open_and_ctrl_c_ends_with_the_rest(listen: Shell) -> None:
    with listen.start("-", "-o", "talk.txt") as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(raw("do re mi . fa so"))
        process.stdin.flush()
        assert process.stdout.readline() == b"do re mi\n"
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=LIMIT)
        assert (process.returncode, out, err) == (0, b"fa so\n", b"")
    assert (listen.folder / "talk.txt").read_text() == "do re mi fa so\n"


def test_a_terminal_shows_what_is_being_said(listen: Shell) -> None:
    ours, theirs = pty.openpty()
    with listen.start("-", stdout=theirs) as process:
        os.close(theirs)
        assert process.stdin is not None
        process.stdin.write(raw("do re mi fa"))
        process.stdin.flush()
        shown = b""
        while b"do" not in shown:
            shown += os.read(ours, 4096)
        assert b"\n" not in shown
        process.stdin.write(raw(". so ."))
        process.stdin.close()
        try:
            while True:
                shown += os.read(ours, 4096)
        except OSError:  # the other end is closed
            pass
        assert process.wait(LIMIT) == 0
    os.close(ours)
    assert b"\r\x1b[Kdo re mi fa\r\n" in shown
    assert shown.endswith(b"so\r\n")


def test_the_end_of_a_long_line_is_shown() -> None:
    assert fitting("one two", 7) == "one two"
    assert fitting("one two three", 8) == "...three"
    assert fitting("音声認識", 7) == "...認識"
    assert fitting("one", 2) == ".."
    assert printable("a\x1b[2J\tb\n c\u202e") == "a[2J b c"


@pytest.mark.parametrize(
    ("words", "stdin", "said"),
    [
        (["-", "--device", "x"], b"", "two sources"),
        (["none.wav"], b"", "not there"),
        (["-", "-o", "talk.mp3"], b"", "suffix"),
        (["-", "-p", "speling=large"], b"", "spelling"),
    ],
    ids=["two sources", "no file", "a suffix", "an option"],
)
def test_what_cannot_be_meant(listen: Shell, words: list[str], stdin: bytes, said: str) -> None:
    done = listen(*words, stdin=stdin, code=2)
    assert said in done.stderr.decode()
    assert b"Traceback" not in done.stderr


def test_nothing_and_what_is_no_sound(listen: Shell) -> None:
    assert listen("-", stdin=b"").stdout == b""
    assert b"MP3" in listen("-", stdin=b"ID3\4" + bytes(2000), code=1).stderr
    for cut in (wav(TEXT)[:30], wav(TEXT)[:40], b"RIFF\0\0\0\0WAVE"):
        with pytest.raises(MediaError, match="holds no sound"):
            list(read_chunks(io.BytesIO(cut)))
    assert list(read_chunks(io.BytesIO(b"\1"))) == []


# -- what arrives ----------------------------------------------------------------------------------------------------


class Drips(io.RawIOBase):
    """A pipe that gives few bytes at a time."""

    def __init__(self, data: bytes, size: int) -> None:
        self._file, self._size = io.BytesIO(data), size

    def read(self, size: int = -1) -> bytes:
        return self._file.read(min(size, self._size))


@pytest.mark.parametrize("size", [1, 7, 4096])
def test_chunks_of_a_pipe_are_the_sound(size: int) -> None:
    expected = raw("do re")
    for data in (wav("do re"), expected, wav("do re", said=0xFFFFFFFF), wav("do re") + b"LIST\4\0\0\0abcd"):
        found = list(read_chunks(Drips(data, size)))
        assert b"".join(c.pcm for c in found) == expected
        assert {(c.sample_rate, c.channels) for c in found} == {(16000, 1)}


@pytest.mark.parametrize(
    ("subtype", "tolerance"), [("PCM_U8", 260), ("PCM_24", 1), ("PCM_32", 1), ("FLOAT", 1), ("DOUBLE", 1)]
)
def test_samples_of_every_kind(subtype: str, tolerance: int) -> None:
    import soundfile

    sound = np.stack([tones.tune("do re"), -tones.tune("do re")], axis=1)
    for form in ("WAV", "WAVEX"):
        soundfile.write(file := io.BytesIO(), sound, 16000, format=form, subtype=subtype)
        found = list(read_chunks(io.BytesIO(file.getvalue())))
        samples = np.concatenate([c.samples for c in found]).astype(int)
        assert samples.shape == sound.shape
        assert np.abs(samples - sound * 32768).max() <= tolerance


def test_a_coding_that_is_no_plain_number() -> None:
    import soundfile

    soundfile.write(file := io.BytesIO(), tones.tune("do"), 16000, format="WAV", subtype="ULAW")
    with pytest.raises(MediaError, match="coding 7"):
        list(read_chunks(io.BytesIO(file.getvalue())))


@pytest.mark.parametrize(
    ("format", "rate", "name"),
    [
        ("mp3", 44100, "MP3"),
        ("mp3", 22050, "MP3"),
        ("mp3", 8000, "MP3"),
        ("adts", 44100, "AAC"),
        ("adts", 16000, "AAC"),
    ],
)
def test_frames_without_a_tag_are_no_samples(format: str, rate: int, name: str) -> None:
    import av

    options = {"id3v2_version": "0", "write_xing": "0"} if format == "mp3" else {}
    with av.open(file := io.BytesIO(), "w", format=format, options=options) as container:
        stream = container.add_stream("mp3" if format == "mp3" else "aac", rate=rate)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, rate), np.int16), "s16", "mono")
        frame.sample_rate = rate
        resampler = av.AudioResampler(stream.format, stream.layout, rate)
        for part in (*resampler.resample(frame), *resampler.resample(None), None):
            container.mux(stream.encode(part))
    encoded = file.getvalue()
    assert encoded[0] == 0xFF
    for size in (1, 4096):
        with pytest.raises(MediaError, match=f"is {name}"):
            list(read_chunks(Drips(encoded, size)))


@pytest.mark.parametrize("head", ["fffb9000", "fff14c8002e0fc", "fffbfffb", "fff3"])
def test_samples_that_begin_as_a_frame_would_are_kept(head: str) -> None:
    data = bytes.fromhex(head) + bytes(np.random.default_rng(3).integers(0, 255, 3000, np.uint8))
    data = data[: len(data) // 2 * 2]
    for size in (1, 4096):
        assert b"".join(chunk.pcm for chunk in read_chunks(Drips(data, size))) == data
    assert b"".join(chunk.pcm for chunk in read_chunks(io.BytesIO(data[:14]))) == data[:14]


# -- a microphone ----------------------------------------------------------------------------------------------------


def test_without_a_microphone(listen: Shell) -> None:
    done = listen("--device", "no such device", code=1)
    # On a machine without PortAudio that is told, with what installs it.
    assert b"'no such device'" in done.stderr or b"libportaudio2" in done.stderr
    assert b"microphone" in done.stderr
    assert done.stderr.startswith(b"lollms: "), "nothing else is printed"
    assert done.stdout == b""


def test_no_microphone_is_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("lollms_client.microphone.devices", list)
    for as_json, out, err in ((False, "", "lollms: There is no microphone here.\n"), (True, "[]\n", "")):
        assert list_devices(as_json=as_json) == 0
        assert capsys.readouterr() == (out, err)


@pytest.fixture
def pulse(tmp_path: Path) -> Iterator[dict[str, str]]:
    """PulseAudio with a device that plays to nobody, and hears what is played; the variables with which it is used."""
    if shutil.which("pulseaudio") is None or shutil.which("paplay") is None:
        packages = ["libportaudio2", "pulseaudio", "pulseaudio-utils", "libasound2-plugins"]
        subprocess.run(["apt-get", "update", "-qq"], check=True)
        subprocess.run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages], check=True)
    socket = tmp_path / "native"
    (tmp_path / "pulse.conf").write_text("pcm.!default { type pulse }\nctl.!default { type pulse }\n")
    (tmp_path / "alsa.conf").write_text(f"</usr/share/alsa/alsa.conf>\n<{tmp_path}/pulse.conf>\n")
    env = {
        "XDG_RUNTIME_DIR": str(tmp_path), "PULSE_RUNTIME_PATH": str(tmp_path), "PULSE_SERVER": f"unix:{socket}",
        "ALSA_CONFIG_PATH": str(tmp_path / "alsa.conf"), "PULSE_SOURCE": "speech.monitor",
    }  # fmt: skip
    server = subprocess.Popen(
        [
            "pulseaudio", "-n", "--daemonize=no", "--use-pid-file=no", "--exit-idle-time=-1", "--disable-shm=yes",
            *("-L", "module-null-sink sink_name=speech"),
            *("-L", f"module-native-protocol-unix socket={socket} auth-anonymous=1"),
        ],
        env={**os.environ, **env, "HOME": str(tmp_path), "TMPDIR": str(tmp_path)}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        wait_until(socket.exists)
        yield env
    finally:
        server.terminate()
        server.wait(10)


@pytest.mark.full
def test_a_microphone_hears_what_is_played(listen: Shell, pulse: dict[str, str]) -> None:
    (listen.folder / "talk.wav").write_bytes(wav("do re mi fa so . . ."))
    assert b"default" in listen("--devices", **pulse).stdout
    listen.env |= pulse
    with listen.start("--json") as process:
        assert process.stdout is not None
        playing = subprocess.Popen(
            ["bash", "-c", "while paplay --device=speech talk.wav; do :; done"], cwd=listen.folder, env=listen.env
        )
        try:
            heard: list[str] = []
            while not any("do re mi fa so" in text for text in heard):
                told = json.loads(process.stdout.readline())
                heard += [told["text"]] if told["final"] else []
        finally:
            playing.kill()
            playing.wait()
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=LIMIT)
        assert process.returncode == 0


def test_it_is_kept_in_a_folder_under_a_free_name(listen: Shell) -> None:
    (listen.folder / "talk.wav").write_bytes(wav(TEXT))
    for name in ("talk.tsv", "talk-2.tsv"):
        done = listen("talk.wav", "-d", "kept", "-f", "tsv")
        assert done.stderr.decode() == f"kept/{name}\n"
        assert (listen.folder / "kept" / name).read_bytes() == done.stdout
    assert done.stdout.startswith(b"start\tend\ttext\n")
    assert len(done.stdout.splitlines()) > 1
    listen("talk.wav", "-o", "kept/", "-f", "srt")
    assert (listen.folder / "kept" / "talk.srt").read_text().startswith("1\n")
    for wrong in (["-o", "-"], ["-d", "talk.wav"], ["-o", "a.srt", "-d", "kept"], ["-o", "a.doc"], ["-o", "no/x.srt"]):
        assert listen("talk.wav", *wrong, code=2).stdout == b""
