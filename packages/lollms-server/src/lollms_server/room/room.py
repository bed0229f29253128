"""The whole: ``Room`` is what every surface is written against.

Its public names are stable: what surfaces use here is not renamed. All of its methods are called on the event loop on
which it was opened, and none of them blocks that.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any, TypeVar

from lollms_modalities import LollmsBinding, Progress, wire

from lollms_server.room import plugins
from lollms_server.room.asked import Asked, Limit
from lollms_server.room.callers import TERMINAL, Caller
from lollms_server.room.calling import Calling
from lollms_server.room.checking import change_settings, check_call
from lollms_server.room.configuration import Configuration
from lollms_server.room.describing import Voice, class_of, described, listed, state_of, voice_of
from lollms_server.room.door import Door
from lollms_server.room.errors import CallNotFound, Ending, NotAllowed
from lollms_server.room.keys import Key, Keys
from lollms_server.room.log import log_act, log_model
from lollms_server.room.metrics import Metrics
from lollms_server.room.models import Chosen, ServedModel
from lollms_server.room.recorded import RecordedVoices
from lollms_server.room.residency import Residency
from lollms_server.room.resident import Resident
from lollms_server.room.running import RunningCall
from lollms_server.room.serving import catalogue_of
from lollms_server.room.streaming import RoomStream
from lollms_server.room.tasks import Tasks
from lollms_server.room.usage import Usage

_T = TypeVar("_T")


class Room:
    """The engine room. Open it with ``Room.open``, inside a running event loop.

    Attributes:
        configuration: of now; ``reconfigure`` changes it.
        metrics: with their ``registry``.
        recorded: the voices that callers have registered.
        keys: of those who may ask.
    """

    def __init__(self, configuration: Configuration) -> None:
        serve = configuration.serve
        self.configuration = configuration
        self._catalogue = catalogue_of(configuration)
        self.keys = Keys(serve.keys_path())
        self._door = Door(self.keys, lambda: self.configuration.serve.open_lists)
        self._usage = Usage(serve.keys_path().with_name("usage.json"))
        self._residency = Residency(serve.max_loaded, serve.memory_limit, self._model_changed)
        self.metrics = Metrics(lambda: self._residency.residents.values())
        self.recorded = RecordedVoices(
            serve.keys_path().with_name("voices.json"), lambda c, fn: self._residency.look(self._resident(c), fn)
        )
        self._calling = Calling(self._residency, self._usage, self.metrics, self.recorded)
        self._tasks = Tasks()
        self._closed = False
        self._saver: asyncio.Task[None] | None = None

    @classmethod
    def open(cls, configuration: Configuration) -> Room:
        """Open the room. Starts nothing heavy; models with ``preload`` are loaded in the background.

        Raises:
            ConfigurationError: it says what cannot be; or the file of keys is damaged.
        """
        room = cls(configuration)
        plugins.limit(configuration, room.metrics)
        room._residency.serve(room._catalogue.served.values())
        room.keys.changed = room._keys_changed
        room._keys_changed(room.keys.all())
        room._saver = asyncio.get_running_loop().create_task(room._usage.keep_saving())
        room._residency.preload()
        return room

    # -- who asks ----------------------------------------------------------------------------------------------------

    def authenticate(
        self, presented: str | None, address: str, *, forwarded: bool = False, lists: bool = False
    ) -> Caller:
        """Who asks.

        Args:
            presented: the key that came with the request, or None.
            address: where it comes from, without the port.
            forwarded: whether it has a header ``Forwarded`` or ``X-Forwarded-...`` and is from no trusted proxy.
            lists: it asks for nothing but lists of models or voices, which may be open to all.

        Raises:
            KeyRefused: the key is unknown, or there is none where one is needed.
            ConfigurationError: the file of keys is damaged.
        """
        return self._door.enter(presented, address, forwarded=forwarded, lists=lists)

    def caller_of(self, key: str, address: str) -> Caller:
        """Who asks over a surface that has no keys, and stands for the key of that name.

        Raises:
            KeyRefused: there is no such key any more.
        """
        return self.keys.named(key, address)

    # -- what is served ----------------------------------------------------------------------------------------------

    def models(self, caller: Caller) -> list[ServedModel]:
        """The models that are for this caller."""
        return self._catalogue.models(caller)

    def find(self, name: str | None, modality: str, caller: Caller) -> Chosen:
        """The model that a name means; None or "" is the default of the modality.

        Raises:
            ModelNotServed: nothing of that name is served to this caller.
        """
        return self._catalogue.find(name, modality, caller)

    async def describe(self, chosen: Chosen, caller: Caller) -> dict[str, Any]:
        """The model as JSON values: schemas of settings and options, verbs, capabilities, settings, voices, models.

        It is no use of the model: it stays loaded no longer for it.
        """
        told = await described(self._residency, self._resident(chosen), caller)
        return told if told["voices"] is None else told | {"voices": self.recorded.others(told["voices"])}

    async def described(self, chosen: Chosen) -> tuple[dict[str, Any], wire.Origin]:
        """The binding's class as JSON values, with as many calls side by side as the model works on; whose it is."""
        return await class_of(self._residency, self._resident(chosen))

    async def look(self, chosen: Chosen, fn: Callable[[LollmsBinding], _T]) -> _T:
        """Ask the binding something that is no call. It is no use of the model."""
        return await self._residency.look(self._resident(chosen), fn)

    async def voices(self, chosen: Chosen) -> list[str]:
        """The voices that the binding lists, without those that callers have registered."""
        return self.recorded.others(await listed(self._residency, self._resident(chosen), "voice"))

    async def binding_models(self, chosen: Chosen) -> list[str]:
        """The models that the binding lists."""
        return await listed(self._residency, self._resident(chosen), "model")

    async def voice(self, chosen: Chosen, name: str) -> Voice:
        """What a voice's name means to the model: one of its own, another name for one, or one of OpenAI's. Of those
        that callers have registered ``recorded`` knows.

        Raises:
            VoiceNotFoundError: nothing.
        """
        return voice_of(await self.voices(chosen), chosen, name)

    async def set_settings(
        self, chosen: Chosen, rows: Iterable[Mapping[str, Any]] | Mapping[str, Any], caller: Caller
    ) -> None:
        """Change settings of the model, for all who use it, until the server ends.

        Raises:
            NotAllowed: the caller is no admin.
            SettingsError: an unknown name, a wrong value, or a setting of a kind that only the file says.
        """
        self._admin(caller, "set_settings", model=chosen.served.name)
        await change_settings(self._residency, self._resident(chosen), rows)

    # -- calls -------------------------------------------------------------------------------------------------------

    async def call(
        self, chosen: Chosen, caller: Caller, verb: str, *args: Any,
        progress: Callable[[Progress], object] | None = None, deadline: float | None = None,
        request_id: str | None = None, keep_alive: float | None = None, limit: Limit = "model",
        begun: Callable[[LollmsBinding], object] | None = None, **options: Any,
    ) -> Any:  # fmt: skip
        """Run a verb of the model's binding.

        Args:
            chosen: what ``find`` gave.
            caller: who asks.
            verb: such as "generate_audio".
            args, options: of the verb. A recording or an image is given as bytes, one of our media, or the ``Path`` of
                an upload; a text in its place is refused, since it came from a client.
            progress: called on the event loop with what the engine reports; of many at once with each stage's ends.
            deadline: seconds that it may take in all, waiting too; the model may allow less.
            request_id: by which it is logged, listed and cancelled; drawn where there is none.
            keep_alive: seconds that the model stays loaded after this call: less than is configured, or from an admin
                more.
            limit: in the place of the seconds that a call of the model may take; None for any time.
            begun: called with its binding when it has left the queue and that is there.

        Raises:
            QueueFull, QuotaSpent, Ending: not now; ``retry_after`` seconds later, perhaps.
            CallCancelled, CallTimeout: it was cancelled, or out of time.
            LollmsError: whatever the verb raises.
            asyncio.CancelledError: the task was cancelled; so is the call then, in the queue and in the engine.
        """
        asked = Asked(verb, args, options, False, progress, deadline, keep_alive, limit, begun)
        return await self._calling.call(chosen, caller, request_id, asked)

    def stream(
        self, chosen: Chosen, caller: Caller, verb: str, *args: Any,
        progress: Callable[[Progress], object] | None = None, deadline: float | None = None,
        request_id: str | None = None, keep_alive: float | None = None, limit: Limit = "model",
        begun: Callable[[LollmsBinding], object] | None = None, **options: Any,
    ) -> RoomStream:  # fmt: skip
        """Run a verb that gives a stream, such as "stream_audio"; arguments and errors as of ``call``.

        The call arrives when the first item is asked for. Closing the stream (``aclose``, or ``async with``) cancels
        it, in the queue and in the engine. The engine works on a step while somebody waits; on quick ones a few ahead.
        """
        asked = Asked(verb, args, options, True, progress, deadline, keep_alive, limit, begun)
        return RoomStream(lambda stream: self._calling.items(stream, chosen, caller, request_id, asked))

    async def check(self, chosen: Chosen, caller: Caller, verb: str, *args: Any, **options: Any) -> None:
        """Raise what a call with these arguments would raise at once. Runs nothing, and is no use of the model."""
        await check_call(self._residency, chosen, caller, self.recorded, verb, args, options)

    def calls(self, caller: Caller) -> list[RunningCall]:
        """The calls under way: the caller's own, or all for an admin."""
        return [call for call in self._calling.calls.values() if caller.is_admin or call.caller.who == caller.who]

    def cancel(self, call_id: str, caller: Caller) -> None:
        """Cancel a call, in the queue or in the engine.

        Raises:
            CallNotFound: there is none of that id, or it is another's.
        """
        call = self._calling.calls.get(call_id)
        if call is None or not (caller.is_admin or call.caller.who == caller.who):
            raise CallNotFound(f"There is no call {call_id!r:.80} under way.")
        if call.caller.who != caller.who:
            log_act(caller.who, "cancel", call=call.id)
        self._calling.stop(call, "it was asked for")

    # -- what is loaded ----------------------------------------------------------------------------------------------

    async def load(self, chosen: Chosen, caller: Caller) -> None:
        """Load the model now, where there is room or can be made.

        Raises:
            NotAllowed: the caller is no admin.
            LollmsError: it cannot be loaded.
        """
        self._admin(caller, "load", model=chosen.served.name)
        await self._residency.load(await self._residency.of(chosen))

    async def unload(self, chosen: Chosen, caller: Caller) -> bool:
        """Unload the model; False where it is at work, which it stays.

        Raises:
            NotAllowed: the caller is no admin.
        """
        self._admin(caller, "unload", model=chosen.served.name)
        return await self._residency.unload(await self._residency.of(chosen), "unloaded by an admin")

    # -- seen from outside -------------------------------------------------------------------------------------------

    def health(self) -> dict[str, Any]:
        """That the server runs: for a check that restarts it if it does not."""
        return {"status": "ending" if self._calling.ending else "ok"}

    def ready(self) -> bool:
        """Whether it takes calls: what is to be preloaded is loaded, or could not be, and it is not ending."""
        return not self._calling.ending and not self._residency.preloading

    def state(self, caller: Caller) -> list[dict[str, Any]]:
        """The served models as they are now: loaded, queue, memory."""
        residents = self._residency.residents.values()
        return [state_of(r, caller) for r in residents if caller.allowed(r.served.name.partition("/")[0])]

    @property
    def ending(self) -> bool:
        """Whether it takes no more calls."""
        return self._calling.ending

    def at_once(self, name: str, modality: str) -> int:
        """How many calls a model works on side by side; 0 where it is not served."""
        served = self._catalogue.served.get((modality, name.partition("/")[0]))
        return 0 if served is None else self._residency.at_once(served)

    # -- change and end ----------------------------------------------------------------------------------------------

    def reconfigure(self, configuration: Configuration) -> None:
        """Serve by another configuration from now on. Calls under way, and those that wait, are not touched.

        A model that is served otherwise than before is a new one; the old ends with its last call.

        Raises:
            ConfigurationError: it says what cannot be; then all stays as it is.
        """
        catalogue = catalogue_of(configuration)
        self._residency.serve(catalogue.served.values())
        self._residency.max_loaded = configuration.serve.max_loaded
        self._residency.memory_limit = configuration.serve.memory_limit
        self._catalogue, self.configuration = catalogue, configuration
        plugins.limit(configuration, self.metrics)
        self._residency.preload()

    async def close(self, grace: float | None = None) -> None:
        """End: calls that come are refused, those under way get ``grace`` seconds, then they are cancelled.

        Args:
            grace: seconds; None for what is configured.
        """
        if self._closed:
            return
        self._calling.ending = True
        with suppress(TimeoutError):
            await asyncio.wait_for(
                self._calling.idle.wait(), self.configuration.serve.grace if grace is None else grace
            )
        if self._closed:
            return
        self._closed = True
        for call in list(self._calling.calls.values()):
            self._calling.stop(call, "the server ends")
        self._tasks.cancel()
        await self._residency.close()
        self._calling.close()
        if self._saver is not None:
            self._saver.cancel()
        await asyncio.to_thread(self._usage.save)
        plugins.unlimited()

    # -- inside ------------------------------------------------------------------------------------------------------

    def _keys_changed(self, keys: Iterable[Key]) -> None:
        if self.recorded.disown(keys):
            self._tasks.start(self.recorded.remove_orphans(lambda model: self.find(model, "tts", TERMINAL)))

    def _resident(self, chosen: Chosen) -> Resident:
        resident = self._residency.residents.get(chosen.served.key)
        if resident is None:
            raise Ending(f"{chosen.name} is no longer served here.", hint="Ask which models are.", retry_after=1.0)
        return resident

    def _admin(self, caller: Caller, act: str, **facts: Any) -> None:
        log_act(caller.who, act, allowed=caller.is_admin, **facts)
        if not caller.is_admin:
            raise NotAllowed(
                f"{act} is for admins.",
                hint="Use a key that was made with --role admin, or lollms serve at the terminal.",
            )

    def _model_changed(self, served: ServedModel, what: str) -> None:
        log_model(served, what)
        self.metrics.model(served, what)
