"""Videos from a prompt."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from lollms_modalities import media
from lollms_modalities.errors import LollmsError
from lollms_modalities.testing.contract import applies, contract
from lollms_modalities.testing.decoded import same_content
from lollms_modalities.testing.looks import dark, still
from lollms_modalities.testing.prompts import differing_prompts
from lollms_modalities.testing.suite import Suite


class VideoTests(Suite):
    """What goes in is a prompt, what comes out a video."""

    verb = "generate_video"
    content = "prompt"
    default_sample: ClassVar[Mapping[str, Any]] = {"prompt": "a ball that falls"}

    def variants(self) -> list[dict[str, Any]]:
        return [{"prompt": prompt} for prompt in ("a ball that falls", "a wave", "rain")]

    def check(self, result: Any) -> None:
        contract(type(result) is media.Video, "The result is a Video.", "results", type(result))
        import av

        with av.open(io.BytesIO(media.read_media(result)), mode="r") as container:
            stream = container.streams.video[0]
            rate = float(stream.average_rate or 0)
            found = (stream.width, stream.height, sum(1 for _ in container.decode(stream)))
            codec = stream.codec_context.name
        contract(
            (result.width, result.height, result.num_frames) == found and abs(result.fps - rate) < 0.1,
            "The size, frames and rate that a Video tells are those of its file.",
            "results",
            ((result.width, result.height, result.num_frames, result.fps), (*found, rate)),
        )
        contract(result.format != "mp4" or codec == "h264", "An MP4 is H.264.", "results", codec)

    @classmethod
    def other_values(cls, bound: Any, given: Mapping[str, Any]) -> dict[str, Any]:
        return {"fps": 6 if given.get("fps") != 6 else 8}

    def differing(self) -> list[list[dict[str, Any]]]:
        return differing_prompts(self.content)

    @applies(lambda suite: "num_frames" in suite.option_names())
    def test_it_has_the_frames_that_were_asked_for(self, bound: Any) -> None:
        """Give ``num_frames`` to the engine. One that knows only some is given the next, and the rest cut off."""
        for frames in (9, 17):  # 8n + 1 and 4n + 1, as most models have it
            made = self.call(bound, num_frames=frames)
            contract(
                made.num_frames == frames, "A video has the number of frames that was asked for.", "arguments",
                (frames, made.num_frames),
            )  # fmt: skip

    @applies(lambda suite: "fps" in suite.option_names())
    def test_it_has_the_rate_that_was_asked_for(self, bound: Any) -> None:
        """Give ``fps`` to ``Video.from_frames``, or whatever writes the file."""
        for fps in (6, 10):
            made = self.call(bound, fps=fps)
            contract(abs(made.fps - fps) < 0.1, "A video has the frames per second that were asked for.", "arguments",
                     (fps, made.fps))  # fmt: skip

    @applies(lambda suite: {"width", "height"} <= set(suite.option_names()))
    def test_width_is_not_height(self, bound: Any, result: Any) -> None:
        """Arrays are (height, width), most engines want ``width=`` and ``height=``: pass them by name. Refuse with an
        ``OptionError`` what the engine would round."""
        sizes = (
            (result.width, result.height * 2),
            (result.width * 2, result.height),
            (result.width + 6, result.height + 10),  # which few engines have
        )
        for width, height in sizes:
            try:
                made = self.call(bound, width=width, height=height)
            except LollmsError:
                continue  # an engine of few sizes says so
            contract(
                (made.width, made.height) == (width, height),
                "A video has the width and the height that were asked for, where they differ.",
                "arguments",
                ((width, height), (made.width, made.height)),
            )

    def test_it_shows_something_that_moves(self, result: Any) -> None:
        """Give each frame as an array of its own (``frame.copy()`` where it is written into again), uint8, to 255."""
        import av

        with av.open(io.BytesIO(media.read_media(result)), mode="r") as container:
            frames = [np.asarray(frame.to_ndarray(format="rgb24"), np.uint8) for frame in container.decode(video=0)]
        contract(not all(map(dark, frames)), "A video shows something: it is not black.", "results")
        contract(len(frames) < 2 or not still(frames), "What a video shows changes.", "results", len(frames))

    def test_its_sound_is_as_long_as_its_pictures(self, result: Any) -> None:
        """Give the sound to ``Video.from_frames(..., audio=)``, which cuts it or lets silence follow."""
        sound = result.audio
        contract(
            sound is None or abs(sound.duration - result.duration) < 0.1,
            "The sound of a Video is as long as its pictures.",
            "edits",
            (sound, result.duration),
        )

    @staticmethod
    def same(a: Any, b: Any) -> bool:
        return (a.width, a.height, a.num_frames) == (b.width, b.height, b.num_frames) and same_content(a, b)

    def test_without_a_format_it_is_mp4(self, result: Any) -> None:
        """Give frames to ``Video.from_frames``."""
        contract(result.format == "mp4", "Without output_format the video is MP4.", "results", result.format)
