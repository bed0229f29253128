"""Files of results: whole or not there, with the rights of the old one, in places of every kind."""

from __future__ import annotations

import errno
import os
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from lollms_modalities import (
    Audio,
    AudioChunk,
    CallCancelled,
    CancelToken,
    Image,
    LollmsTTIBinding,
    LollmsTTSBinding,
    OptionError,
    SaveError,
    Transcript,
    hookimpl,
)
from lollms_modalities.hooks import register, unregister
from lollms_modalities.media import files

TONE = Audio.from_pcm(bytes(range(200)) * 80, 8000)


class Tone(LollmsTTSBinding):
    """Speaks in parts."""

    calls = 0

    def list_voices(self, **kwargs: Any) -> list[str]:
        return []

    def generate_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Audio:
        type(self).calls += 1
        return Audio.from_chunks(AudioChunk.from_audio(TONE) for _ in range(2))


def ways(path: Path) -> list[Any]:
    """All that writes a result to a path."""
    return [
        lambda: TONE.save(path),
        lambda: TONE.moved_to(path),
        lambda: Tone().generate_audio("hi", output_path=path),
    ]


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


@pytest.mark.parametrize("name", ["x.wav", "x.flac"])
@pytest.mark.parametrize("way", range(3))
@pytest.mark.parametrize("rights", [0o600, 0o664, 0o400])
def test_an_overwritten_file_keeps_its_rights(name: str, way: int, rights: int, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(b"old")
    path.chmod(rights)
    ways(path)[way]()
    assert mode(path) == rights
    assert Audio(path=path).duration >= 1


@pytest.mark.parametrize("way", range(3))
def test_an_overwritten_file_stays_whose_it_was(way: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, given = tmp_path / "x.flac", []

    def told(descriptor: int, user: int, group: int) -> None:
        given.append((user, group))

    def refused(descriptor: int, user: int, group: int) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    def anothers(descriptor: int) -> Any:
        found = os.stat(descriptor)
        facts = {name: getattr(found, name) for name in dir(found) if name.startswith("st_")}
        return SimpleNamespace(**facts | {"st_uid": found.st_uid + 1, "st_gid": found.st_gid + 1})

    for chown, rights, kept in ((told, 0o640, 0o640), (refused, 0o640, 0o600), (refused, 0o664, 0o644)):
        path.write_bytes(b"old")
        path.chmod(rights)
        with monkeypatch.context() as patch:
            patch.setattr(os, "fchown", chown)
            patch.setattr(os, "fstat", anothers)
            ways(path)[way]()
        assert mode(path) == kept
    assert given == [(os.getuid(), -1), (-1, path.stat().st_gid)]


def test_a_new_file_has_the_rights_of_any_new_file(tmp_path: Path) -> None:
    (tmp_path / "plain").write_bytes(b"")
    for n, way in enumerate(ways(tmp_path / "x.flac")):
        way()
        assert mode(tmp_path / "x.flac") == mode(tmp_path / "plain"), n
        (tmp_path / "x.flac").unlink()
    Transcript("hi").save(tmp_path / "x.txt")
    assert mode(tmp_path / "x.txt") == mode(tmp_path / "plain")


@pytest.mark.parametrize("way", range(3))
def test_a_link_in_ones_own_folder_is_replaced_and_its_target_left(way: int, tmp_path: Path) -> None:
    target, link = tmp_path / "target.bin", tmp_path / "x.wav"
    target.write_bytes(b"precious")
    link.symlink_to(target)
    ways(link)[way]()
    assert target.read_bytes() == b"precious"
    assert not link.is_symlink()
    dangling = tmp_path / "y.wav"
    dangling.symlink_to(tmp_path / "nowhere")
    ways(dangling)[way]()
    assert not dangling.is_symlink()
    assert names(tmp_path) == ["target.bin", "x.wav", "y.wav"]


@pytest.mark.parametrize("way", range(3))
def test_a_link_where_others_may_write_is_refused_before_the_work(way: int, tmp_path: Path) -> None:
    shared, target = tmp_path / "shared", tmp_path / "target.bin"
    shared.mkdir()
    shared.chmod(0o1777)
    target.write_bytes(b"precious")
    (shared / "x.wav").symlink_to(target)
    before = Tone.calls
    with pytest.raises(OptionError, match="link in a folder that others"):
        ways(shared / "x.wav")[way]()
    assert Tone.calls == before
    assert target.read_bytes() == b"precious"
    assert names(shared) == ["x.wav"]
    ways(shared / "y.wav")[way]()


@pytest.mark.parametrize("name", ["x.wav", "x.flac"])
@pytest.mark.parametrize("way", range(3))
def test_a_fifo_is_written_through(name: str, way: int, tmp_path: Path) -> None:
    fifo = tmp_path / name
    os.mkfifo(fifo)
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(fifo.read_bytes()))
    reader.start()
    ways(fifo)[way]()
    reader.join(60)
    assert Audio(read[0]).to_numpy().shape[0] >= 8000
    assert stat.S_ISFIFO(fifo.lstat().st_mode)
    assert names(tmp_path) == [name]


def test_waiting_for_the_reader_of_a_fifo_can_be_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fifo, token = tmp_path / "x.wav", CancelToken()
    os.mkfifo(fifo)
    monkeypatch.setattr("lollms_modalities.media.files.time.sleep", lambda seconds: token.cancel())
    with pytest.raises(CallCancelled):
        Tone().generate_audio("hi", output_path=fifo, cancel=token)


def test_a_reader_that_goes_away_is_a_typed_error(tmp_path: Path) -> None:
    fifo = tmp_path / "x.wav"
    os.mkfifo(fifo)

    def read_a_little() -> None:
        with fifo.open("rb", buffering=0) as file:
            file.read(10)

    reader = threading.Thread(target=read_a_little)
    reader.start()
    large = Audio.from_pcm(bytes(1 << 22), 8000)  # more than a pipe holds
    with pytest.raises(SaveError, match="cannot be written"):
        large.save(fifo)
    reader.join(60)


@pytest.mark.parametrize("way", range(3))
def test_a_link_to_a_device_is_written_through(way: int, tmp_path: Path) -> None:
    link = tmp_path / "x.wav"
    link.symlink_to("/dev/null")
    ways(link)[way]()
    assert os.readlink(link) == "/dev/null"
    link.unlink()
    link.symlink_to("/dev/full")
    with pytest.raises(SaveError, match="No space left"):
        ways(link)[way]()
    assert names(tmp_path) == ["x.wav"]


@pytest.mark.parametrize("way", range(3))
def test_names_that_cannot_be_are_option_errors_before_the_work(way: int, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "folder.wav").mkdir()
    (tmp_path / "loop.wav").symlink_to("loop.wav")
    wrong = ["x" * 300 + ".wav", "a/" * 3000 + "x.wav", "no/x.wav", "file/x.wav", "folder.wav", "x\0.wav", "\ud800.wav"]
    before, old = Tone.calls, names(tmp_path)
    for name in wrong:
        with pytest.raises(OptionError) as caught:
            ways(tmp_path / name)[way]()
        assert len(str(caught.value)) < 1000
    assert (Tone.calls, names(tmp_path)) == (before, old)
    ways(tmp_path / f"{'x' * 251}.wav")[way]()  # the longest there is


def test_an_unwritable_folder_is_told_before_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lollms_modalities.media.files.os.access", lambda *args: False)  # root may write anywhere
    for way in ways(tmp_path / "x.wav"):
        with pytest.raises(OptionError, match="may not be written to"):
            way()


def test_a_failing_rename_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: Any) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "replace", fail)
    for name in ("x.wav", "x.flac"):
        for way in ways(tmp_path / name):
            with pytest.raises(SaveError, match="Input/output error"):
                way()
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    ("name", "output_format"), [("x.flac", "wav"), ("x.wav", "flac"), ("x.mp3", "opus"), ("x.oga", "opus")]
)
def test_a_suffix_that_contradicts_the_format_is_refused(name: str, output_format: str, tmp_path: Path) -> None:
    before = Tone.calls
    with pytest.raises(OptionError, match="stands for") as caught:
        Tone().generate_audio("hi", output_path=tmp_path / name, output_format=output_format)
    assert caught.value.names == ["output_path", "output_format"]  # type: ignore[attr-defined]
    assert (Tone.calls, names(tmp_path)) == (before, [])


def test_a_suffix_and_a_format_that_agree(tmp_path: Path) -> None:
    for name, said in (("x.flac", "flac"), ("x.oga", "ogg"), ("x.WAVE", "WAV")):
        assert Tone().generate_audio("hi", output_path=tmp_path / name, output_format=said).path == tmp_path / name


def image(color: str) -> Image:
    import PIL.Image

    return Image.from_pil(PIL.Image.new("RGB", (4, 4), color))


class Painter(LollmsTTIBinding):
    """Paints as many images as the prompt has words."""

    def list_services(self, **kwargs: Any) -> list[str]:
        return []

    def generate_image(self, prompt: str, **kwargs: Any) -> Any:
        return [image("red") for _ in prompt.split()]


def test_several_results_do_not_share_a_file(tmp_path: Path) -> None:
    class Answers:
        @hookimpl
        def lollms_answer_call(self, binding: Any, call: Any, arguments: Any) -> Any:
            return [image("green"), image("blue")]

    with pytest.raises(OptionError, match="2 results for one output_path"):
        Painter().generate_image("one two", output_path=tmp_path / "x.png")
    assert names(tmp_path) == []
    register(plugin := Answers())
    try:
        # An answer that cannot be used is none: the engine does it.
        made = Painter().generate_image("one", output_path=tmp_path / "x.png")
    finally:
        unregister(plugin)
    assert [m.path for m in made] == [tmp_path / "x.png"]
    assert Image(path=tmp_path / "x.png").to_pil().getpixel((0, 0)) == (255, 0, 0)


def test_a_result_by_relative_path_is_read_from_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    made = [Tone().generate_audio("hi", output_path="a.wav"), TONE.moved_to(Path("b.flac")), Audio(path=Path("a.wav"))]
    made.append(Painter().generate_image("one", output_path="c.png")[0])
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert all(m.path.is_absolute() and repr(m) for m in made)
    assert [m.save(Path(f"{n}{m.path.suffix}")).stat().st_size > 0 for n, m in enumerate(made)] == [True] * 4


def test_results_in_files_are_equal_if_their_file_is_one(tmp_path: Path) -> None:
    a, b = (TONE.moved_to(tmp_path / name) for name in ("a.wav", "b.wav"))
    assert a != b
    assert not a == b  # noqa: SIM201 - the other operator
    assert a == Audio(path=tmp_path / "a.wav")
    assert a not in (b"", TONE)
    assert b"" not in (a, b)
    assert len({a, b, Audio(path=tmp_path / "a.wav")}) == 2
    assert bytes(TONE) == TONE
    assert hash(TONE) == hash(bytes(TONE))
    assert TONE != "text"
    assert Audio() == b""
    assert Image(path=tmp_path / "a.wav") != Image(path=tmp_path / "b.wav")


KILLED = """
import os, signal, sys
from pathlib import Path
from lollms_modalities import AudioEncoder
from lollms_modalities.media.files import part_folder, part_name
encoder = AudioEncoder(sys.argv[1], 8000)
encoder.feed(bytes(2_000_000))
folder = part_name(Path(sys.argv[1]))
with part_folder(folder):
    (folder / "x.wav").write_bytes(b"half")
    print("ready", flush=True)
    sys.stdin.read()
"""


def test_what_a_killed_process_left_is_taken_away_and_what_lives_is_not(tmp_path: Path) -> None:
    writing = [sys.executable, "-c", KILLED, str(tmp_path / "x.wav")]
    with subprocess.Popen(writing, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        (tmp_path / f".{'0' * 16}.part").write_bytes(b"of somebody else")
        parts = [n for n in names(tmp_path) if n.startswith(".lollms-")]
        assert len(parts) == 2
        assert all(n.startswith(f".lollms-{child.pid}-") for n in parts)
        own = files.WholeFile(tmp_path / "own.wav")
        files._next_sweep.clear()
        TONE.save(tmp_path / "y.wav")
        assert {*parts, own.part.name} <= {*names(tmp_path)}
        child.send_signal(signal.SIGKILL)
        child.wait()
    files._next_sweep.clear()
    TONE.save(tmp_path / "z.wav")
    own.keep()
    assert names(tmp_path) == [f".{'0' * 16}.part", "own.wav", "y.wav", "z.wav"]


def test_a_part_that_a_sweep_takes_at_once_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between making and locking, a sweep may find it without a lock."""
    lock, taken = files._lock, []

    def late(descriptor: int) -> bool:
        if len(taken) < 2:
            taken.append(1)
            (part,) = tmp_path.glob(".lollms-*")
            files._take_away(part)
        return lock(descriptor)

    monkeypatch.setattr(files, "_lock", late)
    TONE.save(tmp_path / "x.wav")
    folder = files.part_name(tmp_path / "x.wav")
    taken.clear()
    with files.part_folder(folder):
        assert folder.is_dir()
    assert names(tmp_path) == ["x.wav"]
    assert len(taken) == 2


def test_large_folders_are_swept_seldom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now, looks = [100.0], []

    def slow(folder: Path) -> list[str]:
        looks.append(folder)
        now[0] += 0.5
        return []

    monkeypatch.setattr("lollms_modalities.media.files.time.monotonic", lambda: now[0])
    monkeypatch.setattr("lollms_modalities.media.files.os.listdir", slow)
    for _ in range(5):
        TONE.save(tmp_path / "x.wav")
    assert len(looks) == 1
    now[0] += 51
    TONE.save(tmp_path / "x.wav")
    assert len(looks) == 2
