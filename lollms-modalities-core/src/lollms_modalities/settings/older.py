"""Keywords and names of lollms-client 1.x: what takes their place here.

A binding's constructor takes what 1.x documented. What only has another name here is taken under that; what has no
meaning here is dropped before the settings are made, so that it is neither kept nor sent anywhere. An attribute that
bindings had in 1.x is refused with what takes its place.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Container, Mapping
from typing import Any, NamedTuple

from lollms_modalities.errors import OlderKeywordWarning, OlderNameError, SettingsError

_log = logging.getLogger(__name__)
_NOTHING: tuple[Any, ...] = (None, "", (), [], {})


class Keyword(NamedTuple):
    """A keyword that has no meaning here.

    Attributes:
        instead: what takes its place.
        harmless: values with which nothing that was wanted is missing; None for any value.
    """

    instead: str
    harmless: tuple[Any, ...] | None = None


_HOSTS = ("tts_host_address", "tti_host_address", "stt_host_address", "ttm_host_address", "ttv_host_address")
_NO_SERVER = "no helper server is started: the engine runs in this process, or in one of its own with isolated=True"
_NO_SERVICE = "the engine runs on this computer and asks no service"
_LOGGED = "the logger 'lollms_modalities' tells more"
_PATHS = "paths are given where they are used"
_FOLDERS = "models_path says in which folder models are"
_OTHER_MODEL = "another setting chooses the model, such as default_voice or model_path"
_MADE_BY = "a result's .provenance says where it comes from"
_TAKEN = "its entries are taken as settings"


def _all(names: str, instead: str, harmless: tuple[Any, ...] | None = None) -> dict[str, Keyword]:
    return dict.fromkeys(names.split(), Keyword(instead, harmless))


DROPPED: dict[str, Keyword] = {
    **_all("port auto_start_server wait_for_server venv_path use_host_env batch_window max_batch_size", _NO_SERVER),
    **_all("server_log_depth", _NO_SERVER),
    **_all("host", _NO_SERVER, ("127.0.0.1", "localhost", "0.0.0.0", "::1")),
    **_all("host_address service_key verify_ssl_certificate", _NO_SERVICE),
    **dict.fromkeys(_HOSTS, Keyword(_NO_SERVICE)),
    **_all("client_id", "it is for the binding 'lollms'"),
    **_all("certificate_file_path", "the environment variable SSL_CERT_FILE names a file of certificates", ()),
    **_all("debug supports_omni supports_text_output", _LOGGED),
    **_all("cwd system_dir lollms_path bindings_path", _PATHS),
    **_all("cache_dir extra_models_path lollms_paths models_path models_search_path", _FOLDERS, ()),
    **_all("model model_name", _OTHER_MODEL, ()),
    **_all("device", "another setting says where it runs, such as use_cuda or use_gpu", ("auto", "cpu")),
    **_all("hf_token", "the environment variable HF_TOKEN holds it", ()),
    **_all("enable_better_transformer", "the setting attention"),
    **_all("default_voice_preset", "voice_preset= of the call", ("v2/en_speaker_6",)),
    **_all("piper_executable_path", "Piper runs as a library"),
    **_all("extra_whisper_args", "the options of the call", ()),
    **_all("negative_prompt num_frames", "an option of the call", ()),
    **_all("watermark_path author system", _MADE_BY, ()),
    **_all("watermark_size_x watermark_size_y watermark_pos_x watermark_pos_y", _MADE_BY),
    **_all("config binding_config", _TAKEN),
}

# What only has another name here: the first of these that the binding has.
RENAMED: dict[str, tuple[str, ...]] = {
    "model": ("model_name", "model_id_or_path"),
    "model_name": ("model_id_or_path",),
    "service_key": ("api_key",),
    "base_url": ("host_address",),
    **dict.fromkeys(_HOSTS, ("host_address",)),
    "models_path": ("piper_voices_dir",),
    "extra_models_path": ("models_path",),
    "dtype": ("torch_dtype_str",),
    "size": ("default_size",),
    "quality": ("default_quality",),
    "style": ("default_style",),
    "width": ("default_width",),
    "height": ("default_height",),
}

# Names of required arguments, each with the one that it had.
ARGUMENTS = {"audio_path": "audio_source"}

# In 1.x an empty text said that these were not given.
_EMPTY = ("host_address", "base_url", "service_key", "model_name", "model", "models_path", "extra_models_path", *_HOSTS)

# Options of a call, told where a call does not know them.
OF_CALLS: dict[str, str] = {
    "fn": "output_path= writes the result to a file.",
    "split_sentences": "Text is made sentence by sentence without being told.",
    "speaker_wav": "voice= takes a recording.",
    "device": "It is a setting of the binding.",
    "filename": "What bytes hold is seen from the bytes.",
    "do_sample": "temperature=0 takes the likeliest.",
    "lyrics": "Write them into the prompt: this engine has no lyrics.",
    "modalities": "One verb makes one kind of result.",
    "metadata": "A result's .provenance says where it comes from.",
    "participants": "Speakers are not told apart here.",
    "voice_samples": "Speakers are not told apart here.",
    "speaker_id": "speaker= is the number of a voice's speaker.",
    "length_scale": "speed= is its inverse: speed=2 where it was 0.5.",
    "noise_w": "noise_w_scale= is its name.",
    "silence_duration": "sentence_silence= is its name.",
    "task": "translate=True translates into English.",
    "language": "The voice or the model decides it.",
    "fp16": "It is a setting of the binding.",
    "n_threads": "It is a setting of the binding.",
    "extra_whisper_args": "Each is an option of the call or a setting of the binding.",
    "assume_compatible_wav": "A recording that needs no conversion is not converted.",
    "mask_image": "mask= is its name.",
    "model_name": "The model is a setting of the binding.",
    "two_step_cfg": "cfg_coef= is all that there is of it.",
    "use_sampling": "temperature=0 takes the likeliest.",
}

# Attributes of bindings, each with what takes its place.
_FETCHED = "models are fetched when first used, from the hub or models_path, and `lollms pull` fetches them before"
_SHOWN = "binding.loaded says whether its model is loaded, the logger 'lollms_modalities' what happens"
_LIFE = "binding.load(), .unload() and .loaded do it"
_CAN = "binding.capabilities and .supports() say what it can do"
_MEDIA = "what comes back is what the engine made; .provenance says where it comes from"
_NONE_YET = "no binding does that yet"
NAMES: dict[str, str] = {
    **dict.fromkeys("get_zoo download_from_zoo install_model pull_model".split(), _FETCHED),
    **dict.fromkeys("ps status get_server_logs get_last_error has_active_resources".split(), _SHOWN),
    **dict.fromkeys(
        "is_server_running ensure_server_is_running start_server shutdown_server install_server_dependencies kill "
        "restart host port base_url auto_start_server wait_for_server".split(),
        _NO_SERVER,
    ),
    **dict.fromkeys("is_model_loaded unload_model get_loaded_models".split(), _LIFE),
    **dict.fromkeys("get_capabilities supports_lipsync supports_omni supports_text_output is_local".split(), _CAN),
    **dict.fromkeys("process_image watermark_path watermark_size watermark_pos author system".split(), _MEDIA),
    **dict.fromkeys(
        "generate_lipsync_video edit_audio edit_speech edit_video get_credits".split(),
        _NONE_YET,
    ),
    "transcribe_audio_with_diarization": "transcribe_audio(recording, diarize=True)",
    "edit_music": "generate_music(prompt, audio=..., start=..., end=...), where the model can",
    **dict.fromkeys("generate_song generate_song_from_lyrics".split(), "generate_music(prompt, lyrics=...)"),
    **dict.fromkeys("list_models_by_type edit_image_lollms".split(), "list_models and edit_image"),
    "generate": "generate_image, and edit_image where images are given",
    "set_voice": "the setting default_voice, or voice= of a call",
    "upload_voice": "voice= takes a recording",
    "speak": "generate_audio",
    "description": "binding.describe() says it",
    "debug": _LOGGED,
    **dict.fromkeys("system_dir binding_dir resolve_system_path get_system_dir".split(), _PATHS),
    **dict.fromkeys("model_name device service_key host_address".split(), "binding.settings and .config hold it"),
}


def settled(values: Mapping[str, Any], known: Container[str], what: str) -> dict[str, Any]:
    """Settings that may be named as in 1.x, as they are named here.

    One log line tells what was dropped and what takes its place; an ``OlderKeywordWarning`` tells of what was wanted
    and does not happen. Unknown names that 1.x had not are left for the settings to refuse.

    Args:
        values: the settings by name.
        known: names of the settings that the binding has.
        what: name of the binding, for messages.

    Raises:
        SettingsError: a setting is given twice, under two names or in a ``config`` too, with two values.
    """
    given = {name: value for name, value in values.items() if not (name in _EMPTY and value == "")}
    if all(name in known for name in given):
        return given
    strange = _unpacked(given, known, what)
    given = renamed(given, known, what)
    dropped = {name: given.pop(name) for name in list(given) if name not in known and name in DROPPED}
    dropped = {name: value for name, value in dropped.items() if value is not None}
    if dropped or strange:
        _tell(dropped, strange, what)
    return given


def renamed(values: Mapping[str, Any], known: Container[str], what: str) -> dict[str, Any]:
    """Settings of which some are named as in 1.x, by the names that they have here. Arguments as of ``settled``."""
    given = dict(values)
    for name in values:
        if (new := new_name(name, known)) != name:
            _rename(given, name, new, what)
    return given


def new_name(name: str, known: Container[str]) -> str:
    """The name that a setting has here."""
    if name in known:
        return name
    return next((new for new in RENAMED.get(name, ()) if new in known), name)


def refuse_name(binding: object, name: str) -> None:
    """Tell of an attribute that a binding had in 1.x.

    Raises:
        OlderNameError: it had that one, and its class has none of that name.
    """
    if name in NAMES and not hasattr(type(binding), name):
        what = type(binding).__name__
        raise OlderNameError(
            f"{what} has no {name!r}, which bindings of lollms-client 1.x had.", hint=f"Instead: {NAMES[name]}."
        )


def _unpacked(given: dict[str, Any], known: Container[str], what: str) -> list[str]:
    """Take the entries of a ``config`` that the binding has; gives the names of those that nobody knows."""
    strange: list[str] = []
    for word in ("config", "binding_config"):
        if word in known or not isinstance(given.get(word), Mapping):
            continue
        for name, value in given[word].items():
            if name in known or name in RENAMED or name in DROPPED:
                if _plain(given.setdefault(name, value)) != _plain(value):
                    raise SettingsError(
                        f"{what} was given {name!r} in {word} and as a keyword, with two values.",
                        hint="Give it once.",
                        names=[name],
                    )
            else:
                strange.append(str(name))
    return strange


def _rename(given: dict[str, Any], name: str, new: str, what: str) -> None:
    value = given.pop(name)
    if given.get(new) is None:
        given[new] = value
    elif value is not None and _plain(value) != _plain(given[new]):
        raise SettingsError(
            f"{what} was given {name!r} and {new!r}, which are one setting.", hint=f"Give {new!r}.", names=[name, new]
        )


def _tell(dropped: Mapping[str, Any], strange: list[str], what: str) -> None:
    reasons: dict[str, list[str]] = {}
    for name in dropped:
        reasons.setdefault(DROPPED[name].instead, []).append(repr(name))
    said = [f"{', '.join(names)}: {instead}" for instead, names in reasons.items()]
    said += [f"{name!r} of its config: it has no such setting" for name in strange]
    _log.info("%s does without keywords of lollms-client 1.x. %s.", what, "; ".join(said))
    lost = [f"{name!r}: {DROPPED[name].instead}" for name, value in dropped.items() if _is_lost(DROPPED[name], value)]
    lost += [f"{name!r} of its config: it has no such setting" for name in strange]
    if lost:
        warnings.warn(
            OlderKeywordWarning(f"{what} does without what lollms-client 1.x had. {'; '.join(lost)}."), stacklevel=4
        )


def _is_lost(keyword: Keyword, value: Any) -> bool:
    return keyword.harmless is not None and value not in (*_NOTHING, *keyword.harmless)


def _plain(value: Any) -> Any:
    return value.get_secret_value() if hasattr(value, "get_secret_value") else value
