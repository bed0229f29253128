"""What a caller gives is the caller's: it is read, and nothing else."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lollms_modalities import media
from lollms_modalities.testing.contract import applies, contract
from lollms_modalities.testing.suite import Suite
from lollms_modalities.testing.transcripts import joined


@contextmanager
def untouched(folder: Path) -> Iterator[None]:
    """Fail where a file of a folder is changed, or one is beside them."""
    before = {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()}
    yield
    after = {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()}
    beside = sorted(after.keys() ^ before.keys())
    contract(
        not beside, "Nothing is written beside a file that is given, and none is taken away.", "media-input", beside
    )
    changed = [name for name in before if before[name] != after[name]]
    contract(not changed, "A file that is given is left as it was.", "media-input", changed)


_CHANGING = ("edit_images", "upscale_image", "remove_background")


class RecordingTests(Suite):
    """Recordings that are given."""

    def test_a_recording_is_left_as_it_was(self, bound: Any, result: Any, tmp_path: Path) -> None:
        """Read only, and write what the engine needs beside it into ``tempfile.TemporaryDirectory()``. Copy an array
        before it is changed."""
        data = media.read_media(self.arguments()["audio_path"])
        path = tmp_path / "sound.wav"
        path.write_bytes(data)
        path.with_suffix(".txt").write_text("the caller's notes")
        with untouched(tmp_path):
            self.call(bound, audio_path=path)
        ours = bytearray(data)
        self.call(bound, audio_path=ours)
        contract(ours == data, "Bytes that are given are left as they were.", "media-input")
        file = io.BytesIO(data)
        self.call(bound, audio_path=file)
        contract(not file.closed, "A binary file that is given is left open: it is the caller's.", "media-input")
        contract(file.getvalue() == data, "A binary file that is given is left as it was.", "media-input")

    def test_a_name_means_what_lies_there_now(self, bound: Any, result: Any, tmp_path: Path) -> None:
        """Read what is given in each call. A cache needs what is heard in its key, not the file's name."""
        sample = self.arguments()["audio_path"]
        path = tmp_path / "sound.wav"
        path.write_bytes(media.read_media(sample))
        first = self.call(bound, audio_path=path)
        path.write_bytes(joined(sample, sample))
        again = self.call(bound, audio_path=path)
        contract(
            not self.same(first, again),
            "Of a file that was changed what is in it now is heard.",
            "state",
            (first, again),
        )

    def for_a_shell(self, desk: Path) -> Iterator[dict[str, Any]]:
        data = media.read_media(self.arguments()["audio_path"])
        for name in ("100 %s {0} $(touch sesame) `touch sesame`.wav", "a'; touch sesame; '.wav",
                     'a"; touch sesame; ".wav'):  # fmt: skip
            path = desk / "given" / name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(data)
            yield {"audio_path": path}
            path.unlink()

    def test_a_name_with_a_dash_is_a_file(self, bound: Any, result: Any, desk: Path) -> None:
        """Give programs absolute paths, or ``./`` before a name: ``-x.wav`` looks like an option."""
        data = media.read_media(self.arguments()["audio_path"])
        for name in ("-x.wav", "--help"):
            Path(name).write_bytes(data)
            heard = self.call(bound, audio_path=name)
            contract(heard == result, "A file whose name begins with a dash is a file.", "programs", heard)


class PictureTests(Suite):
    """Images that are given to be changed."""

    @applies(lambda suite: set(_CHANGING) & suite.binding.verbs().keys())
    def test_images_are_left_as_they_were(self, bound: Any, result: Any, tmp_path: Path) -> None:
        """Read only, and write what the engine needs beside it into ``tempfile.TemporaryDirectory()``. Copy an array
        before it is changed."""
        path = tmp_path / "given.png"
        path.write_bytes(bytes(result))
        given: list[Any] = [path, bytearray(bytes(result))]
        with untouched(tmp_path):
            for image in given:
                _tried(lambda image=image: bound.edit_image(image, "another one"))  # type: ignore[misc]
                _tried(lambda image=image: bound.upscale_image(image))  # type: ignore[misc]
                _tried(lambda image=image: bound.remove_background(image))  # type: ignore[misc]
        contract(given[1] == bytes(result), "Bytes that are given are left as they were.", "media-input")


def _tried(run: Callable[[], object]) -> None:
    """Whether the engine can do it here is asked elsewhere."""
    from lollms_modalities.errors import LollmsError

    try:
        run()
    except LollmsError:
        return
