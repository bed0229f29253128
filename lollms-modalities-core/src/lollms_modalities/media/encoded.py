"""Media that are encoded and not yet where they will be: plug-ins are told of them, and may change them.

In a call that is once, at its end, when ``Call.sources`` is set: what engine code converts on the way is no result.
"""

from __future__ import annotations

import shutil
import tempfile
from contextvars import ContextVar
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Any, Self, TypeVar

from lollms_modalities import hooks
from lollms_modalities.calls.call import CURRENT
from lollms_modalities.errors import PluginRefused
from lollms_modalities.media.files import WholeFile, explained, is_through, write_whole

if TYPE_CHECKING:
    from lollms_modalities.calls.call import Call, WaitingFile
    from lollms_modalities.media.result import Provenance

_M = TypeVar("_M", bound=bytes)
_MOST = 1 << 28  # bytes of a file that an error carries
_telling: ContextVar[bool] = ContextVar("lollms_telling_of_media", default=False)


class _Encoded(bytes):
    """Bytes that are no media, and what is known of them."""

    format: str
    provenance: Provenance | None

    def __new__(cls, data: bytes, output_format: str = "", provenance: Provenance | None = None) -> Self:
        self = super().__new__(cls, data)
        self.format = output_format
        self.provenance = provenance
        return self


class StreamHead(_Encoded):
    """The first bytes of an encoded stream, with all headers of its format.

    Attributes:
        format: such as "mp3".
        provenance: how the sound is made, as far as that is known now; None where nothing is.
    """


class EncodedText(_Encoded):
    """What the file of a transcript will hold.

    Attributes:
        format: "txt", "srt", "vtt", "tsv" or "json".
        provenance: of the transcript; None where nothing is known.
    """


def told(media: _M, *, source: Any = None, target: Path | None = None) -> _M:
    """Tell the plug-ins of media that are encoded; they, or what the plug-ins want in their place.

    Args:
        media: a result.
        source: what it was converted from.
        target: the file that it will be in.

    Raises:
        PluginRefused: a plug-in wants no such result.
    """
    if not encodes() or not isinstance(media, bytes):
        return media
    call = CURRENT.get()
    if call is not None and call.active:
        if call.sources is None:
            if source is not None:
                media.__dict__["_made_of"] = source
            return media
        sources = call.sources
    else:
        call, sources = None, ()
    made_of = (source, media.__dict__.pop("_made_of", None))
    return _told(media, call, (*(each for each in made_of if each is not None), *sources), target)


def told_head(head: StreamHead, binding: Any, call: Call | None) -> bytes:
    """The same of the head of a stream."""
    return _told(head, call, (), None, binding) if encodes() else head


def encodes() -> bool:
    """Whether anybody is to be told."""
    relay = hooks.relay()
    return relay is not None and relay.encodes and not _telling.get()


def _told(media: _M, call: Call | None, sources: tuple[Any, ...], target: Path | None, binding: Any = None) -> _M:
    relay = hooks.relay()
    assert relay is not None
    binding = binding if call is None else call.binding
    token = _telling.set(True)
    try:
        made: _M = relay.result_encoded(media, _usable, binding=binding, call=call, sources=sources, target=target)
        return made
    finally:
        _telling.reset(token)


def _usable(before: Any, plugin: str, answer: Any) -> Any:
    """What a plug-in gives for media, as media of the same kind that know the same.

    Raises:
        TypeError: it is none.
    """
    if isinstance(answer, type(before)):
        return answer
    if not isinstance(answer, bytes | bytearray | memoryview):
        raise TypeError(f"{plugin!r} gave {type(answer).__name__} for {type(before).__name__}")
    made = type(before)(answer)
    made.__dict__.update({name: value for name, value in before.__dict__.items() if name != "path"})
    return made


class WrittenFile:
    """A file that was written under another name: plug-ins are told of it, then it is put in its place, or dropped.

    Args:
        whole: the file.
        target: where it will be. Is that a FIFO or a device, and ``whole`` of another place, its bytes go there.
    """

    def __init__(self, whole: WaitingFile, target: Path) -> None:
        self._whole = whole
        self._target = target

    @property
    def part(self) -> Path:
        """Where it lies."""
        return self._whole.part

    def told(self, media: Any, source: Any = None) -> Any:
        """Tell of ``media``, which this file holds; gives an object that this file holds, too."""
        if not encodes():
            return media
        try:
            made = told(media, source=source, target=self._target)
        except PluginRefused as refusal:
            if refusal.result is not None and getattr(refusal.result, "path", None) == self.part:
                refusal.result = _read(refusal.result)
            raise
        return self._holding(media, made)

    def _holding(self, media: Any, made: Any) -> Any:
        if len(made) or made.path != self.part:
            with explained(self._target), self.part.open("r+b") as file:
                file.truncate(0)
                if len(made):
                    file.write(made)
                else:
                    with made.path.open("rb") as other:
                        shutil.copyfileobj(other, file, 1 << 20)
        held = type(media)(path=self.part)
        held.__dict__.update({name: value for name, value in media.__dict__.items() if name != "path"})
        held._provenance = made._provenance
        return held

    def keep(self) -> None:
        """Put it in its place."""
        if not isinstance(self._whole, WholeFile) or self._whole.path == self._target:
            self._whole.keep()
            return
        try:
            with self.part.open("rb") as file:
                write_whole(self._target, file)
        finally:
            self._whole.drop()

    def drop(self) -> None:
        """Take it away; after ``keep`` does nothing."""
        self._whole.drop()


def place_for(target: Path) -> Path:
    """Where a ``WholeFile`` for ``target`` is to be made."""
    if is_through(target) and encodes():
        return Path(tempfile.gettempdir()) / f"lollms-{token_hex(8)}{target.suffix}"
    return target


def _read(media: Any) -> Any:
    """The same with its bytes, for an error to carry; None where they are too many."""
    if media.path.stat().st_size > _MOST:
        return None
    made = type(media)(media.path.read_bytes())
    made.__dict__.update({name: value for name, value in media.__dict__.items() if name != "path"})
    return made
