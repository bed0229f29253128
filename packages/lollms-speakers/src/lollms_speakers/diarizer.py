"""Who speaks when: voice activity, a vector for each 1.6 s of speech, clusters of them, and the turns that follow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from lollms_modalities import MediaError, Turn, current_call, report_progress

from lollms_speakers.encoder import RATE, embed
from lollms_speakers.windows import SURE, Window, labels, weights, windows

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from lollms_modalities import Audio

    from lollms_speakers.clustering import Voices
    from lollms_speakers.voice_activity import Region

    Samples = npt.NDArray[np.float32]

_PART = 30 * RATE  # samples that are listened to between two looks at whether to go on
_AT_A_TIME = 64  # windows
# Root mean square to which loud recordings are made softer for the voice activity network, and soft ones of a telephone
# louder, at most so many times: it hears more of them then.
_QUIET = 0.05
_LOUDER = 20.0
_FILLED = 0.3  # seconds; a shorter pause of one speaker is no end of a turn
_NEAR = 0.8  # seconds on both sides of a change in which the moment is looked for
_FINE = 0.1  # seconds from one possible moment to the next
_HALF = 1.0  # seconds before and after it that are compared
_STAGE = "speakers"
_KNOWN = 0.8  # as alike as this is known; a recording of its own sounds a little different


class SpeakerDiarizer:
    """Tells who speaks when: a provider of the kind ``diarizer``.

    It takes speech by one person at a time; where two speak at once, one of them is told. It draws no lots: a recording
    has the same turns each time. Several threads may use it.
    """

    def diarize(self, audio: Audio, *, num_speakers: int | None, known: Mapping[str, Audio]) -> tuple[Turn, ...]:
        """The turns of all speakers, in order; a turn ends at each pause.

        Speakers are called "speaker_1", "speaker_2" and so on, in the order in which they are first heard, but for
        those of whom a recording is known.

        Args:
            audio: the recording.
            num_speakers: how many speak; None where that is to be found out.
            known: by a speaker's name, a recording of that voice alone: some seconds of speech.

        Raises:
            MediaError: a known speaker says nothing in the recording given for it.
        """
        from lollms_modalities.kit import decode_audio

        from lollms_speakers.voice_activity import is_narrow

        references = {name: _reference(name, decode_audio(of, RATE)) for name, of in known.items()}
        sound = decode_audio(audio, RATE)
        narrow = is_narrow(sound)
        found = windows(_speech(sound, narrow))
        if not found:
            return ()
        vectors = _vectors(sound, found)
        voices = _clusters(found, vectors, num_speakers, narrow)
        means = voices.means()
        said = labels(found, vectors @ (means / _lengths(means)).T)
        names = _names(said, voices, references)
        return tuple(_turns(sound, found, said, means, names))


def _speech(sound: Samples, narrow: bool) -> list[Region]:
    import numpy as np

    from lollms_speakers.voice_activity import SileroStream, regions

    stream = SileroStream(narrow)
    gain = min(_LOUDER if narrow else 1.0, _QUIET / max(_loudness(sound), 1e-6))
    heard = []
    for first in range(0, len(sound), _PART):
        current_call().check()
        heard.append(stream.feed(sound[first : first + _PART] * np.float32(gain)))
    # Silence at the end makes the last frame whole.
    heard.append(stream.feed(np.zeros(-len(sound) % 512, np.float32)))
    return regions(np.concatenate(heard), len(sound) / RATE, narrow=narrow)


def _loudness(sound: Samples) -> float:
    """The root mean square of the louder moments, those of 0.1 s that 19 of 20 are below."""
    import numpy as np

    tenth = RATE // 10
    moments = sound[: len(sound) // tenth * tenth].reshape(-1, tenth)
    if not len(moments):
        return 0.0
    return float(np.sqrt(np.percentile(np.einsum("ij,ij->i", moments, moments) / tenth, 95)))


def _vectors(sound: Samples, found: Sequence[Window], *, tell: bool = True) -> Samples:
    import numpy as np

    parts = []
    for first in range(0, len(found), _AT_A_TIME):
        some = found[first : first + _AT_A_TIME]
        parts.append(embed(sound, some))
        if tell:
            report_progress(round(some[-1].end, 1), round(len(sound) / RATE, 1), stage=_STAGE, unit="s")
        current_call().check()
    return np.concatenate(parts)


def _reference(name: str, sound: Samples) -> Voices:
    """A known voice."""
    from lollms_speakers.clustering import Voices
    from lollms_speakers.voice_activity import is_narrow

    found = windows(_speech(sound, is_narrow(sound)))
    if not found:
        raise MediaError(
            f"The recording of {name!r} holds no speech that can be heard.", hint="Give some seconds of that voice."
        )
    vectors = _vectors(sound, found, tell=False)
    return Voices.of(vectors, weights(found), range(len(found))).as_one()


def _clusters(found: Sequence[Window], vectors: Samples, count: int | None, narrow: bool) -> Voices:
    from lollms_speakers.clustering import Voices, speakers

    share = weights(found)
    sure = [n for n, window in enumerate(found) if window.length >= SURE]
    if len(sure) < (count or 1) or share[sure].sum() < share.sum() / 2:
        sure = list(range(len(found)))  # nobody speaks for long
    return speakers(Voices.of(vectors, share, sure), count, narrow=narrow)


def _lengths(means: Samples) -> Samples:
    import numpy as np

    lengths: Samples = np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-6)
    return lengths


def _names(said: Sequence[int], voices: Voices, references: Mapping[str, Voices]) -> dict[int, str]:
    """What each speaker who was heard is called: as the known voice that is most alike, or by number."""
    from lollms_speakers.clustering import together

    heard = list(dict.fromkeys(said))
    pairs = []
    for name, reference in references.items():
        alike = together([voices, reference]).alike()[-1]
        pairs += [(float(alike[n]), n, name) for n in heard]
    names: dict[int, str] = {}
    for alike, n, name in sorted(pairs, key=lambda pair: (-pair[0], pair[1])):
        if alike >= _KNOWN and n not in names and name not in names.values():
            names[n] = name
    number = 0
    for n in heard:
        while n not in names:
            number += 1
            if f"speaker_{number}" not in references:
                names[n] = f"speaker_{number}"
    return names


def _turns(
    sound: Samples, found: Sequence[Window], said: Sequence[int], means: Samples, names: Mapping[int, str]
) -> list[Turn]:
    """One for each region, and more where its speaker changes; short pauses of one speaker are filled."""
    changes = iter(_changes(sound, found, said, means))
    turns: list[Turn] = []

    def add(start: float, end: float, who: int) -> None:
        if turns and turns[-1].speaker == names[who] and start - turns[-1].end <= _FILLED:
            turns[-1] = turns[-1]._replace(end=end)
        elif end > start:
            turns.append(Turn(start, end, names[who]))

    begins = found[0].start
    for n, window in enumerate(found):
        after = found[n + 1] if n + 1 < len(found) else None
        if after is None or after.region != window.region:
            add(begins, window.end, said[n])
            begins = after.start if after is not None else 0.0
        elif said[n + 1] != said[n]:
            at = next(changes)
            add(begins, at, said[n])
            begins = at
    return turns


def _changes(sound: Samples, found: Sequence[Window], said: Sequence[int], means: Samples) -> list[float]:
    """The moments, within regions, at which one voice gives way to another: there, what goes before is most like the
    one and what follows most like the other."""
    import numpy as np

    regions: dict[int, tuple[float, float]] = {}
    for window in found:
        regions[window.region] = regions.get(window.region, window)[0], window.end
    pairs, moments = [], []
    for n, (before, after) in enumerate(pairwise(found)):
        if before.region != after.region or said[n] == said[n + 1]:
            continue
        start, end = regions[before.region]
        about = (before.middle + after.middle) / 2
        at = np.arange(max(start, about - _NEAR) + _FINE, min(end, about + _NEAR), _FINE)
        pairs.append(means[said[n]] - means[said[n + 1]])
        moments.append([(float(m), max(start, m - _HALF), min(end, m + _HALF)) for m in at] or [(about, start, end)])
    each = [moment for some in moments for moment in some]
    left = embed(sound, [Window(first, m) for m, first, _ in each])
    right = embed(sound, [Window(m, last) for m, _, last in each])
    found_at, done = [], 0
    for differs, some in zip(pairs, moments, strict=True):
        gain = (left[done : done + len(some)] - right[done : done + len(some)]) @ differs
        found_at.append(some[int(gain.argmax())][0])
        done += len(some)
    return found_at
