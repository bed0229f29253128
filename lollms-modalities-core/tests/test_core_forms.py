"""Settings and options as rows of forms."""

from __future__ import annotations

import json
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from lollms_modalities import (
    Audio,
    BindingSettings,
    CallOptions,
    Capabilities,
    Duration,
    Language,
    LollmsTTIBinding,
    LollmsTTSBinding,
    MediaInput,
    OptionError,
    Seed,
    SettingsError,
    Speed,
    option,
    setting,
    verb,
)
from lollms_modalities.settings.forms import rows_of, schema_of, to_form
from lollms_modalities.settings.kinds import KINDS
from pydantic import AnyUrl, BaseModel, Field, HttpUrl, SecretStr, ValidationError


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Inner(BaseModel):
    where: Path | None = None
    nested: Inner | None = None


class Everything(BindingSettings):
    needed: str
    quick: float = setting(1.0, gt=0, le=4, reload=True)
    many: int | None = setting(None, ge=1, lt=10)
    evens: int = setting(2, multiple_of=2)
    code: str = setting("ab", pattern="^[a-z]+$", min_length=1, max_length=5)
    words: list[str] = setting(["a"], max_length=3)
    maybe: str | None = "x"
    quiet: str | None = ""
    plain_text: str = "x"
    either: int | str | None = None
    mode: Literal["a", "b"] = "a"
    colour: Colour | None = setting(Colour.RED)
    speed: Annotated[int, Field(ge=3, le=9)] | None = None
    shut: SecretStr | None = setting(SecretStr("hush"))
    made: list[int] = Field(default_factory=lambda: [1, 2])


def row(name: str, **values: Any) -> dict[str, Any]:
    rows = {row["name"]: row for row in to_form(Everything(needed="n", **values))}
    json.dumps(list(rows.values()))
    return rows[name]


def test_limits() -> None:
    quick = row("quick")
    assert (quick["min"], quick["min_excluded"], quick["max"]) == (0, True, 4)
    assert "max_excluded" not in quick
    assert quick["reload"] is True
    many = row("many")
    assert (many["min"], many["max"], many["max_excluded"], many["step"]) == (1, 10, True, 1)
    assert "min_excluded" not in many
    assert row("evens")["step"] == 2
    code = row("code")
    assert (code["pattern"], code["min_length"], code["max_length"]) == ("^[a-z]+$", 1, 5)
    assert row("words")["max_length"] == 3
    assert (row("speed")["min"], row("speed")["max"]) == (3, 9)
    assert not {"min", "max", "step", "pattern"} & row("maybe").keys()


def test_what_is_needed_has_no_default() -> None:
    assert row("needed")["required"] is True
    assert "default" not in row("needed")
    assert row("quick", quick=2)["default"] == 1.0
    assert row("quick", quick=2)["value"] == 2.0
    assert row("made")["default"] == [1, 2]
    assert row("colour")["default"] == "red"
    assert row("colour")["options"] == ["red", "blue"]
    assert row("shut")["default"] == row("shut")["value"] != "hush"


def test_nullable() -> None:
    nullable = {name for name in Everything.model_fields if row(name)["nullable"]}
    assert nullable == {"many", "maybe", "quiet", "either", "colour", "speed", "shut", "keep_alive"}


def test_the_older_keys_stay() -> None:
    mode = row("mode")
    assert (mode["type"], mode["value"], mode["options"]) == ("str", "a", ["a", "b"])
    assert row("shut")["is_secret"] is True
    assert row("needed")["description"] == ""


class Kinds(BindingSettings):
    folder: Path | None = None
    paths: dict[str, Path | None] = setting({})
    listed: list[Path] = setting([])
    deep: Inner | None = None
    tools_exe: Path | None = None
    run_command: str | None = None
    program: list[str] = setting([])
    url: str = ""
    site: HttpUrl | None = None
    sites: list[AnyUrl] = setting([])
    host_address: str = ""
    proxies: dict[str, str] = setting({})
    model_name: str = "x"
    base_model: str | None = None
    checkpoint_file: str = ""
    cache_dir: str = ""
    loose_file: Any = None
    environment: str = ""
    env: dict[str, str] = setting({})
    password: SecretStr | None = None
    secrets: list[SecretStr] = setting([])
    sample: MediaInput | None = None
    samples: list[MediaInput] = setting([])
    file_count: int = 1
    use_model: bool = False
    model_size: Literal["a", "b"] = "a"
    model_colour: Colour = Colour.RED
    verify_host: bool = True
    numbers_by_model: dict[str, float] = setting({})
    text: str = ""
    voice: str = ""
    default_voice: str | None = None
    said_path: str = setting("", kind="plain")
    said_voice: str = setting("", kind="path", choices_from="list_shouts")
    model_id: str = setting("", choices_from="")


EXPECTED = {
    "path": (
        "folder paths listed deep model_name base_model checkpoint_file cache_dir loose_file numbers_by_model said_voice "
        "model_id"
    ),
    "program": "tools_exe run_command program",
    "address": "url site sites host_address proxies",
    "environment": "environment env",
    "secret": "password secrets",
    "media": "sample samples",
}


def test_kinds_by_type_and_name() -> None:
    expected = {name: kind for kind, names in EXPECTED.items() for name in names.split()}
    found = {row["name"]: row["kind"] for row in to_form(Kinds())}
    assert found == {name: expected.get(name, "plain") for name in Kinds.model_fields}
    assert set(found.values()) == set(KINDS)
    properties = schema_of(Kinds)["properties"]
    assert {name: properties[name]["lollms"]["kind"] for name in found} == found


def test_choices_by_name() -> None:
    found = {row["name"]: row["choices_from"] for row in to_form(Kinds()) if "choices_from" in row}
    assert found == {
        "model_name": "list_models",
        "voice": "list_voices",
        "default_voice": "list_voices",
        "said_voice": "list_shouts",
    }


def test_a_kind_that_is_none() -> None:
    for make in (setting, option):
        with pytest.raises(TypeError, match="program"):
            make("", kind="odd")  # type: ignore[arg-type]


def test_empty_is_none_where_none_is_a_value() -> None:
    made = Everything(needed="", many="", maybe="", either="", colour="", shut="")  # type: ignore[arg-type]
    assert (made.many, made.maybe, made.either, made.colour, made.shut) == (None,) * 5
    assert (made.needed, Everything(needed="n", plain_text="").plain_text) == ("", "")
    assert Everything(needed="n", quiet="").quiet == "", "its own default"
    assert Kinds(folder="").folder is None  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="quick"):
        Everything(needed="n", quick="")  # type: ignore[arg-type]


class Shouts(LollmsTTSBinding):
    """Shouts."""

    class Settings(BindingSettings):
        default_voice: str | None = "loud"
        default_speed: float | None = 2.0
        model_name: str = "m"
        folder: Path | None = None

    class Options(CallOptions):
        speed: Speed = 1.0
        seed: Seed = None
        language: Language = "en"
        sample: MediaInput | None = option(None, description="To sound like.")
        mood: str = "calm"

    settings: Settings
    given: dict[str, Any]

    def generate_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Audio:
        self.given = {"voice": voice, **kwargs}
        return Audio.from_pcm(b"\0\0", 8000)

    def list_voices(self, **kwargs: Any) -> list[str]:
        return ["loud"]


class Clones(Shouts):
    capabilities = Capabilities(cloning=True)


class Draws(LollmsTTIBinding):
    class Settings(BindingSettings):
        default_width: int | None = 256

    def generate_image(
        self, prompt: str, negative_prompt: str = "", width: int = 512, height: int | None = None, **kwargs: Any
    ) -> Any: ...

    def list_services(self, **kwargs: Any) -> list[dict[str, str]]:
        return []

    class Fancy(CallOptions):
        frames: int = option(3, ge=1)

    @verb("Image", content="prompt", options=Fancy)
    def generate_images(self, prompt: str, **kwargs: Any) -> Any: ...


def test_a_form_that_comes_back_with_empty_fields() -> None:
    shouts = Shouts(folder=Path("/somewhere"))
    assert shouts.set_settings([{"name": "folder", "value": ""}, {"name": "default_voice", "value": ""}])
    assert (shouts.settings.folder, shouts.settings.default_voice) == (None, None)
    rows = shouts.get_settings()
    assert shouts.set_settings(rows)
    assert shouts.get_settings() == rows
    with pytest.raises(SettingsError, match="keep_alive"):
        shouts.set_settings({"keep_alive": "soon"})


def test_options_as_rows() -> None:
    rows = {row["name"]: row for row in Shouts().get_options()}
    json.dumps(list(rows.values()))
    assert list(rows) == ["voice", "speed", "seed", "language", "sample", "mood", "timestamps"]
    assert (rows["timestamps"]["options"], rows["timestamps"]["value"]) == (["none", "word"], "none")
    voice = rows["voice"]
    assert (voice["value"], voice["default"], voice["nullable"], voice["kind"]) == ("loud", None, True, "plain")
    assert voice["choices_from"] == "list_voices"
    speed = rows["speed"]
    assert (speed["value"], speed["default"]) == (2.0, 1.0)
    assert 0 < speed["min"] < 1 < speed["max"]
    assert (rows["seed"]["min"], rows["seed"]["step"], rows["seed"]["nullable"]) == (0, 1, True)
    assert rows["language"]["max_length"] == 35
    assert rows["sample"]["kind"] == "media"
    assert Shouts().get_options("stream_audio") == Shouts().get_options("generate_audio")
    assert {row["name"]: row["kind"] for row in Clones().get_options()}["voice"] == "media"


def test_options_of_another_verb() -> None:
    draws = Draws()
    rows = {row["name"]: row for row in draws.get_options("generate_images")}
    assert list(rows) == ["frames"]
    assert (rows["frames"]["value"], rows["frames"]["min"]) == (3, 1)
    main = {row["name"]: row for row in draws.get_options()}
    assert list(main) == ["negative_prompt", "width", "height"]
    assert (main["width"]["value"], main["width"]["default"], main["width"]["min"]) == (256, 512, 1)
    assert (main["height"]["default"], main["height"]["nullable"]) == (None, True)
    with pytest.raises(OptionError, match="generate_image"):
        draws.get_options("generate_imagess")


def test_an_option_that_is_empty_was_left_out() -> None:
    shouts = Shouts()
    shouts.generate_audio("hi", language="", sample="", mood="", speed=None)
    assert shouts.given["language"] == "en"
    assert shouts.given["sample"] is None
    assert shouts.given["mood"] == "", "None is no value of it"
    assert shouts.given["speed"] == 2.0
    with pytest.raises(OptionError, match="speed"):
        shouts.generate_audio("hi", speed="")


def test_a_binding_s_own_limit_is_the_one_that_holds() -> None:
    class Options(CallOptions):
        duration: Duration = option(10.0, le=3600)

    with pytest.raises(ValidationError, match="less than or equal to 3600"):
        Options(duration=3601)
    (row,) = rows_of(Options, {})
    assert (row["max"], row["min"], row["min_excluded"]) == (3600, 0, True)
    assert "max_excluded" not in row
