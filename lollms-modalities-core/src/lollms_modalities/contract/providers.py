"""What other distributions do for every binding: when each word is said, where speech is, who speaks.

A distribution names its provider in the entry-point group ``lollms_client.providers``; the entry point's name is the
kind, and what it names is called without arguments to make the provider, when one is first asked for. It is kept, and
it may be asked by several threads at once. Listing what is installed imports none.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable

from lollms_modalities.entry_points.metadata import name_of, read_entry_points
from lollms_modalities.entry_points.refs import Memory, memory
from lollms_modalities.errors import (
    BindingBrokenError,
    BindingDependencyError,
    DuplicateBindingWarning,
    LollmsError,
    UnsupportedError,
)
from lollms_modalities.version import requirement

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    import numpy as np
    import numpy.typing as npt

    from lollms_modalities.media.audio import Audio
    from lollms_modalities.media.transcript import Word

GROUP = "lollms_client.providers"


@runtime_checkable
class Aligner(Protocol):
    """Finds when each word of a known text is said."""

    def languages(self) -> tuple[str, ...]:
        """Language tags that it knows, such as "en"; a longer tag of the same language is known, too."""
        ...

    def align(self, audio: Audio, text: str, language: str | None) -> tuple[Word, ...]:
        """The words of ``text`` with their times in ``audio``; joined, their texts are the text.

        Args:
            audio: the speech.
            text: what is said in it.
            language: language tag of both; None where the asker does not know it.

        Raises:
            UnsupportedError: a language that it lacks, or a text that it cannot find in the sound.
        """
        ...


@runtime_checkable
class VoiceStream(Protocol):
    """Voice activity of one stream of sound."""

    def feed(self, samples: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """The probability of speech, from 0 to 1, of each frame of 32 ms that is whole with these samples.

        Args:
            samples: 16 kHz, mono, in [-1, 1], shape (n,). What is no whole frame waits for the next ones.
        """
        ...


@runtime_checkable
class VoiceActivity(Protocol):
    """Tells speech from what is none."""

    def stream(self) -> VoiceStream:
        """A detector for one stream."""
        ...


class Turn(NamedTuple):
    """Somebody speaks: from when to when, in seconds, and who."""

    start: float
    end: float
    speaker: str


@runtime_checkable
class Diarizer(Protocol):
    """Tells who speaks when."""

    def diarize(self, audio: Audio, *, num_speakers: int | None, known: Mapping[str, Audio]) -> tuple[Turn, ...]:
        """The turns of all speakers, in the order of their beginnings.

        Args:
            audio: the recording.
            num_speakers: how many speak; None where that is to be found out.
            known: by a speaker's name, a recording of that voice alone.
        """
        ...


_KINDS: dict[str, type] = {"aligner": Aligner, "voice_activity": VoiceActivity, "diarizer": Diarizer}
_EXTRAS = {"aligner": "align", "voice_activity": "speakers", "diarizer": "speakers"}
_WORK = {
    "aligner": "Finding when each word is said",
    "voice_activity": "Telling speech from what is none",
    "diarizer": "Telling who speaks when",
}


@dataclass(frozen=True)
class Provider:
    """A provider that was found.

    Attributes:
        kind: "aligner", "voice_activity" or "diarizer".
        object: what does the work.
        name: what its distribution calls it: the target of the entry point.
        distribution, version: where it comes from.
    """

    kind: str
    object: Any
    name: str
    distribution: str
    version: str

    def told(self) -> dict[str, str]:
        """What provenance says of it, as JSON values."""
        return {"distribution": self.distribution, "version": self.version}


_made: tuple[Memory, dict[str, Provider]] = (memory(), {})
_making = threading.RLock()  # one provider may ask for another


def provider(kind: str) -> Provider:
    """The provider of a kind: "aligner", "voice_activity" or "diarizer". It is made once in a process.

    Of several distributions the first by alphabet is taken, with a ``DuplicateBindingWarning``.

    Raises:
        UnsupportedError: none is installed.
        BindingDependencyError: what it needs is missing.
        BindingBrokenError: it fails when it is loaded, or is no such thing.
    """
    global _made
    of, known = _made
    if of is memory() and (found := known.get(kind)) is not None:
        return found
    with _making:
        if _made[0] is not memory():  # something was installed or removed
            _made = (memory(), {})
        known = _made[1]
        if (found := known.get(kind)) is None:
            found = known[kind] = _load(kind)
        return found


def has_provider(kind: str) -> bool:
    """Whether a provider of that kind is installed. Loads none."""
    return (_made[0] is memory() and kind in _made[1]) or bool(_entries(kind))


def _entries(kind: str) -> list[EntryPoint]:
    found = [entry for entry in read_entry_points(GROUP) if entry.name == kind]
    return sorted(found, key=lambda entry: (_owner(entry), entry.value))


def _owner(entry: EntryPoint) -> str:
    return (name_of(entry.dist) or "") if entry.dist is not None else ""


def _load(kind: str) -> Provider:
    expected = _KINDS.get(kind)
    if expected is None:
        raise UnsupportedError(f"There is no kind of provider {kind!r}.", hint=f"Kinds: {', '.join(_KINDS)}.")
    entries = _entries(kind)
    if not entries:
        raise UnsupportedError(
            f"{_WORK[kind]} needs a provider, and none is installed.",
            hint=f"Run lollms install {_EXTRAS[kind]} (pip install {requirement('lollms-client', _EXTRAS[kind])}).",
        )
    entry, owners = entries[0], list(dict.fromkeys(map(_owner, entries)))
    owner = owners[0]
    if len(owners) > 1:
        warnings.warn(
            DuplicateBindingWarning(
                f"The provider {kind!r} is claimed by {' and '.join(owners)}. {owner} is used; uninstall the other to "
                "end this."
            ),
            stacklevel=2,
        )
    what = f"The provider {kind!r} of {owner}"
    try:
        made = entry.load()()
    except LollmsError:
        raise
    except ModuleNotFoundError as exc:
        raise BindingDependencyError(
            f"{what} needs the module {exc.name!r}, which is not installed.", hint=f"Install {owner} again."
        ) from exc
    except Exception as exc:
        raise BindingBrokenError(
            f"{what} fails when it is loaded: {type(exc).__name__}: {exc}.", hint=f"Install {owner} again."
        ) from exc
    if not isinstance(made, expected):
        raise BindingBrokenError(
            f"{what} is {type(made).__name__}, which is no {expected.__name__}.", hint="Tell its authors."
        )
    return Provider(kind, made, entry.value, owner, entry.dist.version if entry.dist is not None else "")
