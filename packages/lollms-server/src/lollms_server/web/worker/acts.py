"""What a session's requests do: each is made into a call of the engine room's own, and looked at as over HTTP."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lollms_modalities import OptionError, Progress, SettingsError, UnsupportedError, wire

from lollms_server.room.models import Chosen
from lollms_server.room.streaming import Untold
from lollms_server.web.common import check_hops, check_media
from lollms_server.web.errors import masked
from lollms_server.web.options import VerbOptions
from lollms_server.web.worker import values
from lollms_server.web.worker.exchange import Exchange, Incoming
from lollms_server.web.worker.messages import Call, Hello, Make
from lollms_server.web.worker.methods import ALWAYS, METHODS, method

if TYPE_CHECKING:
    from lollms_server.web.worker.session import Session

MINOR = min(wire.MINOR, 3)  # what this surface knows of the protocol, which may be less than the core does
_hearing: ContextVar[Callable[[type[Warning], str], object] | None] = ContextVar("lollms_server_hearing", default=None)


class Acts:
    """Of one session.

    Attributes:
        made: whether the client has its binding.
        chosen: the model that it is, as long as it is served to the client.
    """

    def __init__(self, session: Session) -> None:
        self.session = session
        self.room = session.app.room
        self.made = False
        self._asked: tuple[str, str] | None = None  # name and modality
        self._verbs: dict[str, Any] = {}
        self._methods = ALWAYS

    @property
    def chosen(self) -> Chosen:
        """The model of the session, by the configuration and the rights of now.

        Raises:
            ModelNotServed: it is not served to the client any more.
        """
        if self._asked is None:
            raise UnsupportedError("Nothing was asked for yet.", hint="Say hello first.")
        chosen = self.room.find(*self._asked, self.session.caller)
        check_hops(self.session.hops, chosen)
        return chosen

    async def hello(self, message: Hello) -> dict[str, Any]:
        """Which binding is meant, and what it is."""
        ready = {"type": wire.READY, "protocol": wire.VERSION, "minor": MINOR, "core": wire.__version__}
        if message.protocol != wire.VERSION:
            return ready
        if self._asked is not None:
            raise UnsupportedError("A session is of one binding.", hint="Open another session.")
        chosen = self.room.find(message.name, message.modality, self.session.caller)
        check_hops(self.session.hops, chosen)
        description, origin = await self.room.described(chosen)
        self._asked = (message.name, message.modality)
        self.session.minor = min(MINOR, message.minor)
        told = _for_clients(description, self.session.minor)
        self._verbs, self._methods = told["verbs"], ALWAYS | told["methods"].keys()
        return ready | {
            "python": "",
            "name": chosen.name,
            "distribution": origin.distribution,
            "version": origin.version,
            "description": told,
        }

    async def make(self, exchange: Exchange, message: Make) -> dict[str, Any]:
        """The binding is there already; an admin may change its settings, for all who use it."""
        chosen = self.chosen
        payloads = exchange.payloads.values() if exchange.payloads is not None else []
        settings = {
            name: values.argument(held, payloads, name)
            for name, held in (message.settings or {}).items()
        }  # fmt: skip
        if settings:
            await self._set(chosen, settings)
        self.made = True
        return {"type": wire.READY} | await self._state(chosen)

    async def _set(self, chosen: Chosen, settings: dict[str, Any]) -> None:
        """Change what is to be another than it is: rows of ``get_settings`` that come back are no change."""
        now = (await self._state(chosen))["settings"]
        changed = {name: value for name, value in settings.items() if name not in now or now[name] != value}
        if changed and not self.session.caller.is_admin:
            raise SettingsError(
                f"{chosen.name} is served with the settings of whoever runs the server, and this key may set none.",
                hint="Leave the settings out and say with each call what it is to be like; or use an admin's key.",
                names=sorted(changed),
            )
        if changed:
            await self.room.set_settings(chosen, changed, self.session.caller)

    async def _state(self, chosen: Chosen) -> dict[str, Any]:
        told = await self.room.describe(chosen, self.session.caller)
        return {
            "settings": {row["name"]: row["value"] for row in told["settings"]},
            "capabilities": told["capabilities"],
        }

    async def call(self, exchange: Exchange, message: Call) -> dict[str, Any]:
        """A verb, or one of the few methods that a served binding has."""
        if not self.made:
            raise UnsupportedError("The binding has not been made.", hint="Send make first.")
        chosen, name = self.chosen, message.name
        payloads = exchange.payloads.values() if exchange.payloads is not None else []
        if name in self._verbs:
            if message.positional:
                raise OptionError("The arguments of a verb are given by name.")
            return await _Verb(self, exchange, message, chosen).run(payloads)
        positional = values.argument(message.positional, payloads, name)
        if not isinstance(positional, list):
            raise OptionError(f"{name} takes its arguments as a list.")
        arguments = {key: values.argument(value, payloads, key) for key, value in message.arguments.items()}
        if name == "set_settings":
            if len(positional) != 1 or arguments:
                raise SettingsError("set_settings takes the settings.")
            await self._set(chosen, _named(positional[0]))
            return {"type": wire.RESULT, "value": True} | await self._state(chosen)
        if name not in self._methods:
            raise UnsupportedError(f"{chosen.name} at the server has no {name!r:.60}.")
        value = await method(self.room, self.session.caller, chosen, name, positional, arguments)
        return {"type": wire.RESULT, "value": values.result(value, exchange.result, self.session.minor)}


class _Verb:
    """One call of a verb."""

    def __init__(self, acts: Acts, exchange: Exchange, message: Call, chosen: Chosen) -> None:
        self._acts, self._exchange, self._message, self._chosen = acts, exchange, message, chosen
        self._session, self._room = acts.session, acts.room
        self._minor = acts.session.minor
        self._loop = asyncio.get_running_loop()
        self._untold = Untold()
        self._reported = asyncio.Event()
        self._reporting = asyncio.Lock()  # so that reports keep their order
        self._telling: set[asyncio.Task[None]] = set()

    async def run(self, payloads: list[values.Payload]) -> dict[str, Any]:
        message, exchange, session = self._message, self._exchange, self._session
        options = await session.app.descriptions.of(self._chosen, session.caller, message.name)
        spec, content = options.spec, options.content
        takes = spec["content"] == "frames"
        if (message.input is not None) != takes or (takes and message.input != content):
            raise OptionError(f"{message.name} takes {'a' if takes else 'no'} stream.", names=[content])
        given = await self._arguments(options, payloads)
        if takes:
            given[content] = [] if message.check else exchange.incoming
        args = (given.pop(content),) if content else ()
        if message.check:
            await self._room.check(self._chosen, session.caller, message.name, *args, **given)
            return {"type": wire.RESULT, "value": None}
        if message.stream != bool(spec["stream"]):
            raise UnsupportedError(f"{message.name} gives {'a stream' if spec['stream'] else 'one result'}.")
        controls: dict[str, Any] = {
            "request_id": f"{session.id}-{exchange.number}",
            "begun": (lambda binding: self._begun(options.whole(given, binding.settings))) if message.tell else None,
            "progress": self._tell_progress if message.progress else None,
        }
        telling = asyncio.ensure_future(self._tell_reports()) if message.progress else None
        heard = _hearing.set(self._warned)
        try:
            return await (self._items if spec["stream"] else self._whole)(args, given | controls)
        finally:
            _hearing.reset(heard)
            if telling is not None:
                telling.cancel()
                await asyncio.wait({telling})
            for task in self._telling:
                task.cancel()

    async def _whole(self, args: tuple[Any, ...], given: dict[str, Any]) -> dict[str, Any]:
        result = await self._room.call(self._chosen, self._session.caller, self._message.name, *args, **given)
        await self._flush()
        return {"type": wire.RESULT, "value": await self._packed(result, self._exchange.result)}

    async def _items(self, args: tuple[Any, ...], given: dict[str, Any]) -> dict[str, Any]:
        stream = self._room.stream(self._chosen, self._session.caller, self._message.name, *args, **given)
        async with stream:
            async for item in stream:
                out: list[wire.Buffer] = []
                packed = await self._packed(item, out)
                await self._flush()
                await self._exchange.send_item({"type": wire.ITEM, "value": packed}, out)
        await self._flush()
        return {"type": wire.RESULT, "value": None, "provenance": values.provenance(stream.provenance)}

    async def _packed(self, value: Any, out: list[wire.Buffer]) -> Any:
        if values.is_large(value):
            return await asyncio.to_thread(values.result, value, out, self._minor)
        return values.result(value, out, self._minor)

    async def _arguments(self, options: VerbOptions, payloads: list[values.Payload]) -> dict[str, Any]:
        """What the verb is given, as the HTTP surface gives it: no path, no address, nothing beyond a ceiling."""
        message, content = self._message, options.content
        named = {name: values.argument(value, payloads, name) for name, value in message.arguments.items()}
        if message.input is not None:
            named.pop(message.input, None)
        files = {n: v for n, v in named.items() if n in options.media and values.has_bytes(v)}
        given = {n: v for n, v in named.items() if n not in files}
        for name, value in given.items():
            if values.has_bytes(value):
                raise OptionError(f"{name!r} takes no bytes.", names=[name])
        what = f"{self._chosen.name}: {message.name}"
        made = options.checked(given, also=[content] if content else (), what=what, form=False) | files
        limits = self._session.limits
        if content and message.input is None and made.get(content) is None:
            raise OptionError(f"The argument {content!r} is missing.", names=[content])
        if content and isinstance(text := made.get(content), str) and len(text) > limits.text:
            raise OptionError(f"The {content} has {len(text)} characters, of {limits.text}.", names=[content])
        for name in options.media & made.keys():
            if message.check and name == content:
                continue  # a stub: what it is will be looked at
            await check_media(made[name], limits, self._chosen.served.modality)
        if isinstance(voice := made.get("voice"), str):
            made["voice"] = self._voice(voice)
        return made

    def _voice(self, name: str) -> str:
        """As the binding knows it: one of the caller's own, or another name for one."""
        own = self._room.recorded.meant(self._chosen, name, self._session.caller)
        if own is not None:
            return own.id
        return self._chosen.served.voices.get(name, name)

    # -- what is told meanwhile --------------------------------------------------------------------------------------

    def _begun(self, options: dict[str, Any]) -> None:
        options = {name: value for name, value in options.items() if not isinstance(value, (bytes, Path, Incoming))}
        self._tell({"type": wire.BEGIN, "options": wire.shown(options)})

    def _warned(self, category: type[Warning], text: str) -> None:
        """Called in the engine's thread."""
        self._loop.call_soon_threadsafe(self._tell, {"type": wire.WARNING, **wire.pack_warning(category, masked(text))})

    def _tell(self, message: dict[str, Any]) -> None:
        task = asyncio.ensure_future(self._exchange.send(message))
        self._telling.add(task)
        task.add_done_callback(self._told)

    def _told(self, task: asyncio.Task[None]) -> None:
        self._telling.discard(task)
        if not task.cancelled():
            task.exception()  # there is nobody, as whoever waits for the call will be told

    def _tell_progress(self, progress: Progress) -> None:
        self._untold.put(progress)
        self._reported.set()

    async def _tell_reports(self) -> None:
        while True:
            await self._reported.wait()
            await self._report_now()

    async def _report_now(self) -> None:
        async with self._reporting:
            self._reported.clear()
            for report in self._untold.take():
                out: list[wire.Buffer] = []
                packed = values.report(report, out, self._minor)
                await self._exchange.send({"type": wire.PROGRESS, "report": packed}, out)

    async def _flush(self) -> None:
        """Before something is told, what came before it."""
        await self._report_now()
        if self._telling:
            await asyncio.wait({*self._telling})


def _named(settings: Any) -> dict[str, Any]:
    """Settings by name, of rows too."""
    rows = settings if isinstance(settings, list) else ()
    if rows and all(isinstance(row, dict) and row.keys() >= {"name", "value"} for row in rows):
        return {str(row["name"]): row["value"] for row in rows}
    if not isinstance(settings, dict):
        raise SettingsError("Settings are a dict, or rows with a name and a value.")
    return settings


def _for_clients(description: dict[str, Any], minor: int) -> dict[str, Any]:
    """What the binding's class says of itself, without what is the server's own."""
    settings = description["settings"]
    properties = {
        name: {**told, "lollms": {k: v for k, v in told.get("lollms", {}).items() if k != "env"}}
        for name, told in settings.get("properties", {}).items()
    }  # fmt: skip
    methods = description["methods"]
    return {
        **description,
        "settings": {**settings, "properties": properties},
        "verbs": {n: v for n, v in description["verbs"].items() if minor >= 1 or v["content"] != "frames"},
        "methods": {n: {**m, "controls": False} for n, m in methods.items() if n in METHODS or n.startswith("list_")},
    }


@contextmanager
def heard_warnings() -> Iterator[None]:
    """Within the block, a Python warning that an engine's call gives is told to whoever asked for it."""
    before = warnings.showwarning

    def show(message: Warning | str, category: type[Warning], *args: Any, **kwargs: Any) -> None:
        hearing = _hearing.get()
        if hearing is not None:
            hearing(category, str(message))
        else:
            before(message, category, *args, **kwargs)

    warnings.showwarning = show
    try:
        yield
    finally:
        if warnings.showwarning is show:
            warnings.showwarning = before
