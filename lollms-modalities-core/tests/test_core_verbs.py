"""What is known of verbs: each has a kind."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import pytest
from lollms_modalities import (
    CONTRACT_VERSION,
    Audio,
    Image,
    LollmsSTTBinding,
    LollmsTTIBinding,
    LollmsTTMBinding,
    LollmsTTSBinding,
    LollmsTTVBinding,
    Transcript,
    verb,
)


class Paints(LollmsTTIBinding):
    def generate_image(
        self, prompt: str, negative_prompt: str = "", width: int = 512, height: int = 512, **kwargs: Any
    ) -> Image:
        return Image(b"")

    def list_services(self, **kwargs: Any) -> list[dict[str, str]]:
        return []

    @verb("Image", content="images")
    def edit_images(self, images: Any, prompt: str = "", **kwargs: Any) -> list[Image]:
        return []

    @verb("Image", content="images", kind="generates")
    def mixed(self, images: Any, **kwargs: Any) -> Image:
        return Image(b"")

    @verb("Transcript", content="images")
    def caption(self, images: Any, **kwargs: Any) -> Transcript:
        return Transcript("")

    @verb("Audio", content="audio")
    def hummed(self, audio: Any, **kwargs: Any) -> Audio:
        return Audio(b"")


def test_each_verb_has_the_kind_that_it_says_or_that_follows() -> None:
    assert {name: known.kind for name, known in Paints.verbs().items()} == {
        "generate_image": "generates",
        "edit_images": "edits",
        "mixed": "generates",
        "caption": "transcribes",
        "hummed": "edits",
    }
    assert Paints().verbs() == Paints.verbs()
    assert Paints.verbs()["edit_images"].returns == "Image"
    assert {name: told["kind"] for name, told in Paints.describe()["verbs"].items()} == {
        name: known.kind for name, known in Paints.verbs().items()
    }


def test_what_is_given_is_a_copy() -> None:
    Paints.verbs().clear()
    assert Paints.verbs()


@pytest.mark.parametrize(
    ("abc", "kinds"),
    [
        (LollmsTTSBinding, {"generate_audio": "generates", "stream_audio": "generates"}),
        (LollmsTTIBinding, {"generate_image": "generates"}),
        (LollmsSTTBinding, {"transcribe_audio": "transcribes", "stream_transcript": "transcribes"}),
        (LollmsTTMBinding, {"generate_music": "generates"}),
        (LollmsTTVBinding, {"generate_video": "generates"}),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else "",
)
def test_the_five_modalities(abc: Any, kinds: dict[str, str]) -> None:
    known = {name: known.kind for name, known in abc.verbs().items()}
    assert kinds.items() <= known.items()


def test_a_kind_that_is_none_is_refused() -> None:
    with pytest.raises(TypeError, match="generates, edits, transcribes"):
        verb("Image", kind="paints")  # type: ignore[arg-type]


def test_a_binding_says_for_which_contract_it_was_made() -> None:
    """By the first two numbers of the core that it runs on."""
    assert Paints.describe()["contract"] == CONTRACT_VERSION
    assert ".".join(version("lollms-modalities-core").split(".")[:2]) == CONTRACT_VERSION
