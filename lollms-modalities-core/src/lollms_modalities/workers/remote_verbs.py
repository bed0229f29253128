"""How a verb is run in a worker: whole, or item by item."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from lollms_modalities.calls import sweeping, threads
from lollms_modalities.calls.call import CURRENT, Call
from lollms_modalities.contract.running import not_an_end
from lollms_modalities.media.encoded import WrittenFile
from lollms_modalities.media.files import move_whole, part_folder
from lollms_modalities.workers import protocol
from lollms_modalities.workers.feeding import Feeding
from lollms_modalities.workers.request import Request
from lollms_modalities.workers.values import unpack

if TYPE_CHECKING:
    from lollms_modalities.workers.isolated import IsolatedBinding
    from lollms_modalities.workers.protocol import Buffer, Json


_PATIENCE = 0.05  # seconds that whoever closes a stream waits for its engine


class _Folder:
    """A file that a worker writes in a folder of its own, of which nothing is left where the worker dies."""

    def __init__(self, written: Path, target: Path) -> None:
        self.part = written
        self._target = target
        self._folder = ExitStack()
        self._folder.enter_context(part_folder(written.parent))

    def keep(self) -> None:
        move_whole(self.part, self._target)
        self.drop()

    def drop(self) -> None:
        self._folder.close()


def run_whole(binding: IsolatedBinding, request: tuple[Json, list[Buffer]]) -> Any:
    call = CURRENT.get()
    assert call is not None
    workers = binding._workers
    message, out = request
    # Where the worker writes it; nowhere if its files are not ours.
    written = message["arguments"].get("output_path", {}).get("path") if call.output_path is not None else None
    if written is not None:
        assert call.output_path is not None
        call.parts = (*call.parts, WrittenFile(_Folder(Path(written), call.output_path), call.output_path))
    worker = workers.take(call)
    try:
        message, payloads = Request(worker, call, message, out, grace=workers.spec.policy.grace).result()
        result = unpack(message["value"], payloads)
    finally:
        try:
            workers.give(worker, call)
        except BaseException:  # Ctrl-C
            workers.give(worker, call)
            raise
    if call.output_path is not None:
        call.check()  # a call that was stopped leaves no file
    if written is not None:
        for made in result if isinstance(result, list) else [result]:
            made.path = Path(written)
    return result


class Items(Iterator[Any]):
    """The items of a stream. No generator, which the garbage collector would end in the middle of whatever it
    interrupts: a stream that nobody has is closed by ``Stream``."""

    _request: Request | None = None

    def __init__(self, binding: IsolatedBinding, request: tuple[Any, ...]) -> None:
        call = self._call = cast(Call, CURRENT.get())
        self._workers = binding._workers
        self._worker = self._workers.take(call)
        try:
            message, out, *feeding = request
            self._feeding: Feeding | None = feeding[0] if feeding else None
            if self._feeding is not None:
                self._feeding.prepare(call)
            self._request = Request(self._worker, call, message, out, grace=self._workers.spec.policy.grace)
            if self._feeding is not None:
                self._feeding.begin(self._request.exchange)
        except BaseException:
            if self._request is not None:
                self.close()  # the worker has begun, and would wait for what nobody sends
            else:
                self._workers.give(self._worker, call)
            raise

    def __next__(self) -> Any:
        if self._request is None:
            raise StopIteration
        try:
            message, payloads = self._request.next()
            if message["type"] == protocol.ITEM:
                return unpack(message["value"], payloads)
        except BaseException as exc:
            self.close()
            if self._feeding is not None:
                self._feeding.check(self._call)
            if (error := not_an_end(self._call, exc)) is not exc:
                raise error from exc
            raise
        self.close()
        if self._feeding is not None:
            self._feeding.check(self._call)
        raise StopIteration

    def close(self) -> None:
        """End it. An engine that does not listen is waited for elsewhere: whoever cancels must not be held up."""
        request = self._request
        if request is None:
            return
        if self._feeding is not None:
            self._feeding.close()
        if request.ended:
            self._workers.give(self._worker, self._call)
            self._request = None
            return
        stopped = threading.Event()

        def stop() -> None:
            try:
                request.stop("its stream was closed")
            finally:
                self._workers.give(self._worker, self._call)
                stopped.set()

        try:
            threads.start(stop)
        except RuntimeError:  # the interpreter ends, and starts no threads any more
            stop()
        self._request = None  # now that this is in good hands
        stopped.wait(_PATIENCE)  # mostly it has listened by then, and its worker is free again

    def __del__(self) -> None:
        if self._request is not None and not sys.is_finalizing():  # its ``close`` was interrupted
            sweeping.soon(self.close)
