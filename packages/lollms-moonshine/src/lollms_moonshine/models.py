"""Which models there are, where their files lie, and how they are fetched.

A model is a folder. Its name says what it is, as Moonshine publishes it: an architecture and a language, ``tiny-en``,
``small-streaming-en``, ``base-es``.
"""

from __future__ import annotations

import base64
import importlib.util
import json
import os
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from lollms_modalities import ModelNotFoundError, ServiceResponseError
from lollms_modalities.kit import near_miss

ARCHITECTURES = ("tiny", "base", "tiny-streaming", "base-streaming", "small-streaming", "medium-streaming")
PACKAGED = "tiny-en"
DEFAULT = "medium-streaming-en"  # which Moonshine fetches where none is named
# What Moonshine 0.1 publishes; tests hold it against its catalogue.
KNOWN = (
    "base-ar base-en base-es base-ja base-uk base-vi base-zh medium-streaming-en small-streaming-en tiny-en tiny-ja "
    "tiny-ko tiny-streaming-en"
).split()
_FILES = {  # of a model, by whether its architecture is a streaming one
    False: ("tokenizer.bin", "encoder_model.ort", "decoder_model_merged.ort"),
    True: (
        "tokenizer.bin", "encoder.ort", "frontend.ort", "adapter.ort", "cross_kv.ort", "decoder_kv.ort",
        "streaming_config.json",
    ),
}  # fmt: skip


class Model(NamedTuple):
    """A model that is on this machine.

    Attributes:
        path: its folder.
        architecture: one of ``ARCHITECTURES``.
        language: the code of the language that it hears; "" where its name does not say.
    """

    path: Path
    architecture: str
    language: str


def own_folder() -> Path:
    """Where models lie unless the settings name a folder: it need not be there."""
    from platformdirs import user_data_path

    return user_data_path("lollms", appauthor=False) / "models" / "moonshine"


def list_models(folder: Path) -> list[str]:
    """The folders of models in ``folder``, the packaged one, and those that can be fetched."""
    try:
        own = sorted(path.name for path in folder.iterdir() if (path / "tokenizer.bin").is_file())
    except OSError:
        own = []  # a folder that does not exist holds no models
    packaged = [PACKAGED] if packaged_model() is not None else []
    return list(dict.fromkeys([*own, *packaged, *KNOWN]))


def packaged_model() -> Path | None:
    """The model tiny-en in the wheel of moonshine-voice 0.1.0; None in others. Imports nothing."""
    spec = importlib.util.find_spec("moonshine_voice")
    if spec is None or spec.origin is None:
        return None
    path = Path(spec.origin).parent / "assets" / PACKAGED
    return path if path.is_dir() else None


def find_model(name: str | None, folder: Path, architecture: str | None) -> Model:
    """A model by its name or path.

    Args:
        name: a folder's path, or its name in ``folder``; None for the only one there, else the packaged one.
        folder: where models lie.
        architecture: what it is, where its name does not say.

    Raises:
        ModelNotFoundError: there is none, or it lacks a file.
    """
    there = [other for other in list_models(folder) if (folder / other).is_dir()]
    packaged = packaged_model()
    if name is None:
        if len(there) == 1:
            return _whole(folder / there[0], architecture)
        if packaged is not None:
            return _whole(packaged, architecture)
        if there:
            raise ModelNotFoundError(
                f"No model was named, and there are {len(there)}.", hint=f"Known: {', '.join(there)}."
            )
        raise ModelNotFoundError(
            "There is no model of Moonshine.",
            hint=f"Run lollms pull stt:moonshine {DEFAULT}, or set model_name to the folder of one.",
        )
    if not name or "\0" in name or len(name) > 4096:
        raise ModelNotFoundError(f"{name[:40]!r} is no name of a model.", hint=f"Known: {', '.join(KNOWN)}.")
    path = Path(os.path.expanduser(name))
    if path.is_absolute() or len(path.parts) > 1:
        return _whole(path, architecture)
    if name not in (".", "..") and (folder / name).is_dir():
        return _whole(folder / name, architecture)
    if name == PACKAGED and packaged is not None:
        return _whole(packaged, architecture)
    if name in KNOWN:
        raise ModelNotFoundError(f"The model {name!r} is not here.", hint=f"Run lollms pull stt:moonshine {name}.")
    raise ModelNotFoundError(
        f"There is no model {name[:80]!r}.", hint=near_miss(name, list_models(folder), "models"), model=name[:200]
    )


def parse_name(name: str) -> tuple[str, str]:
    """Architecture and language that a model's name says; ("", "") where it says neither."""
    architecture, _, language = name.rpartition("-")
    return (architecture, language) if architecture in ARCHITECTURES else ("", "")


def pull_model(name: str, folder: Path) -> Path:
    """Fetch a model into a folder of its own in ``folder``; size and CRC32C of each file are those of the catalogue
    in moonshine-voice, the only ones that Moonshine publishes.

    Raises:
        ModelNotFoundError: there is no such model.
        ServiceError: it cannot be fetched, or came damaged.
    """
    if name not in KNOWN:
        raise ModelNotFoundError(
            f"Moonshine publishes no model {name[:80]!r}.", hint=near_miss(name, KNOWN, "models"), model=name[:200]
        )
    from lollms_modalities.kit import download

    target = folder / name
    target.mkdir(parents=True, exist_ok=True)
    # The tokenizer comes last: without it a folder is not listed as a model.
    for file in sorted(published(name), key=lambda file: str(file["name"]) == "tokenizer.bin"):
        check = partial(_check_crc32c, file) if file.get("checksum_type") == "crc32c" else None
        download(file["url"], target / Path(file["name"]).name, size=file["size"], check=check)
    return target


def published(name: str) -> list[dict[str, Any]]:
    """The files of a model, from the catalogue in moonshine-voice: ``name``, ``url``, ``size``, ``checksum``."""
    from moonshine_voice.moonshine_api import moonshine_get_stt_dependencies_string, string_to_model_arch

    architecture, language = parse_name(name)
    wanted = {"model_arch": int(string_to_model_arch(architecture))}
    groups: list[dict[str, Any]] = json.loads(moonshine_get_stt_dependencies_string(language, wanted))["groups"]
    files: list[dict[str, Any]] = groups[0]["files"]
    return files


def _check_crc32c(file: dict[str, Any], path: Path) -> None:
    import google_crc32c

    sum_: Any = google_crc32c.Checksum()  # type: ignore[no-untyped-call]
    with path.open("rb") as opened:
        while block := opened.read(1 << 20):
            sum_.update(block)
    if base64.b64encode(sum_.digest()).decode() != file["checksum"]:
        raise ServiceResponseError(
            f"{file['url']} has another CRC32C than {file['checksum']}.",
            hint="The file was changed or damaged on its way: try again, or ask its publisher.",
        )


def _whole(path: Path, architecture: str | None) -> Model:
    if not path.is_dir():
        raise ModelNotFoundError(f"{str(path)[:200]!r} is no folder.", hint="Give the folder of a Moonshine model.")
    said, language = parse_name(path.resolve().name)
    kind = architecture or said
    if not kind:
        raise ModelNotFoundError(
            f"The name of {str(path)!r} does not say which architecture the model has.",
            hint=f"Name it as Moonshine does (tiny-en), or set architecture to one of {', '.join(ARCHITECTURES)}.",
        )
    # The library would say it on standard error.
    missing = [name for name in _FILES["streaming" in kind] if not (path / name).is_file()]
    if missing:
        raise ModelNotFoundError(
            f"The model in {str(path)!r} lacks {', '.join(missing)}.", hint="Fetch it again: lollms pull stt:moonshine."
        )
    return Model(path, kind, language)
