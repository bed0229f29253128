"""Speech written down while it is being said, with an engine that takes recordings: utterance by utterance.

While somebody speaks, what was said so far is transcribed again and again, each time in the place of the time before;
after a pause it is final. An utterance that is long is cut, so that no work is done over and over.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from time import monotonic
from typing import TYPE_CHECKING, Any

from lollms_modalities.calls.call import Call, current_call
from lollms_modalities.contract.utterances import RATE, Utterance, Utterances
from lollms_modalities.contract.voices import voice_detector
from lollms_modalities.media.transcript import Segment, Transcript

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from lollms_modalities.contract.frames import Frames
    from lollms_modalities.contract.stt import LollmsSTTBinding
    from lollms_modalities.media.audio import Audio
    from lollms_modalities.media.chunk import AudioChunk
    from lollms_modalities.media.mixing import Fitted

_FIRST = 0.35  # seconds of speech, before which nothing is shown
_EVERY = 0.5  # seconds of sound between two looks at one utterance
_SOON = 0.15  # the same as long as the engine has made nothing of it
_STALL = 0.3  # seconds without sound, after which what was heard is shown
_DEBT = 10.0  # seconds of the engine's time that are remembered at most


class Listening:
    """One live transcription: ``segments`` gives what is said, as it is known.

    Args:
        binding: whose ``transcribe_audio`` hears the utterances.
        arguments: what that is given besides the sound.
    """

    def __init__(self, binding: LollmsSTTBinding, frames: Frames, arguments: Mapping[str, Any]) -> None:
        self._binding = binding
        self._frames = frames
        self._arguments = arguments
        self._call = current_call()
        stream, told = voice_detector(binding.voice_activity())
        self._told: dict[str, Any] = {"voice_activity": told}
        self._call.record(extra={"live": self._told})
        self._utterances = Utterances(stream)
        self._kind: tuple[int, int] | None = None
        self._fitted: Fitted | None = None
        self._heard = 0.0  # seconds
        self._debt = 0.0  # seconds of sound that have to pass until the engine has earned another look
        self._due = 0.0  # seconds at which the next look at the utterance is due
        self._last: _Look | None = None
        self._partials = self._dropped = 0

    def segments(self) -> Iterator[Segment]:
        """Partial ones and final ones; the last of an ``id`` is final."""
        while True:
            looking = self._wants_look()
            piece = self._frames.take(0.0 if looking else _STALL if self._has_news() else None)
            if piece is not None:
                for utterance in self._hear(piece):
                    yield from self._final(utterance)
                self._call.report(self._heard, unit="s")
            elif self._frames.ended:
                break
            elif looking or self._has_news():
                yield from self._partial(self._utterances.now())
        for utterance in [*self._utterances.hear(self._end_of_kind()), *self._utterances.finish()]:
            yield from self._final(utterance)
        self._told |= {"seconds": round(self._heard, 3), "partials": self._partials, "dropped": self._dropped}

    # -- sound -------------------------------------------------------------------------------------------------------

    def _hear(self, piece: AudioChunk) -> Iterator[Utterance]:
        import numpy as np

        kind = (piece.sample_rate, piece.channels)
        if kind != self._kind:
            yield from self._utterances.hear(self._end_of_kind())
            from lollms_modalities.media.mixing import Fitted

            self._kind, self._fitted = kind, Fitted(kind, RATE, 1)
        assert self._fitted is not None
        floats = piece.samples.astype(np.float32).reshape(-1, piece.channels) / np.float32(32768)
        self._heard += piece.duration
        self._debt = max(0.0, self._debt - piece.duration)
        yield from self._utterances.hear(self._fitted.add(floats)[:, 0])

    def _end_of_kind(self) -> npt.NDArray[np.float32]:
        """What a resampler still holds."""
        import numpy as np

        if self._fitted is None or self._kind is None:
            return np.zeros(0, np.float32)
        fitted, self._fitted = self._fitted, None
        return fitted.add(np.zeros((0, self._kind[1]), np.float32), last=True)[:, 0]

    # -- looks -------------------------------------------------------------------------------------------------------

    def _has_news(self) -> bool:
        """Whether more was said than has been looked at."""
        spoken = self._utterances.spoken
        return spoken >= _FIRST and (self._last is None or spoken > self._last.spoken)

    def _wants_look(self) -> bool:
        """Whether what is being said should be looked at now; where the engine has no time for it, it is left out."""
        due = self._heard >= self._due
        if not self._has_news() or not (due or self._utterances.pausing):
            return False
        # All sound that came has been heard by now, so that the first look at an utterance is never too late.
        late = self._last is not None and self._debt > 0
        if late and due:
            self._dropped += 1
            self._due = self._heard + _EVERY
        return not late

    def _partial(self, utterance: Utterance) -> Iterator[Segment]:
        look = self._look(utterance, weight=1.0 if utterance.pausing or self._last is None else 2.0)
        before, self._last = self._last, look
        self._due = self._heard + (_EVERY if look.text else _SOON)
        if look.text and (before is None or look.text != before.text):
            self._partials += 1
            yield look.segment(final=False)
        elif before is not None and before.shown:
            look.shown = True

    def _final(self, utterance: Utterance) -> Iterator[Segment]:
        """What was said in all; where nothing was said since the last look, that is it."""
        last, self._last = self._last, None
        look = last if last is not None and last.utterance.end == utterance.end else self._look(utterance, weight=1.0)
        if look.text or (last is not None and last.shown):
            yield look.segment(final=True)
        self._due = 0.0

    def _look(self, utterance: Utterance, weight: float) -> _Look:
        """Have the engine hear it. What that takes has to be made up for: half of the time is for final ones."""
        from lollms_modalities.media.audio import Audio
        from lollms_modalities.media.samples import to_int16

        audio = Audio.from_pcm(to_int16(utterance.samples).tobytes(), RATE)
        began = monotonic()
        transcript = self._transcribed(audio)
        self._debt = min(_DEBT, self._debt + weight * (monotonic() - began))
        return _Look(utterance, transcript)

    def _transcribed(self, audio: Audio) -> Transcript:
        """As ``transcribe_audio`` gives it. It reports to nobody: the call's progress is that of the listening."""
        binding, outer = self._binding, self._call
        call = Call("transcribe_audio", binding, outer.options, outer)
        call.begin()
        try:
            with call.attach():
                result: Any = binding.transcribe_audio(audio, **self._arguments)  # raw, from inside a call
                call.check()
                if not isinstance(result, Transcript):
                    result = Transcript(str(result))
                written: Transcript = binding._tidy(call, audio, result)
        finally:
            call.run_ends()
            call.finish()
        if call.recorded:
            outer.record(**{**call.recorded, "usage": _sum(outer.recorded, call.recorded)})
        return written


class _Look:
    """What the engine made of an utterance, or of what was said of it so far."""

    def __init__(self, utterance: Utterance, transcript: Transcript) -> None:
        self.utterance = utterance
        self.transcript = transcript
        self.text = str(transcript).strip()
        self.spoken = utterance.end - utterance.start
        self.shown = False

    def segment(self, *, final: bool) -> Segment:
        self.shown = True
        found, heard = self.transcript.segments, self.utterance
        words = [replace(w, start=w.start + heard.offset, end=w.end + heard.offset) for s in found for w in s.words]
        return Segment(
            self.text,
            min([heard.start, *(w.start for w in words)]),
            max([heard.end, *(w.end for w in words)]),
            words=tuple(words),
            probability=_mean(found),
            language=self.transcript.language,
            extra=found[0].extra if len(found) == 1 else {},
            final=final,
            id=str(heard.number),
        )


def _mean(segments: Sequence[Segment]) -> float | None:
    """The probability of all, each for as long as it is."""
    known = [(s.probability, max(s.end - s.start, 0.001)) for s in segments if s.probability is not None]
    return sum(p * d for p, d in known) / sum(d for _, d in known) if known and len(known) == len(segments) else None


def _sum(before: Mapping[str, Any] | None, now: Mapping[str, Any]) -> dict[str, Any]:
    """What has been used in all, where it is numbers."""
    used: dict[str, Any] = dict((before or {}).get("usage", {}))
    for name, value in now.get("usage", {}).items():
        held = used.get(name)
        numbers = isinstance(value, (int, float)) and isinstance(held, (int, float))
        used[name] = held + value if numbers else value
    return used
