"""A client as the configuration says, a binding that is required, and the first of several."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
from lollms_client import LollmsClient
from lollms_modalities import (
    BindingNotFoundError,
    BindingUnavailableWarning,
    LollmsSTTBinding,
    LollmsTTSBinding,
    SettingsError,
)
from lollms_modalities.configuration import ConfigurationError


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for modality in ("TTS", "TTI", "STT", "TTM", "TTV"):
        monkeypatch.delenv(f"LOLLMS_{modality}_BINDING", raising=False)
    monkeypatch.setenv("LOLLMS_CONFIG", str(tmp_path / "config.toml"))
    return tmp_path / "config.toml"


def test_a_binding_that_is_required_is_there_or_says_why_not() -> None:
    with LollmsClient(tts_binding_name="example") as lc:
        tts: LollmsTTSBinding = lc.require("tts")
        assert tts is lc.tts
        with pytest.raises(BindingNotFoundError, match="No stt binding was asked for"):
            lc.require("stt")
        with pytest.raises(ValueError, match="There are tts, tti, stt, ttm, ttv"):
            lc.require("speech")  # type: ignore[call-overload]
    with pytest.warns(BindingUnavailableWarning):
        lc = LollmsClient(stt_binding_name="nobody")
    with pytest.raises(BindingNotFoundError, match="No stt binding 'nobody'"):
        lc.require("stt")


def test_without_a_file_there_are_no_bindings(file: Path) -> None:
    lc = LollmsClient.from_config()
    assert [lc.tts, lc.tti, lc.stt, lc.ttm, lc.ttv] == [None] * 5
    with pytest.raises(ConfigurationError, match="There is no configuration file"):
        LollmsClient.from_config(file.parent / "other.toml")


def test_the_client_is_what_the_file_says(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text(
        "[tts]\nbinding = 'piper_tts'\n[tts.piper]\nn_threads = 1\n[tts.example]\n[stt]\nbinding = 'example'\n"
    )
    with LollmsClient.from_config() as lc:
        assert (lc.require("tts").binding_name, lc.require("tts").settings.n_threads) == ("piper", 1)  # type: ignore[attr-defined]
        assert isinstance(lc.require("stt"), LollmsSTTBinding)
    with LollmsClient.from_config(tts_binding_config={"n_threads": 2}) as lc:
        assert lc.require("tts").settings.n_threads == 2  # type: ignore[attr-defined]
    with LollmsClient.from_config(tts_binding_name="example", stt_binding_name=None) as lc:
        assert (lc.require("tts").binding_name, lc.stt) == ("example", None)
    monkeypatch.setenv("LOLLMS_TTS_BINDING", "example")
    with LollmsClient.from_config() as lc:
        assert lc.require("tts").binding_name == "example"


def test_what_is_wrong_in_the_file_is_named_with_its_line(file: Path) -> None:
    file.write_text("[tts]\nbinding = 'piper'\n\n[tts.piper]\nn_threads = 'many'\n")
    with pytest.raises(SettingsError, match=r"config\.toml, line 5: setting 'n_threads'"):
        LollmsClient.from_config()
    file.write_text("[tss]\n")
    with pytest.raises(ConfigurationError, match=r"config\.toml, line 1: 'tss' means nothing"):
        LollmsClient.from_config()


@pytest.mark.parametrize("where", [{}, {"isolated": True}], ids=["in place", "isolated"])
def test_the_first_of_several_that_is_to_be_had(where: dict[str, bool]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        lc = LollmsClient(
            tts_binding_name=["nobody", "example", "piper"], tts_binding_config={"example": where, "piper": {}}
        )
    with lc:
        sound = lc.require("tts").generate_audio("hi")
        assert sound.provenance is not None
        chosen = sound.provenance.extra["chosen"]
        assert sound.provenance.binding == "example"
        assert chosen["asked"] == ["nobody", "example", "piper"]
        assert "No tts binding 'nobody' is installed" in chosen["instead_of"]["nobody"]
        stream = lc.require("tts").stream_audio("hi")
        list(stream)
        assert stream.provenance.extra["chosen"] == chosen  # type: ignore[attr-defined]


def test_none_of_several() -> None:
    with pytest.warns(BindingUnavailableWarning, match="None of the tts bindings nobody, no_one is to be had"):
        lc = LollmsClient(tts_binding_name=["nobody", "no_one"])
    with pytest.raises(BindingNotFoundError, match="no_one: No tts binding 'no_one'"):
        lc.require("tts")
    with pytest.raises(SettingsError, match="holds the settings of each"):
        LollmsClient(tts_binding_name=["example", "piper"], tts_binding_config={"n_threads": 1})
    with pytest.raises(SettingsError, match="n_threads"):
        LollmsClient(tts_binding_name=["piper", "example"], tts_binding_config={"piper": {"n_threads": "many"}})


def test_another_chain_in_its_place() -> None:
    with LollmsClient(tts_binding_name="example") as lc:
        assert lc.update_tts_binding(["nobody", "piper"])
        assert lc.require("tts").binding_name == "piper"
        assert "chosen" not in LollmsClient(tts_binding_name="example").generate_audio("hi").provenance.extra  # type: ignore[union-attr]
