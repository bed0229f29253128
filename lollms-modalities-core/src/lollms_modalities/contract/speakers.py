"""Who says what, in a call that asked for it: a registered provider listens, and the words are shared out.

It is done where the text arrives, so that an engine in another process needs no provider there. The whole recording is
listened to, once: a stream's segments are held until its end.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from lollms_modalities.contract.attribution import spoken_by
from lollms_modalities.contract.providers import Provider, Turn, provider
from lollms_modalities.errors import OptionError, UnsupportedError
from lollms_modalities.media.input import MediaInput, check_media
from lollms_modalities.settings.base import CallOptions
from lollms_modalities.settings.checking import validate
from lollms_modalities.settings.fields import Diarize, NumSpeakers

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from lollms_modalities.calls.call import Call
    from lollms_modalities.media.audio import Audio
    from lollms_modalities.media.said import Segment
    from lollms_modalities.media.transcript import Transcript

_RATE = 16000  # samples per second that say enough of a voice
_FINEST = ("none", "segment", "word")


class SpeakerOptions(CallOptions):
    """Options of every verb that transcribes, unless the engine itself knows of speakers."""

    diarize: Diarize = False
    num_speakers: NumSpeakers = None
    known_speakers: Annotated[
        dict[Annotated[str, Field(min_length=1, max_length=200)], MediaInput],
        Field(description="By a speaker's name, a recording of that voice alone."),
    ] = {}  # noqa: RUF012  # pydantic copies it


NAMES = tuple(SpeakerOptions.model_fields)


def speakers_of(
    binding: str, content: Any, arguments: MutableMapping[str, Any], given: Mapping[str, Any], times: Sequence[str]
) -> Speakers | None:
    """What is to be done to what is heard; None where nothing is. The engine is asked for the times of words.

    Args:
        binding: its name.
        content: the recording.
        arguments: those of the engine code; its "timestamps" becomes the finest.
        given: the options in question.
        times: how fine it can be told to make its times: "segment", "word"; empty where it cannot be told.

    Raises:
        OptionError: a wrong value, or one that says nothing without another.
        UnsupportedError: no provider is installed, or it cannot be done with what is heard bit by bit.
    """
    if "diarize" in arguments:
        raise UnsupportedError(
            f"{binding}: its engine tells speakers apart itself, and knows no {' and no '.join(given)}.",
            hint="Leave it out.",
        )
    options = validate(SpeakerOptions, {n: v for n, v in given.items() if v is not None}, OptionError, binding)
    said = [name for name in NAMES[1:] if getattr(options, name)]
    if not options.diarize:
        if said:
            raise OptionError(
                f"option {said[0]!r} of {binding} says nothing without diarize=True.",
                hint=f"Add diarize=True, or leave {said[0]} out.",
                names=said,
            )
        return None
    if not isinstance(content, (str, Path, bytes, bytearray, memoryview)):
        raise UnsupportedError(
            "diarize=True: who speaks is told of a whole recording, not of one that is still being made.",
            hint="Keep the sound, and transcribe it when it is whole.",
        )
    found = provider("diarizer")
    asked = str(arguments.get("timestamps") or "segment")
    if times:
        arguments["timestamps"] = "word" if "word" in times else "segment"
    return Speakers(content, options, asked, found, arguments.get("track"))


class Speakers:
    """What a call that asked for speakers does with the text that arrives.

    Args:
        content: the recording, as a path or bytes.
        options: what was asked for.
        asked: "none", "segment" or "word": the times that the caller wants.
        diarizer: who does it.
        track: which sound track of the recording, or None.
    """

    def __init__(
        self, content: Any, options: SpeakerOptions, asked: str, diarizer: Provider, track: int | None
    ) -> None:
        self._content = check_media(content, role="audio")
        self._known = {name: check_media(of, role="recording") for name, of in options.known_speakers.items()}
        self._options = options
        self._asked = asked if asked in _FINEST else "segment"
        self._diarizer = diarizer
        self._track = track
        self._sound: Audio | None = None
        self._held: list[Segment] = []

    def heard(self, source: Path | bytes, samples: npt.NDArray[np.float32], rate: int) -> None:
        """The engine code has decoded that recording: it need not be done again."""
        same = source is self._content or (isinstance(source, Path) and source == self._content)
        if same and rate >= _RATE:
            from lollms_modalities.media.audio import Audio

            self._sound = Audio.from_samples(samples, rate)

    def whole(self, call: Call, transcript: Transcript) -> Transcript:
        """The transcript with a speaker for each segment and word; a segment with several is cut between words."""
        made = copy(transcript)  # a plug-in may give it again to whoever asked for no speakers
        made.segments = tuple(self._told_apart(call, transcript.as_segments()))
        return made

    def item(self, call: Call, segment: Segment) -> list[Segment]:
        """Nothing: who speaks is known at the end."""
        self._held.append(segment)
        return []

    def rest(self, call: Call) -> list[Segment]:
        """All segments."""
        held, self._held = self._held, []
        return self._told_apart(call, held) if held else []

    def told(self) -> dict[str, Any]:
        """The options that it is for; of known speakers their names."""
        told: dict[str, Any] = {"diarize": True, "timestamps": self._asked}
        if self._options.num_speakers is not None:
            told["num_speakers"] = self._options.num_speakers
        return told | ({"known_speakers": list(self._known)} if self._known else {})

    def _told_apart(self, call: Call, segments: Sequence[Segment]) -> list[Segment]:
        turns = self._turns(call) if segments else ()
        speakers = list(dict.fromkeys(turn.speaker for turn in turns))
        by_words = all(segment.words for segment in segments)
        told = {"by": self._diarizer.distribution, "version": self._diarizer.version, "found": speakers}
        call.record(extra={"speakers": told | {"cut_at": "words" if by_words else "segments"}})
        parts = [part for segment in segments for part in spoken_by(segment, turns)]
        if self._asked == "word":
            return parts
        return [replace(part, words=()) if part.words else part for part in parts]

    def _turns(self, call: Call) -> tuple[Turn, ...]:
        from lollms_modalities.media.audio import Audio
        from lollms_modalities.media.sound import decode_audio

        sound, self._sound = self._sound, None
        if sound is None:
            sound = Audio.from_samples(decode_audio(self._content, _RATE, track=self._track), _RATE)
        known = {name: Audio(path=of) if isinstance(of, Path) else Audio(of) for name, of in self._known.items()}
        turns: Iterable[Turn] = self._diarizer.object.diarize(
            sound, num_speakers=self._options.num_speakers, known=known
        )
        call.check()
        return tuple(sorted(turns))
