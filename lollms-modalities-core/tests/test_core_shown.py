"""What is shown, logged and kept: no secret, whatever holds it, and no bytes."""

from __future__ import annotations

import copy
import io
import json
import logging
import pickle
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from lollms_modalities import (
    Audio,
    BindingSettings,
    CallOptions,
    GenerationError,
    LollmsError,
    LollmsTTSBinding,
    MediaInput,
    OptionError,
    ServiceError,
    SettingsError,
    option,
    setting,
)
from pydantic import BaseModel, SecretBytes, SecretStr

MASK = "**********"


@dataclass
class Login:
    password: SecretStr


class Account(BaseModel):
    key: SecretStr
    calls: int = 1


class Whole(LollmsTTSBinding):
    """Has secrets in all kinds of places."""

    class Settings(BindingSettings):
        key: SecretStr | None = setting(None)
        raw_key: SecretBytes | None = setting(None)
        keys: list[SecretStr] = setting([])
        named: dict[str, SecretStr] = setting({})
        account: Account | None = setting(None)
        accounts: dict[str, list[Account]] = setting({})
        login: Login | None = setting(None)
        magic: bytes = setting(b"")
        limit: float = setting(1.0)
        limits: list[float] = setting([])

    class Options(CallOptions):
        samples: list[MediaInput] = option([])
        extra: Any = option(None)
        token: SecretStr | None = option(None)
        tokens: list[SecretStr] = option([])

    settings: Settings

    def list_voices(self, **kwargs: Any) -> list[str]:
        return []

    def generate_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Audio:
        if text == "service":
            raise ServiceError(
                f"No {text}: SECRET-1.", hint="Not SECRET-2.", body={"SECRET-3": ["SECRET-4", b"SECRET-5"]}
            )
        if text == "engine":
            try:
                raise KeyError("SECRET-8")
            except KeyError as exc:
                raise ValueError("SECRET-1 and SECRET-9", {"by": "SECRET-4"}) from exc
        return Audio.from_pcm(b"\0\0" * 80, 8000)


SECRETS: dict[str, Any] = {
    "key": "SECRET-1",
    "raw_key": b"SECRET-5",
    "keys": ["SECRET-2", "SECRET-8"],
    "named": {"a": "SECRET-3"},
    "account": {"key": "SECRET-4"},
    "accounts": {"b": [{"key": "SECRET-6", "calls": 2}]},
    "login": {"password": "SECRET-7"},
}


def revealed(binding: Whole) -> list[Any]:
    s = binding.settings
    assert s.key
    assert s.raw_key
    assert s.account
    assert s.login
    held = [s.key, s.raw_key, *s.keys, *s.named.values(), s.account.key, s.accounts["b"][0].key, s.login.password]
    return [secret.get_secret_value() for secret in held]


CLEAR = ["SECRET-1", b"SECRET-5", "SECRET-2", "SECRET-8", "SECRET-3", "SECRET-4", "SECRET-6", "SECRET-7"]


def test_settings_show_no_secret_and_come_back_unharmed() -> None:
    binding = Whole(**SECRETS)
    shown = binding.get_settings()
    assert "SECRET" not in json.dumps(shown)
    assert {row["name"] for row in shown if row.get("is_secret")} == set(SECRETS)
    assert binding.set_settings(shown)
    assert revealed(binding) == CLEAR
    assert binding.set_settings({row["name"]: row["value"] for row in shown})
    assert revealed(binding) == CLEAR
    assert "SECRET" not in repr(binding.settings)


def test_masks_in_containers_stand_for_what_was_there() -> None:
    binding = Whole(**SECRETS)
    binding.set_settings(
        {"keys": [MASK, "new"], "named": {"a": MASK, "z": "zeta"}, "account": {"key": MASK, "calls": 7}}
    )
    s = binding.settings
    assert [k.get_secret_value() for k in s.keys] == ["SECRET-2", "new"]
    assert {n: v.get_secret_value() for n, v in s.named.items()} == {"a": "SECRET-3", "z": "zeta"}
    assert s.account
    assert (s.account.key.get_secret_value(), s.account.calls) == ("SECRET-4", 7)
    binding.set_settings({"accounts": {"b": [{"key": MASK, "calls": 5}, {"key": "fresh"}]}})
    assert [a.key.get_secret_value() for a in binding.settings.accounts["b"]] == ["SECRET-6", "fresh"]
    binding.set_settings({"key": MASK, "keys": MASK})
    assert binding.settings.key == SecretStr("SECRET-1")


@pytest.mark.parametrize(
    "wrong",
    [{"keys": [MASK, MASK, MASK]}, {"named": {"z": MASK}}, {"accounts": {"c": [{"key": MASK}]}}],
    ids=str,
)  # fmt: skip
def test_a_mask_for_no_secret_is_refused(wrong: dict[str, Any]) -> None:
    binding = Whole(**SECRETS)
    with pytest.raises(SettingsError, match="masked secret"):
        binding.set_settings(wrong)
    assert revealed(binding) == CLEAR


WRONG = [
    {"key": ["SECRET"]}, {"keys": "SECRET"}, {"keys": ["SECRET", 5]}, {"keys": [["SECRET"]]}, {"named": ["SECRET"]},
    {"named": {"a": ["SECRET"]}}, {"account": "SECRET"}, {"account": {"key": ["SECRET"]}}, {"login": "SECRET"},
    {"account": {"key": "SECRET", "calls": "x"}}, {"accounts": {"a": "SECRET"}}, {"accounts": {"a": ["SECRET"]}},
]  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG, ids=str)
def test_wrong_settings_are_told_without_them(wrong: dict[str, Any]) -> None:
    def to_binding() -> None:
        Whole(**SECRETS).set_settings(wrong)

    made: list[Callable[[], object]] = [lambda: Whole(**wrong), to_binding]
    for make in made:
        with pytest.raises(SettingsError, match=next(iter(wrong))) as caught:
            make()
        assert "SECRET" not in told(caught.value)


@pytest.mark.parametrize("wrong", [{"token": ["SECRET"]}, {"tokens": "SECRET"}, {"tokens": ["SECRET", 5]}], ids=str)
def test_wrong_options_are_told_without_them(wrong: dict[str, Any]) -> None:
    with pytest.raises(OptionError, match="token") as caught:
        Whole().generate_audio("hi", **wrong)
    assert "SECRET" not in told(caught.value)


def told(error: LollmsError) -> str:
    """All that is shown of an error: its text, JSON, pickle, and what a log holds of it."""
    stream = io.StringIO()
    logger, handler = logging.getLogger("lollms-test"), logging.StreamHandler(stream)
    logger.addHandler(handler)
    try:
        logger.error("failed", exc_info=error)
    finally:
        logger.removeHandler(handler)
    # The lines of this file have secrets in them.
    lines = "\n".join(line for line in stream.getvalue().splitlines() if not line.startswith("    "))
    return "\n".join([str(error), json.dumps(error.to_json()), repr(error), repr(vars(error)), lines])


@pytest.mark.parametrize(("text", "kind"), [("service", ServiceError), ("engine", GenerationError)])
def test_errors_of_a_call_show_no_secret(text: str, kind: type[LollmsError]) -> None:
    with pytest.raises(kind) as caught:
        Whole(**SECRETS).generate_audio(text, token="SECRET-9")
    assert "SECRET" not in told(caught.value)
    assert MASK in str(caught.value)
    assert "".join(traceback.format_exception_only(caught.value)).count(MASK)


def test_hide_masks_every_field() -> None:
    error = ServiceError("a KEY", hint="the KEY", status=500, url="http://KEY", headers={"KEY": ["x KEY", 1]})
    assert error.hide(["", "KEY"]) is error
    assert "KEY" not in told(error)
    assert (error.status, error.url, error.headers) == (500, f"http://{MASK}", {MASK: [f"x {MASK}", 1]})  # type: ignore[attr-defined]


class Odd:
    def __repr__(self) -> str:
        return "odd" * 1000


class Mute:
    def __repr__(self) -> str:
        raise ValueError("no text")


def given(folder: Path) -> list[tuple[dict[str, Any], Any]]:
    (folder / "x.bin").write_bytes(b"\xff\xfe" * 10)
    held = Audio.from_pcm(b"\0\0", 8000).moved_to(folder / "held.wav")
    return [
        ({"samples": [b"\xff\xfe" * 10, folder / "x.bin"]}, ["<20 bytes>", str(folder / "x.bin")]),
        ({"extra": {"x": bytearray(b"\xff"), "y": [b"\xff", (memoryview(b"\xff\xff"),)]}},
         {"x": "<1 bytes>", "y": ["<1 bytes>", ["<2 bytes>"]]}),
        ({"extra": {1: {b"\xff"}}}, {"1": ["<1 bytes>"]}),
        ({"extra": float("nan")}, "nan"),
        ({"extra": [float("inf"), 1.5, True, None, "text"]}, ["inf", 1.5, True, None, "text"]),
        ({"extra": Account(key=SecretStr("SECRET"))}, {"key": MASK, "calls": 1}),
        ({"extra": {"in": Login(SecretStr("SECRET"))}}, {"in": {"password": MASK}}),
        ({"extra": held}, str(folder / "held.wav")),
        ({"extra": Odd()}, ("odd" * 66)[:197] + "..."),
        ({"extra": [10**5000, -(10**5000), 10**1000]}, ["<16610 bits>", "<16610 bits>", 10**1000]),
        ({"extra": {Mute(): [Mute(), Fraction(10**5000, 3)]}}, {"<Mute>": ["<Mute>", "<Fraction>"]}),
        ({"extra": {b"\xff" * 1000: 1}}, {"b'" + "\\xff" * 48 + "\\xf...": 1}),
    ]  # fmt: skip


def test_provenance_of_every_kind_of_option(tmp_path: Path) -> None:
    for options, shown in given(tmp_path):
        made = Whole(**SECRETS).generate_audio("hi", **options)
        for result in (made, pickle.loads(pickle.dumps(made)), copy.deepcopy(made), copy.copy(made)):
            assert result.provenance is not None
            assert result.provenance.options[next(iter(options))] == shown
            assert "SECRET" not in json.dumps(result.provenance.to_json(), allow_nan=False)


def test_provenance_of_an_open_file(tmp_path: Path) -> None:
    path = tmp_path / "x.bin"
    path.write_bytes(b"\xff\xfe" * 10)
    with path.open("rb") as file:
        made = Whole().generate_audio("hi", extra=file)
        assert made.provenance is not None
        assert made.provenance.options["extra"] == f"<file {str(path)!r}>"
        assert file.tell() == 0
    with path.open("rb") as file:
        made = Whole().generate_audio("hi", samples=[file])
        assert pickle.loads(pickle.dumps(made)).provenance.options["samples"] == ["<20 bytes>"]


def test_a_result_does_not_keep_the_bytes_it_was_given() -> None:
    sample = bytes(1_000_000)
    made = Whole().generate_audio("hi", samples=[sample], extra={"a": [sample]})
    assert len(pickle.dumps(made)) < 10_000


@pytest.mark.parametrize(
    ("name", "value"),
    [("magic", b"\xff\xfe"), ("magic", b"text"), ("limit", float("inf")), ("limits", [1.0, float("-inf")])],
)  # fmt: skip
def test_settings_that_json_cannot_hold_are_shown_and_come_back(name: str, value: Any) -> None:
    binding = Whole(**{name: value})
    json.dumps(binding.get_settings(), allow_nan=False)
    binding.set_settings(binding.get_settings())
    assert getattr(binding.settings, name) == value
    made = binding.generate_audio("hi").provenance
    assert made is not None
    json.dumps(made.to_json(), allow_nan=False)


def test_defaults_that_json_cannot_hold_are_described() -> None:
    class Odd(Whole):
        class Settings(BindingSettings):
            magic: bytes = setting(b"\xff")
            limit: float = setting(float("inf"))
            key: SecretStr = setting(SecretStr("SECRET"))

    told = json.dumps(Odd.describe(), allow_nan=False)
    assert "SECRET" not in told
    properties = Odd.describe()["settings"]["properties"]
    assert (properties["magic"]["default"], properties["limit"]["default"]) == ("<1 bytes>", "inf")
    binding = Odd()
    binding.set_settings(binding.get_settings())
    assert binding.settings.model_dump() == Odd().settings.model_dump()
