"""The plug-in on bindings: whatever they give is marked once, says nothing private, and what cannot be marked is told."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from lollms_marks import Report, put, verify
from lollms_marks.making import base_name
from lollms_marks.mark import COMPOSITE, GENERATED, Mark
from lollms_marks.plugin import Marks
from lollms_marks.settings import Settings
from lollms_modalities import (
    Audio,
    AudioChunk,
    Image,
    LollmsTTIBindingManager,
    LollmsTTSBindingManager,
    LollmsTTVBindingManager,
    PluginRefused,
    Video,
    hookimpl,
    hooks,
    verb,
)
from marked_bindings import Draws, Odd, Speaks, gif
from marked_files import file_of


@contextmanager
def marking(**settings: Any) -> Iterator[Marks]:
    plugin = Marks(settings)
    hooks.register(plugin)
    try:
        yield plugin
    finally:
        hooks.unregister(plugin)


def looked_at(data: Any, folder: Path) -> Report:
    path = folder / "looked-at"
    path.write_bytes(data)
    return verify(path)


def mark_of(data: Any, folder: Path) -> Mark:
    report = looked_at(data, folder)
    assert (report.status, report.generated) == ("whole", True)
    assert [finding.technique for finding in report.findings] == ["lollms"]
    return Mark.from_json(report.findings[0].details)


@pytest.fixture
def marks() -> Iterator[Marks]:
    with marking(producer="Example Ltd") as plugin:
        yield plugin


def test_every_way_to_a_result(marks: Marks, tmp_path: Path) -> None:
    speech = Speaks()
    whole = speech.generate_audio("hi")
    mark = mark_of(whole, tmp_path)
    assert mark.source_type == GENERATED
    assert mark.engine.startswith("pluggy 1.")
    assert (mark.model, mark.producer) == ("joe.onnx", "Example Ltd")
    assert whole.provenance is not None
    assert whole.provenance.extra["marks"] == {"source_type": GENERATED, "id": mark.id, "plain": True}
    for name in ("wav", "mp3", "flac", "ogg", "opus", "aac"):
        assert mark_of(speech.generate_audio("hi", output_format=name), tmp_path).engine == mark.engine
        made = speech.generate_audio("hi", output_path=tmp_path / f"x.{name}")
        assert made.provenance is not None
        assert mark_of((tmp_path / f"x.{name}").read_bytes(), tmp_path).id == made.provenance.extra["marks"]["id"]
        streamed = b"".join(speech.stream_encoded("hi", output_format=name))
        assert mark_of(streamed, tmp_path).engine == mark.engine
        assert Audio(streamed).duration == pytest.approx(1.5, abs=0.3)
    assert mark_of(Audio.from_chunks(speech.stream_audio("hi")), tmp_path).engine == mark.engine
    assert mark_of(asyncio.run(speech.agenerate_audio("hi")), tmp_path).engine == mark.engine  # type: ignore[attr-defined]
    assert looked_at(b"".join(speech.stream_encoded("hi", output_format="pcm")), tmp_path).status == "none"


def test_isolated(marks: Marks, tmp_path: Path) -> None:
    with LollmsTTSBindingManager().require_binding("example", isolated=True) as tts:
        mark = mark_of(tts.generate_audio("hi"), tmp_path)
        assert mark.distribution.startswith("lollms-examples 2.")
        tts.generate_audio("hi", output_path=tmp_path / "x.flac")
        assert mark_of((tmp_path / "x.flac").read_bytes(), tmp_path).distribution == mark.distribution
        streamed = mark_of(b"".join(tts.stream_encoded("hi", output_format="mp3")), tmp_path)
        assert streamed.distribution == mark.distribution
        assert mark_of(Audio.from_chunks(tts.stream_audio("hi")), tmp_path).distribution == mark.distribution
    with LollmsTTIBindingManager().require_binding("example", isolated=True) as tti:
        drawn = tti.generate_image("a disc", width=32, height=32)
        assert mark_of(tti.edit_image(drawn, "redder"), tmp_path).inputs == (mark_of(drawn, tmp_path).id,)
    with LollmsTTVBindingManager().require_binding("example", isolated=True) as ttv:
        assert (
            mark_of(ttv.generate_video("a ball", num_frames=8, width=32, height=32), tmp_path).source_type == GENERATED
        )


def test_a_mark_is_carried_on_and_never_doubled(marks: Marks, tmp_path: Path) -> None:
    made = Speaks().generate_audio("hi", output_format="flac")
    first = mark_of(made, tmp_path)
    made.save(tmp_path / "same.flac")
    assert (tmp_path / "same.flac").read_bytes() == made
    assert mark_of(made.convert("mp3"), tmp_path) == first
    made.save(tmp_path / "x.ogg")
    assert mark_of((tmp_path / "x.ogg").read_bytes(), tmp_path) == first
    Audio(path=tmp_path / "x.ogg").save(tmp_path / "y.wav")
    assert mark_of((tmp_path / "y.wav").read_bytes(), tmp_path) == first, "also of files that nobody here made"
    assert made.to_numpy().tobytes() == Audio(path=tmp_path / "same.flac").to_numpy().tobytes()


def test_a_recording_of_one_s_own_is_not_marked(marks: Marks, tmp_path: Path) -> None:
    mine = Audio(file_of("wav"))
    mine.save(tmp_path / "x.mp3")
    assert looked_at((tmp_path / "x.mp3").read_bytes(), tmp_path).status == "none"
    assert looked_at(mine.convert("flac"), tmp_path).status == "none"
    assert looked_at(Audio.from_chunks([AudioChunk(b"\0\0" * 800, 8000)]), tmp_path).status == "none"


def test_what_came_marked_is_left_as_it_is(marks: Marks, tmp_path: Path) -> None:
    theirs = put(file_of("jpeg"), Mark(id="theirs"))
    assert Draws().generate_image("marked") == theirs
    mark = mark_of(Draws().generate_image("marked", output_format="png"), tmp_path)
    assert (mark.inputs, mark.source_type) == (("theirs",), GENERATED)


def test_edits_name_their_inputs(marks: Marks, tmp_path: Path) -> None:
    draws = Draws()
    own = draws.edit_images([file_of("png")], "turn it")
    assert mark_of(own, tmp_path).source_type == COMPOSITE
    drawn = draws.generate_image("a square")
    edited = mark_of(draws.edit_images([drawn], "turn it"), tmp_path)
    assert (edited.source_type, edited.inputs) == (COMPOSITE, (mark_of(drawn, tmp_path).id,))


def test_images_and_films(marks: Marks, tmp_path: Path) -> None:
    for wanted in ("png", "jpeg", "webp"):
        image = Draws().generate_image("a square", output_format=wanted)
        mark_of(image, tmp_path)
        if wanted == "png":
            assert image.to_pil().tobytes() == Image(file_of("png")).to_pil().tobytes()
    film = Video(file_of("mp4")).with_provenance(Speaks().generate_audio("hi").provenance)
    film.save(tmp_path / "x.mp4")
    assert mark_of((tmp_path / "x.mp4").read_bytes(), tmp_path).source_type == GENERATED


def test_what_a_plug_in_answers_and_puts_in_the_place_of_a_result(marks: Marks, tmp_path: Path) -> None:
    class Answers:
        @hookimpl
        def lollms_answer_call(self, arguments: Any) -> Any:
            return Audio.from_pcm(b"\7\0" * 800, 8000) if arguments["text"] == "known" else None

        @hookimpl
        def lollms_after_call(self, call: Any, result: Any) -> Any:
            return None if call.answered_by else bytes(Audio.from_pcm(b"\5\0" * 800, 8000))

    other = Answers()
    hooks.register(other)
    try:
        for text in ("known", "other"):
            assert mark_of(Speaks().generate_audio(text), tmp_path).source_type == GENERATED
    finally:
        hooks.unregister(other)


def test_nothing_private_is_in_a_mark(tmp_path: Path) -> None:
    asked: dict[str, Any] = {"text": "my dark secret", "mood": "grim-option", "seed": 987654321}
    hidden = (b"dark secret", b"grim", b"987654321", b"private", b"/home", b"cellar", b"secret-file", bytes(tmp_path))
    with marking():
        for made in (
            Speaks().generate_audio(**asked), b"".join(Speaks().stream_encoded("my dark secret", mood="grim-option")),
            Speaks().generate_audio(**asked, output_path=tmp_path / "secret-file.mp3").path.read_bytes(),  # type: ignore[union-attr]
        ):  # fmt: skip
            assert [word for word in hidden if word in made] == []
    with marking(include=["seed", "options"]):
        mark = mark_of(Speaks().generate_audio(**asked), tmp_path)
    assert mark.more["seed"] == 987654321
    assert mark.more["options"]["mood"] == "grim-option"
    assert "settings" not in mark.more


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("/a/b/joe.onnx", "joe.onnx"), ("C:\\Users\\me\\joe.onnx", "joe.onnx"), ("openai/whisper", "openai/whisper"),
        ("./mine/joe", "joe"), ("../joe/", "joe"), ("~/me/voices/joe", "joe"), ("", ""), ("gpt-image-1", "gpt-image-1"),
        ("https://me:word@host/a/x.onnx?token=secret#part", "x.onnx"), ("customers/joe.safetensors", "joe.safetensors"),
    ],
)  # fmt: skip
def test_the_base_name_of_a_model(model: str, name: str) -> None:
    assert base_name(model) == name


def test_a_relative_folder_is_no_name_of_a_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "customer").mkdir()
    (tmp_path / "customer" / "joe").write_bytes(b"")
    assert base_name("customer/joe") == "joe"


def test_what_cannot_be_marked_is_given_and_told_once(caplog: pytest.LogCaptureFixture) -> None:
    with marking(), caplog.at_level(logging.WARNING, "lollms_marks"):
        made = [Odd().generate_audio("hi") for _ in range(3)]
    assert made == [gif()] * 3
    assert [record.getMessage() for record in caplog.records] == [
        "a result of generate_audio in gif is not marked: a format that has no place for a mark"
    ]
    assert made[0].provenance is not None
    assert made[0].provenance.extra["marks"] == {"problem": "a format that has no place for a mark"}


def test_what_cannot_be_marked_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with marking(failure="refuse"):
        with pytest.raises(PluginRefused, match="no place for a mark") as caught:
            Odd().generate_audio("hi")
        assert caught.value.result == gif()
        assert Speaks().generate_audio("hi").duration == 1

    def broken(*args: Any) -> None:
        raise RuntimeError("a fault of our own")

    monkeypatch.setattr("lollms_marks.plugin.put", broken)
    with marking(failure="refuse"), pytest.raises(PluginRefused, match="fault of our own") as caught:
        list(Speaks().stream_encoded("hi", output_format="mp3"))
    assert caught.value.sent == 0
    with marking(failure="refuse"), pytest.raises(PluginRefused, match="fault of our own") as caught:
        Speaks().generate_audio("hi", output_path=tmp_path / "x.wav")
    assert Audio(caught.value.result).duration == 1
    assert list(tmp_path.iterdir()) == []
    with marking():
        assert Audio(b"".join(Speaks().stream_encoded("hi", output_format="mp3"))).duration > 1


def test_wrong_settings_are_told_and_refuse(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    wrong = {
        "producr": "x",
        "failure": "maybe",
        "include": "prompt",
        "sidecar": 3,
        "time_stamp_timeout": "soon",
        "key": "k",
    }
    with marking(**wrong), caplog.at_level(logging.WARNING, "lollms_marks"):
        mark_of(Speaks().generate_audio("hi"), tmp_path)
    settings = Settings.of(wrong)
    assert len(settings.problems) == 6
    assert "'prompt' cannot be included" in " ".join(settings.problems)
    with marking(producr="x", failure="refuse"), pytest.raises(PluginRefused, match="producr"):
        Speaks().generate_audio("hi")
    from_environment = {"include": "seed, options", "sidecar": "no", "time_stamp_timeout": "1.5", "failure": "refuse"}
    known = Settings.of(from_environment)
    assert (known.include, known.sidecar, known.time_stamp_timeout, known.problems) == (
        ("seed", "options"),
        False,
        1.5,
        (),
    )


def test_nothing_is_not_marked_and_nothing_is_told(caplog: pytest.LogCaptureFixture) -> None:
    class Silent(Speaks):
        def generate_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Audio:
            return Audio()

    with marking(failure="refuse"):
        assert not Silent().generate_audio("hi")
    assert caplog.text == ""


def test_several_results_have_marks_of_their_own(marks: Marks) -> None:
    class Several(Draws):
        @verb("Image", content="prompt")
        def generate_images(self, prompt: str, **kwargs: Any) -> list[Image]:
            return [Image(file_of("png")) for _ in range(3)]

    assert len({image.provenance.extra["marks"]["id"] for image in Several().generate_images("x")}) == 3  # type: ignore[union-attr]


def test_marks_differ_and_content_does_not(marks: Marks) -> None:
    one, two = (Speaks().generate_audio("hi", seed=1) for _ in range(2))
    assert one != two
    assert one.to_numpy().tobytes() == two.to_numpy().tobytes()
    assert json.dumps(one.provenance.extra["marks"])  # type: ignore[union-attr]
