"""What the configuration file says of serving: ``[serve]``, ``[models.NAME]`` and ``[plugins.NAME]``.

Checked whole before anything starts. A complaint begins with the file and the line.
"""

from __future__ import annotations

import difflib
import ipaddress
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from lollms_modalities import ConfigurationError, ConfigurationFile, SettingsError, WorkerPolicy, read_configuration
from platformdirs import user_data_path
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from lollms_server.room.models import MODALITIES, NAME

_MOST_WORKERS = 1000  # of one model
_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}


def _seconds(value: object) -> object:
    return None if value == "never" else value


def _bytes(value: object) -> object:
    """``"8 GB"`` as bytes."""
    if isinstance(value, str) and (found := re.fullmatch(r"(\d+(?:\.\d+)?) ?([kmgt]?)b?", value.strip().lower())):
        return int(float(found[1]) * _UNITS[found[2]])
    return value


def _pool(value: object) -> object:
    """As ``WorkerPolicy`` takes it, with fewer than a program may have."""
    try:
        policy = WorkerPolicy(pool=value)  # type: ignore[arg-type]
    except SettingsError as exc:
        raise ValueError(f"a whole number from 1, or two. {exc.hint}") from None
    if policy.most > _MOST_WORKERS:
        raise ValueError(f"at most {_MOST_WORKERS}")
    return policy.pool


def _named(value: str) -> str:
    if not NAME.fullmatch(value):
        raise ValueError("a name has letters, digits, and _ . - within")
    return value


def _network(value: str) -> str:
    ipaddress.ip_network(value, strict=False)  # whose error says what is wrong
    return value


def _at_home(value: Path) -> Path:
    """``~`` in a file is seen by no shell."""
    return Path(os.path.expanduser(value))


def _host(value: str) -> str:
    if not re.fullmatch(r"\[?[0-9A-Fa-f:.]+\]?|[A-Za-z0-9._-]+", value):
        raise ValueError("a host is a name or an address, without a port and without wildcards")
    return value


def _origin(value: str) -> str:
    if value != "null" and not re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*://[^/\s*?#]+/?", value):
        raise ValueError("an origin is like https://app.example, without a path and without wildcards")
    return value


def _root(value: str) -> str:
    if value and not value.startswith("/"):
        raise ValueError("it begins with /")
    return value


File = Annotated[Path, AfterValidator(_at_home)]
Name = Annotated[str, AfterValidator(_named)]
Seconds = Annotated[
    Annotated[float, Field(ge=0, allow_inf_nan=False)] | None, BeforeValidator(_seconds),
    Field(description="Seconds, or never."),
]  # fmt: skip
Pool = Annotated[int | tuple[int, int], BeforeValidator(_pool)]
Bytes = Annotated[int, BeforeValidator(_bytes), Field(ge=1)]
Modality = Literal["tts", "stt", "tti", "ttm", "ttv"]
Surface = Literal["openai", "lollms", "lollms-modern", "lollms-classic", "automatic1111", "elevenlabs"]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


class JobSettings(_Table):
    """The table ``[serve.jobs]``."""

    store: str | None = Field(
        default=None, description="Address of the database: sqlite:///FILE or postgresql://...; a file beside the keys."
    )
    results: str | None = Field(
        default=None, description="Folder of uploads and results, or an address of fsspec's; a folder beside the keys."
    )
    lifetime: float = Field(
        default=86400.0, description="Seconds that a job and its results are kept.", gt=0, le=10**9, allow_inf_nan=False
    )
    max_size: Bytes = Field(default=20 * 10**9, description="Bytes of all of them; when full, new jobs are refused.")
    max_queued: int = Field(default=1000, description="How many jobs of one caller may wait.", ge=1, le=10**6)
    timeout: Seconds = Field(
        default=3600.0, description="Seconds that one job may take, without its waiting as a job; or never."
    )
    keep: tuple[Literal["prompts", "uploads"], ...] = Field(
        default=(), description="What of a job is kept when it has ended: prompts, uploads."
    )


class WyomingSettings(_Table):
    """The table ``[serve.wyoming]``."""

    host: str = Field(default="127.0.0.1", description="Address to listen at. Another than this machine's needs a key.")
    stt_port: int = Field(default=10300, description="Port for transcription.", ge=0, le=65535)
    tts_port: int = Field(default=10200, description="Port for speech; may be the same.", ge=0, le=65535)
    key: Name | None = Field(
        default=None, description="Name of the key whose rights all have who connect: the protocol knows no keys."
    )
    live: bool = Field(default=True, description="Whether models that stream listen while somebody speaks.")
    max_seconds: float = Field(default=300.0, description="Seconds of sound of one transcription.", gt=0, le=14400)
    max_connections: int = Field(default=256, description="How many may be open.", ge=1, le=4096)


class Serve(_Table):
    """The table ``[serve]``."""

    host: str = Field(
        default="127.0.0.1", description="Address to listen at. Without any key only one of this machine."
    )
    port: int = Field(default=9610, description="Port to listen at.", ge=0, le=65535)
    allowed_hosts: tuple[Annotated[str, AfterValidator(_host)], ...] = Field(
        default=(), description="Other names under which the server is reached."
    )
    origins: tuple[Annotated[str, AfterValidator(_origin)], ...] = Field(
        default=(), description="Origins of pages that may ask, such as https://app.example."
    )
    trusted_proxies: tuple[Annotated[str, AfterValidator(_network)], ...] = Field(
        default=(), description="Addresses whose X-Forwarded-* headers are believed."
    )
    root_path: Annotated[str, AfterValidator(_root)] = Field(
        default="", description="The path under which a proxy offers the server."
    )
    tls_certificate: File | None = Field(default=None, description="File with the certificate, for TLS.")
    tls_key: File | None = Field(default=None, description="File with its key.")
    surfaces: tuple[Surface, ...] = Field(default=("openai", "lollms"), description="Which tongues are spoken.")
    page: bool = Field(default=True, description="Whether a browser gets a page at /; it needs the surface lollms.")
    open_lists: bool = Field(default=False, description="Whether models and voices are listed without a key.")
    metrics: str | None = Field(
        default=None,
        description="HOST:PORT where /metrics is answered to everybody; else for admins, where all else is.",
    )
    defaults: Mapping[Modality, Name] = Field(default={}, description="The model that is meant where none is named.")
    aliases: Mapping[str, str] = Field(default={}, description="Other names for models: MODEL, or MODEL/ITS_MODEL.")
    keep_alive: Seconds = Field(
        default=300.0, description="Seconds after its last call at which a model is unloaded; or never."
    )
    max_loaded: int | None = Field(default=None, description="How many models may be loaded at once.", ge=1)
    memory_limit: Bytes | None = Field(default=None, description="Memory that loaded models may take, such as 8 GB.")
    max_queue: int = Field(default=64, description="How many calls may wait for one model.", ge=0, le=100_000)
    timeout: Seconds = Field(default=600.0, description="Seconds that one call may take, waiting too; or never.")
    grace: float = Field(
        default=30.0, description="Seconds that calls under way get when the server ends.", ge=0, le=86400
    )
    hook_timeout: float = Field(default=2.0, description="Seconds that one hook of a plug-in may take.", gt=0, le=60)
    max_upload: Bytes = Field(default=100_000_000, description="Bytes of one upload.")
    keys_file: File | None = Field(
        default=None, description="Where the keys' hashes are; in the platform's folder for data."
    )
    socket: File | None = Field(default=None, description="The Unix socket for admins at the terminal.")
    jobs: JobSettings = Field(default=JobSettings(), description="A table of its own, [serve.jobs].")
    wyoming: WyomingSettings | None = Field(
        default=None, description="A table of its own, [serve.wyoming]; Wyoming is spoken where it is there."
    )

    def keys_path(self) -> Path:
        """Where the keys are."""
        return self.keys_file or data_folder() / "keys.json"

    def socket_path(self) -> Path:
        """Where the socket for the terminal is."""
        if self.socket is not None:
            return self.socket
        # Not a folder that all users share, where there is none of the user's own.
        runtime = os.environ.get("XDG_RUNTIME_DIR", "")
        folder = Path(runtime) / "lollms" if runtime else data_folder()
        return folder / f"serve-{self.port}.sock"


class Model(_Table):
    """A table ``[models.NAME]``."""

    binding: str = Field(description="Name of the binding, as lollms list has it.")
    modality: Modality | None = Field(default=None, description="Which of its kinds, where the binding has several.")
    settings: Mapping[str, Any] = Field(
        default={}, description="The binding's settings: a table [models.NAME.settings]."
    )
    environment: str | None = Field(
        default=None, description="The environment it runs in; where it is found when left out."
    )
    place: str | Mapping[str, Any] | None = Field(
        default=None,
        description="The place it runs at: ssh://user@host, for one; its options beside it, or a table with kind.",
    )
    isolated: bool = Field(default=True, description="Whether it runs in a process of its own.")
    pool: Pool = Field(default=1, description="How many such processes there may be; [0, 8]: as calls that wait want.")
    wait_target: float = Field(
        default=1.0, description="Seconds that a call waits before [0, 8] gets a process.", ge=0, allow_inf_nan=False
    )
    idle_timeout: float | None = Field(
        default=None, description="Seconds without work that end a process; with [0, 8] 60.", ge=0, allow_inf_nan=False
    )
    keep_alive: Seconds = Field(default=None, description="As in [serve], for this model.")
    preload: bool = Field(default=False, description="Whether it is loaded when the server starts.")
    max_queue: int | None = Field(default=None, description="As in [serve], for this model.", ge=0, le=100_000)
    timeout: Seconds = Field(default=None, description="As in [serve], for this model.")
    aliases: tuple[str, ...] = Field(default=(), description="Other names of it.")
    voices: Mapping[str, str] = Field(default={}, description="Other names for its voices.")
    variables: tuple[str, ...] = Field(
        default=(), description="Environment variables with secrets that its process gets."
    )

    @model_validator(mode="before")
    @classmethod
    def _beside_its_place(cls, given: Any) -> Any:
        """What is no word of ours, nor one written wrongly, is an option of the place: ``num_gpus = 1``."""
        if not isinstance(given, Mapping) or not isinstance(given.get("place"), str):
            return given
        known = cls.model_fields
        own = {key for key in given if key in known or difflib.get_close_matches(key, known, 1, 0.8)}
        options = {key: value for key, value in given.items() if key not in own}
        place = {"place": {"kind": given["place"], **options}} if options else {}
        return {key: value for key, value in given.items() if key in own} | place


class Plugin(_Table):
    """A table ``[plugins.NAME]``; what else stands there is the plug-in's own."""

    model_config = ConfigDict(extra="allow", frozen=True)

    enabled: bool = Field(default=True, description="False leaves the plug-in out.")
    timeout: float | None = Field(
        default=None, description="Seconds that one of its hooks may take; else hook_timeout.", gt=0
    )


class Configuration(_Table):
    """What the file says of serving.

    Attributes:
        file: which it was read from, for complaints; what it says of the command line (``[tts]``) is there, too.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)

    serve: Serve = Serve()
    models: Mapping[Name, Model] = {}
    plugins: Mapping[str, Plugin] = {}
    file: ConfigurationFile = Field(default_factory=lambda: ConfigurationFile(Path("(no file)")), exclude=True)

    def complaint(self, text: str, *keys: str, hint: str = "") -> ConfigurationError:
        """The error that says where in the file something is wrong."""
        return ConfigurationError(f"{self.file.where(*keys)}: {text}", hint=hint)


def load_configuration(path: Path | None = None, **serve: Any) -> Configuration:
    """Read and check the file.

    Args:
        path: another file than the command line's own.
        serve: what takes the place of ``[serve]``'s: what was typed. Of a table in it, what is there.

    Raises:
        ConfigurationError: it cannot be read, or something in it is wrong.
    """
    file = read_configuration(path)
    tables = {name: file.tables[name] for name in ("serve", "models", "plugins") if name in file.tables}
    for name in file.tables.keys() - {*tables, *MODALITIES}:
        raise ConfigurationError(
            f"{file.where(name)}: {name!r} means nothing there.",
            hint=f"There are [serve], [models.NAME], [plugins.NAME], and {', '.join(f'[{m}]' for m in MODALITIES)}.",
        )
    _check_plugins(file)
    try:
        read = Configuration(**tables, file=file)
        typed = read.serve.model_dump(exclude_unset=True)
        for name, value in serve.items():
            typed[name] = {**(typed.get(name) or {}), **value} if isinstance(value, dict) else value
    except ValidationError as exc:
        raise _complaint(file, exc) from None
    try:
        return read.model_copy(update={"serve": Serve(**typed)})
    except ValidationError as exc:
        error = exc.errors()[0]
        raise ConfigurationError(f"{'.'.join(map(str, error['loc']))}: {error['msg']}.") from None


def _check_plugins(file: ConfigurationFile) -> None:
    """A word of ours that is written wrongly would pass for a setting of the plug-in's own."""
    tables = file.tables.get("plugins")
    for name, table in tables.items() if isinstance(tables, dict) else ():
        for key in table if isinstance(table, dict) else ():
            near = difflib.get_close_matches(key, Plugin.model_fields, 1, 0.8)
            if near and key not in Plugin.model_fields:
                raise ConfigurationError(
                    f"{file.where('plugins', name, key)}: plugins.{name}.{key} means nothing.",
                    hint=f"Did you mean {near[0]!r}?",
                )


def _complaint(file: ConfigurationFile, exc: ValidationError) -> ConfigurationError:
    error = exc.errors()[0]
    keys = tuple(str(key) for key in error["loc"] if key != "[key]")
    what = ".".join(keys)
    if error["type"] == "extra_forbidden":
        tables: dict[str, type[BaseModel]] = {"serve": Serve, "models": Model, "plugins": Plugin}
        table = tables.get(keys[0], Configuration)
        near = difflib.get_close_matches(keys[-1], table.model_fields, 1, 0.5)
        mend = f"Did you mean {near[0]!r}?" if near else f"There are: {', '.join(table.model_fields)}."
        return ConfigurationError(f"{file.where(*keys)}: {what} means nothing.", hint=mend)
    given = error.get("input")
    shown = "" if isinstance(given, (dict, list)) else f" is {given!r:.100}"
    return ConfigurationError(f"{file.where(*keys)}: {what}{shown}: {error['msg'].rstrip('.')}.")


def data_folder() -> Path:
    """Where the server keeps what it must remember."""
    return user_data_path("lollms", appauthor=False) / "serve"
