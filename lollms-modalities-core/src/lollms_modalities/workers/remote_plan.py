"""How the arguments of a verb become a request."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from lollms_modalities import hooks
from lollms_modalities.calls.askers import asker
from lollms_modalities.calls.call import Call
from lollms_modalities.contract.plan import WHOLE_MEDIA, Plan, checked_output
from lollms_modalities.contract.pulling import Source
from lollms_modalities.contract.verbs import Verb
from lollms_modalities.errors import (
    BindingClosedError,
    LollmsError,
    OptionError,
    UnsupportedError,
    WorkerCrashedError,
)
from lollms_modalities.media.files import part_name
from lollms_modalities.media.input import check_media
from lollms_modalities.settings.shown import veiled
from lollms_modalities.version import __version__
from lollms_modalities.workers import protocol
from lollms_modalities.workers.carrying import as_bytes
from lollms_modalities.workers.feeding import Feeding
from lollms_modalities.workers.interpreter import core_mend
from lollms_modalities.workers.isolated import IsolatedBinding
from lollms_modalities.workers.values import pack, unpack

if TYPE_CHECKING:
    from lollms_modalities.contract.binding import LollmsBinding
    from lollms_modalities.media.result import Provenance
    from lollms_modalities.workers.protocol import Buffer, Json


class RemotePlan(Plan):
    """How the arguments of a verb become a request."""

    begins_here = False

    def __init__(self, cls: type[IsolatedBinding], fn: Callable[..., Any], spec: Verb) -> None:
        from lollms_modalities import media

        self.fn = fn
        self.verb = spec
        self.content = "request"
        self.loads = False
        self.returns = getattr(media, spec.returns)
        described = cls._description["verbs"].get(spec.name)
        self._there = described is not None
        described = described or {"media": []}  # what the worker's core is too old to know
        schema = described.get("options") or cls._description["options"]
        definitions = schema.get("$defs", {})
        self._secret = [n for n, p in schema.get("properties", {}).items() if _has_password(p, definitions, set())]
        self._secrets = schema if self._secret else None
        self._shares_files = cls._shares_files
        self._own_format = "output_format" in schema.get("properties", {})
        self.makes_media = spec.returns in WHOLE_MEDIA and not spec.stream
        self._path = "output_path" if self.makes_media else ""
        self._text = spec.params[0] if spec.params else ""
        self._defaults = {n: p.get("default") for n, p in schema.get("properties", {}).items()}
        self.common = tuple(n for n in cls._common_options(spec) if n not in schema.get("properties", {}))
        self._media = (*described["media"], *(n for n in cls._common_media(spec) if n in self.common))

    def prepare(
        self, binding: LollmsBinding, outer: Call | None, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[Call, Any, dict[str, Any]]:
        """The call, and the message with its payloads in the place of the first argument."""
        if not self._there:
            raise self._unknown_there(cast(IsolatedBinding, binding))
        self._name(args, kwargs)
        call = Call(self.verb.name, binding, None, outer)
        if binding._chosen is not None:
            call.record(extra={"chosen": dict(binding._chosen)})
        feeding: list[Feeding] = []
        try:
            if len(kwargs) > 1 or self._text not in kwargs:
                pop = kwargs.pop
                call.control(pop("progress", None), pop("cancel", None), pop("timeout", None))
            for name in self._media:
                if kwargs.get(name) is not None:
                    kwargs[name] = self._checked(name, kwargs[name])
            if self._path and kwargs.get(self._path) is not None:
                from lollms_modalities import media

                path = call.output_path = media.check_output_path(kwargs[self._path], self.returns).absolute()
                if self._shares_files:
                    kwargs[self._path] = part_name(path) / path.name
                else:
                    self._written_here(call, kwargs)
            if self.common and len(kwargs) > 1:
                self._kept_here(call, binding, kwargs)
            if self._secrets is not None:
                cast(IsolatedBinding, binding)._workers.spec.secrets.note(kwargs, self._secrets)
            if self.verb.content == "frames":
                feeding.append(Feeding(Source(kwargs.pop(self.verb.params[0]))))
            out: list[Buffer] = []
            message = {
                "type": protocol.CALL,
                "name": self.verb.name,
                "arguments": pack(kwargs, out),
                "controls": True,
            }
            if call.wants_progress:
                message["progress"] = True
            if self.verb.stream:
                message["stream"] = True
            if hooks.relay() is not None:
                message["tell"] = True
            if feeding:
                message["input"] = self.verb.params[0]
                call.at_end(feeding[0].close)
            if self.verb.stream:
                self._check_there(cast(IsolatedBinding, binding), call, message, out)
        except BaseException:
            call.finish()
            raise
        return call, (message, out, *feeding), {}

    def _check_there(self, binding: IsolatedBinding, call: Call, message: Json, out: list[Buffer]) -> None:
        """Let the worker check the arguments: a stream asks for nothing else before its first item."""
        if binding._closed or binding._workers.ready.get("minor", 0) < protocol.TYPED:
            return
        if asker().task is not None and not binding._workers.all():
            return  # an event loop should not wait for a worker's start: the first item does
        asked = {**message, "check": True, "controls": False, "stream": False, "progress": False}
        packed = message["arguments"].get(self.verb.params[0])
        large = packed.get("at") if isinstance(packed, dict) else None  # what it is was looked at here
        short = [memoryview(data)[:1] if n == large else data for n, data in enumerate(out)]
        with suppress(WorkerCrashedError, BindingClosedError):  # as the first item will say
            binding._request(call, asked, short)

    def _unknown_there(self, binding: IsolatedBinding) -> UnsupportedError:
        workers = binding._workers
        core = workers.ready.get("core", "of an older version")
        return UnsupportedError(
            f"{binding.binding_name} in {binding.environment!r} has no {self.verb.name}: lollms-modalities-core "
            f"{core} is there, with protocol {protocol.VERSION}.{workers.ready.get('minor', 0)}; here is "
            f"{__version__}, with {protocol.VERSION}.{protocol.MINOR}.",
            hint=core_mend(workers.spec),
        )

    def told(self, call: Call, content: Any, arguments: dict[str, Any]) -> dict[str, Any]:
        """What the caller gave: the worker checks it and fills in the defaults."""
        message, out, *_ = content
        given: dict[str, Any] = unpack(message["arguments"], out)
        if call.output_path is not None:
            given["output_path"] = call.output_path
            if call.output_format is not None:
                given.pop("output_format")  # that of the path
        if call.step is not None:
            given |= call.step.told()
        return {name: veiled(value) if name in self._secret else value for name, value in given.items()}

    def _kept_here(self, call: Call, binding: LollmsBinding, kwargs: dict[str, Any]) -> None:
        """What the engine does not know is done to the result here, if it can be; otherwise the worker is asked."""
        common = {n: kwargs[n] for n in self.common if n in kwargs}
        if not common:
            return
        try:
            before = self._defaults | {n: v for n, v in kwargs.items() if n not in common}
            arguments = dict(before)
            call.step = binding._step_of(kwargs.get(self._text), arguments, common)
        except UnsupportedError:
            return
        for name in common:
            del kwargs[name]
        # Where more is wanted of the engine than the caller asked for.
        kwargs.update({n: v for n, v in arguments.items() if v != before.get(n)})

    def _written_here(self, call: Call, kwargs: dict[str, Any]) -> None:
        """The worker is to give the result, in the path's format, in the place of a file."""
        path = call.output_path
        assert path is not None
        del kwargs[self._path]
        by_suffix = checked_output(path, kwargs.get("output_format"), self.returns, own=self._own_format)
        if not self._own_format and kwargs.get("output_format") is None:
            kwargs["output_format"] = call.output_format = by_suffix

    def _checked(self, name: str, value: Any) -> Any:
        content = self.verb.params[0] if self.verb.params else ""
        if self.verb.content == "images" and name == content:
            from lollms_modalities.contract.editing import check_images

            return [self._crossing(v) for v in check_images(value)]
        if self.verb.content == "image" and name == content:
            from lollms_modalities.contract.editing import check_image

            return self._crossing(check_image(value))
        if isinstance(value, (list, tuple)):
            return [self._checked(name, v) for v in value]
        if isinstance(value, Mapping):
            return {k: self._checked(name, v) for k, v in value.items()}
        role = self.verb.content if name == content else "media"
        try:
            checked = check_media(value, role=role or "media")
        except (OptionError, LookupError):
            raise
        except Exception as exc:
            if name == content:
                raise
            if not self._shares_files and isinstance(exc, LollmsError):
                return self._not_a_file_there(name, value, exc)
            return value  # an option: the worker says what is wrong with it, as it does in place
        return self._crossing(checked)

    def _crossing(self, media: Path | bytes) -> Path | bytes:
        if not self._shares_files:
            return as_bytes(media)
        # The worker's current folder is not ours.
        return media.absolute() if isinstance(media, Path) else media

    def _not_a_file_there(self, name: str, value: Any, exc: LollmsError) -> Any:
        """What is no media here may be base64 of an image. As it is, the worker might take it for a file of its own."""
        from lollms_modalities.contract.editing import unwrapped

        found = unwrapped(value)
        if isinstance(found, bytes):
            return found
        if isinstance(found, (str, os.PathLike)):
            raise OptionError(f"{name}: {exc.message}", hint=exc.hint, names=[name]) from exc
        return found

    def finished(self, binding: LollmsBinding, call: Call, result: Any, arguments: dict[str, Any]) -> Any:
        """The result as the worker has finished it; its provenance tells what was done here, too."""
        if call.step is not None or binding._chosen is not None:
            told = {} if call.step is None else call.step.told()
            for made in result if isinstance(result, list) else [result]:
                made._provenance = functools.partial(_told_here, made._provenance, call.recorded, told)
        return result

    def stamp(self, binding: LollmsBinding, call: Call, arguments: dict[str, Any]) -> Callable[[], Provenance | None]:
        """A stream's provenance, as the worker told it at the end."""
        made = (call.recorded or {}).get("provenance")
        step = call.step
        if step is None and binding._chosen is None:
            return lambda: made
        return lambda: _told_here(made, call.recorded, {} if step is None else step.told())


def _told_here(made: Any, recorded: dict[str, Any] | None, options: dict[str, Any]) -> Provenance | None:
    """What the worker tells of a result, with what was done to it here."""
    told: Provenance | None = made() if callable(made) else made
    if told is None:
        return None
    extra = (recorded or {}).get("extra", {})
    return replace(told, options={**told.options, **options}, extra={**told.extra, **extra})


def _has_password(schema: Any, definitions: Json, seen: set[str]) -> bool:
    """Whether there is room for a secret in what a JSON schema describes."""
    if isinstance(schema, list):
        return any(_has_password(part, definitions, seen) for part in schema)
    if not isinstance(schema, dict):
        return False
    name = str(schema.get("$ref", "")).rpartition("/")[2]
    if name and name not in seen:
        seen.add(name)
        if _has_password(definitions.get(name), definitions, seen):
            return True
    return schema.get("format") == "password" or _has_password(list(schema.values()), definitions, seen)
