"""What lollms-client 1.x called things is understood, told of, and kept nowhere."""

from __future__ import annotations

import base64
import io
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pytest
from lollms_modalities import (
    Audio,
    BindingSettings,
    CallOptions,
    EditOptions,
    Image,
    LollmsTTIBinding,
    LollmsTTSBinding,
    MediaError,
    OlderKeywordWarning,
    OptionError,
    SettingsError,
    UnsupportedError,
    option,
    setting,
    verb,
)
from lollms_modalities.contract.editing import check_image, check_images
from lollms_modalities.settings.older import DROPPED, RENAMED
from pydantic import SecretStr

KEY = "sk-this-is-secret"


class Local(LollmsTTSBinding):
    """Runs here and has a device."""

    class Settings(BindingSettings):
        model_name: str = setting("small", reload=True)
        device: Literal["auto", "cpu", "cuda"] = setting("auto", reload=True)
        loudness: float = setting(1.0, ge=0)

    settings: Settings

    def generate_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Audio:
        return Audio.from_pcm(bytes(200), 8000)

    def list_voices(self, **kwargs: Any) -> list[str]:
        return []


class Painter(LollmsTTIBinding):
    """Its names are not those of 1.x, and it edits."""

    class Settings(BindingSettings):
        model_id_or_path: str = setting("tiny", reload=True)
        api_key: SecretStr | None = setting(None)
        default_size: str | None = setting(None)

    class Change(EditOptions):
        n: int = option(1, ge=1)

    settings: Settings

    def generate_image(
        self, prompt: str, negative_prompt: str = "", width: int = 512, height: int = 512, **kwargs: Any
    ) -> Image:
        return PIXEL

    @verb("Image", content="images", options=Change)
    def edit_images(
        self, images: list[Path | bytes], prompt: str, negative_prompt: str = "", mask: Path | bytes | None = None,
        n: int = 1, **kwargs: Any,
    ) -> list[Image]:  # fmt: skip
        self.given = (images, prompt, negative_prompt, mask)
        return [Image(images[0]) if isinstance(images[0], bytes) else Image(path=images[0])] * n

    def list_services(self, **kwargs: Any) -> list[dict[str, str]]:
        return []


class Plain(LollmsTTIBinding):
    """Edits nothing."""

    class Options(CallOptions):
        pass

    def generate_image(
        self, prompt: str, negative_prompt: str = "", width: int = 512, height: int = 512, **kwargs: Any
    ) -> Image:
        return PIXEL

    def list_services(self, **kwargs: Any) -> list[dict[str, str]]:
        return []


def _pixel() -> bytes:
    import PIL.Image

    data = io.BytesIO()
    PIL.Image.new("RGB", (2, 3), "red").save(data, "PNG")
    return data.getvalue()


PIXEL = Image(_pixel())


# --- settings -------------------------------------------------------------------------------------------------------


def test_no_device_is_the_default_device() -> None:
    assert Local(device=None).settings.device == "auto"
    assert Local.Settings(device=None).device == "auto"  # type: ignore[arg-type]
    binding = Local(device="cpu")
    binding.set_settings({"device": None})
    assert binding.settings.device == "auto"
    with pytest.raises(SettingsError, match="loudness"):
        Local(loudness=None)


def test_what_has_no_meaning_is_dropped_and_told_in_one_line(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        binding = Local(
            host_address="http://server", service_key=KEY, verify_ssl_certificate=False, host="127.0.0.1", port=9634,
            auto_start_server=True, wait_for_server=True, debug=True, loudness=2, tts_host_address="http://server",
        )  # fmt: skip
    (line,) = [r.getMessage() for r in caplog.records]
    for name in (
        "host_address",
        "service_key",
        "verify_ssl_certificate",
        "host",
        "port",
        "auto_start_server",
        "debug",
        "tts_host_address",
    ):
        assert repr(name) in line
    assert "isolated=True" in line
    assert KEY not in line
    assert KEY not in repr(vars(binding)) + repr(binding.settings) + repr(binding.config)
    assert set(binding.config) == {"keep_alive", "model_name", "device", "loudness"}
    assert binding.settings.loudness == 2


def test_nothing_is_told_of_where_nothing_is_dropped(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        Local(device=None, service_key=None, host_address=None)
        Local(loudness=2)
    assert not caplog.records


@pytest.mark.parametrize(
    ("settings", "instead"),
    [({"hf_token": KEY}, "HF_TOKEN"), ({"cache_dir": "models"}, "models_path"), ({"host": "10.0.0.7"}, "helper server"),
     ({"certificate_file_path": "c.pem"}, "SSL_CERT_FILE"), ({"watermark_path": "w.png"}, "provenance"),
     ({"config": {"loud": 1}}, "no such setting")],
)  # fmt: skip
def test_a_warning_where_something_does_not_happen(settings: dict[str, Any], instead: str) -> None:
    with pytest.warns(OlderKeywordWarning, match=instead) as caught:
        binding = Local(**settings)
    assert KEY not in str(caught[0].message)
    assert binding.config == Local().config


def test_a_device_where_there_is_none() -> None:
    Plain(device=None)
    Plain(device="cpu")
    with pytest.warns(OlderKeywordWarning, match="use_cuda"):
        Plain(device="cuda")


def test_other_names_of_the_same_setting() -> None:
    painter = Painter(model_name="sd", service_key=KEY, size="64x64")
    assert painter.settings.model_id_or_path == "sd"
    assert painter.settings.api_key == SecretStr(KEY)
    assert painter.settings.default_size == "64x64"
    assert painter.config["api_key"] == "**********"
    assert painter.set_settings({"model_name": "xl"})
    assert painter.set_settings([{"name": "size", "value": "8x8"}])
    assert (painter.settings.model_id_or_path, painter.settings.default_size) == ("xl", "8x8")
    assert Local(model="big").settings.model_name == "big"
    assert Painter(model="big").settings.model_id_or_path == "big"
    assert Painter(model_name=None).settings.model_id_or_path == "tiny"
    assert Painter(model_name="a", model_id_or_path="a").settings.model_id_or_path == "a"
    with pytest.raises(SettingsError, match="'model_name' and 'model_id_or_path', which are one setting"):
        Painter(model_name="a", model_id_or_path="b")


def test_a_dict_of_settings_is_taken_apart() -> None:
    assert Local(config={"loudness": 3, "device": None, "port": 1}).settings.loudness == 3
    assert Local(binding_config={"loudness": 3}, loudness=3).settings.loudness == 3
    with pytest.raises(SettingsError, match="'loudness' in binding_config and as a keyword"):
        Local(binding_config={"loudness": 3}, loudness=2)
    assert Painter(config={"model_name": "sd"}).settings.model_id_or_path == "sd"


def test_what_nobody_had_is_still_refused() -> None:
    with pytest.raises(SettingsError, match="Did you mean 'loudness'"):
        Local(loudnes=2)
    with pytest.raises(SettingsError, match="has no setting 'port'"):
        Local().set_settings({"port": 1})


def test_a_binding_that_has_such_a_setting_keeps_it(caplog: pytest.LogCaptureFixture) -> None:
    class Served(Plain):
        class Settings(BindingSettings):
            host: str = setting("localhost")
            config: dict[str, int] = setting({})

    with caplog.at_level(logging.INFO):
        served = Served(host="10.0.0.7", config={"a": 1})
    assert (served.config["host"], served.config["config"]) == ("10.0.0.7", {"a": 1})
    assert not caplog.records


def test_a_binding_may_keep_a_config_of_its_own() -> None:
    class Own(Plain):
        def __init__(self, **settings: Any) -> None:
            super().__init__(**settings)
            self.config = {"mine": 1}

    assert Own().config == {"mine": 1}


def test_the_tables_hold_nothing_twice() -> None:
    targets = {new for news in RENAMED.values() for new in news}
    assert not targets & DROPPED.keys() - {"host_address", "model_name", "models_path"}
    assert all(keyword.instead for keyword in DROPPED.values())


def test_a_call_says_what_takes_the_place_of_an_option() -> None:
    with pytest.raises(OptionError, match="output_path="):
        Local().generate_audio("hi", fn="x.wav")


# --- images that are changed ----------------------------------------------------------------------------------------


def _ways(folder: Path) -> dict[str, Callable[[], Any]]:
    PIXEL.save(folder / "i.png")
    text = base64.b64encode(PIXEL).decode()
    return {
        "ours": lambda: PIXEL,
        "bytes": lambda: bytes(PIXEL),
        "path": lambda: folder / "i.png",
        "text of a path": lambda: str(folder / "i.png"),
        "file": lambda: io.BytesIO(PIXEL),
        "base64": lambda: text,
        "base64 in lines": lambda: base64.encodebytes(PIXEL).decode(),
        "data": lambda: f"data:image/png;base64,{text}",
        "pillow": lambda: PIXEL.to_pil(),
    }


@pytest.mark.parametrize(
    "way", ["ours", "bytes", "path", "text of a path", "file", "base64", "base64 in lines", "data", "pillow"]
)
def test_an_image_in_every_way(way: str, tmp_path: Path) -> None:
    given = _ways(tmp_path)[way]
    painter = Painter()
    made = painter.edit_image(given(), "a hat", "a scarf", given())
    assert isinstance(made, Image)
    assert (made.width, made.height) == (2, 3)
    images, prompt, negative, mask = painter.given
    assert (len(images), prompt, negative) == (1, "a hat", "a scarf")
    assert mask is not None
    assert made.provenance is not None
    assert made.provenance.options["prompt"] == "a hat"


def test_several_in_and_several_out() -> None:
    painter = Painter()
    assert isinstance(painter.edit_image(images=[PIXEL, bytes(PIXEL)], prompt="both"), Image)
    assert len(painter.given[0]) == 2
    assert [type(one) for one in painter.edit_images(PIXEL, "x", n=3)] == [Image] * 3
    with pytest.raises(OptionError, match="edit_images gives several"):
        painter.edit_image(PIXEL, "x", n=2)


async def _twin(painter: Painter) -> Image:
    return await painter.aedit_image(PIXEL, "x")


def test_the_twin_and_the_older_way() -> None:
    import asyncio

    painter = Painter()
    assert isinstance(asyncio.run(_twin(painter)), Image)
    (one,) = painter.edit_image("a hat", image=PIXEL)
    assert isinstance(one, Image)
    assert painter.given[1] == "a hat"
    assert len(painter.edit_image(prompt="a hat", image=PIXEL, n=2)) == 2


def test_a_class_with_an_edit_of_its_own_has_that_and_its_twin() -> None:
    import asyncio

    class Own(Plain):
        @verb("Image", content="prompt")
        def edit_image(self, prompt: str, **kwargs: Any) -> Image:  # type: ignore[override]
            return PIXEL

    async def twin() -> Any:
        return await Own().aedit_image("x")

    assert isinstance(Own().edit_image("x"), Image)
    assert isinstance(asyncio.run(twin()), Image)


def test_what_is_no_image_is_told(tmp_path: Path) -> None:
    painter = Painter()
    with pytest.raises(OptionError, match="needs images, and a prompt"):
        painter.edit_image("a hat")
    with pytest.raises(OptionError, match="needs images, and a prompt"):
        painter.edit_image(prompt="a hat")
    with pytest.raises(MediaError, match=r"There is no image file 'no\.png'"):
        painter.edit_image("no.png", "a hat")
    with pytest.raises(OptionError, match="No image"):
        painter.edit_image([], "a hat")
    with pytest.raises(OptionError, match="'prompt'"):
        painter.edit_image(PIXEL, 3)  # type: ignore[call-overload]
    with pytest.raises(OptionError, match="There is no media file"):
        painter.edit_image(PIXEL, "a hat", mask="no.png")
    for text in (
        "data:text/plain,hello",
        "A" * 6000,
        "data:image/png;base64," + base64.b64encode(b"no image").decode(),
    ):
        with pytest.raises(MediaError, match="neither the path of an image nor one in base64"):
            check_image(text)
    with pytest.raises(MediaError, match="address"):
        check_images("https://example.org/i.png")
    with pytest.raises(UnsupportedError, match="changes no images"):
        Plain().edit_image(PIXEL, "a hat")
