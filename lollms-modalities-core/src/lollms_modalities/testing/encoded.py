"""Speech as the bytes of a sound file, while it is being made."""

from __future__ import annotations

import asyncio
from typing import Any

from lollms_modalities import media
from lollms_modalities.calls.cancelling import CancelToken
from lollms_modalities.errors import CallCancelled, OptionError
from lollms_modalities.testing.contract import applies, contract, crosses, raises
from lollms_modalities.testing.stopwatch import Stopwatch
from lollms_modalities.testing.suite import Suite


class EncodedTests(Suite):
    """For ``stream_encoded``, which every binding of speech has."""

    def encoded(self, binding: Any, output_format: str, **more: Any) -> Any:
        """Begin a stream of the sample."""
        return binding.stream_encoded(output_format=output_format, **self.arguments(**more))

    @crosses
    def test_an_encoded_stream_decodes_to_the_whole(self, bound: Any, result: Any) -> None:
        """Give the parts of ``stream_audio`` one rate and one number of channels: they are encoded as they come."""
        whole = result.to_numpy()
        for name in ("wav", "pcm", "mp3"):
            stream = self.encoded(bound, name)
            parts = list(stream)
            contract(
                parts and all(type(part) is bytes and part for part in parts),
                "An encoded stream gives bytes, and never none.",
                "streams",
                [type(part) for part in parts[:3]],
            )
            data = b"".join(parts)
            if name == "pcm":
                data = media.wav_header(stream.sample_rate, stream.channels, len(data)) + data
            sound = media.Audio(data)
            contract(
                (stream.sample_rate, stream.channels) == (sound.sample_rate, sound.channels),
                "An encoded stream tells the rate and channels of its sound once there are bytes.",
                "streams",
                (stream.sample_rate, stream.channels),
            )
            if name == "mp3":  # without a header that tells of it, what its frames begin and end with is heard
                contract(
                    abs(sound.duration - result.duration) < 3 * 1152 / sound.sample_rate + 0.05,
                    "An encoded stream is as long as the whole.",
                    "streams",
                    (sound.duration, result.duration),
                )
            else:
                contract(
                    sound.to_numpy().tobytes() == whole.tobytes(),
                    f"An encoded stream in {name} decodes to the whole, sample for sample.",
                    "streams",
                )
            contract(stream.provenance is not None, "A stream that has ended has its provenance.", "streams")

    def test_a_format_that_cannot_be_streamed_is_refused(self, bound: Any) -> None:
        """Leave ``stream_encoded`` to the core."""
        sentence = "A format that cannot be streamed is an OptionError that names those which can."
        with raises(OptionError, sentence, "streams") as caught:
            self.encoded(bound, "no-such-format")
        contract("mp3" in str(caught[0]), sentence, "streams", str(caught[0]))

    @applies(lambda suite: suite.capabilities().streaming)
    def test_the_first_bytes_come_before_the_whole_is_done(self, bound: Any) -> None:
        """Yield each part in ``stream_audio`` when it is made; or do not declare ``streaming``."""
        chunks: list[Any] = []

        def tell(progress: Any) -> None:
            chunks.append(progress)

        with self.encoded(bound, "wav", **self.long(progress=tell)) as stream:
            next(stream)
            before = len(chunks)
            for _ in stream:
                if len(chunks) > before:
                    break  # the rest would show nothing more
        contract(
            len(chunks) > before,
            "A binding that declares streaming gives its first bytes before the whole is done.",
            "streams",
            (before, len(chunks)),
        )

    def test_an_encoded_stream_closed_early_frees_everything(self, bound: Any) -> None:
        """Free in ``finally`` what ``stream_audio`` holds; a generator is closed at its ``yield``."""
        with self.encoded(bound, "mp3", **self.long()) as stream:
            next(stream)
        self.check(self.brief(bound, timeout=120))
        contract(list(stream) == [], "A stream that was closed gives nothing more.", "streams")

    @crosses
    def test_an_encoded_stream_stops_when_it_is_told_to(self, bound: Any) -> None:
        """Call ``report_progress`` or ``current_call().check()`` between the parts of ``stream_audio``."""
        token = CancelToken()
        stream = self.encoded(bound, "wav", **self.long(cancel=token))
        next(stream)
        watch = Stopwatch()
        token.cancel()
        with watch, raises(CallCancelled, "An encoded stream that is cancelled raises CallCancelled.", "streams"):
            for _ in stream:
                pass
        taken = watch.seconds()
        contract(
            taken <= self.stop_within,
            f"A stream that is cancelled stops within {self.stop_within} s.",
            "streams",
            f"{taken:.1f} s",
        )
        self.check(self.brief(bound))

    def test_the_twin_of_the_encoded_stream(self, bound: Any, result: Any) -> None:
        """Leave the awaitable twins to the core."""

        async def main() -> bytes:
            stream = bound.astream_encoded(output_format="wav", **self.arguments())
            return b"".join([part async for part in stream])

        contract(
            media.Audio(asyncio.run(main())).to_numpy().tobytes() == result.to_numpy().tobytes(),
            "The awaitable twin of an encoded stream gives the same sound.",
            "streams",
        )
