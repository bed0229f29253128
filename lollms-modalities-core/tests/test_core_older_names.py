"""Names of lollms-client 1.x that bindings have no more: each says what takes its place, and is no attribute."""

from __future__ import annotations

import logging
import pickle
from types import SimpleNamespace
from typing import Any

import pytest
from lollms_modalities import (
    Audio,
    BindingNotFoundError,
    BindingSettings,
    LollmsError,
    LollmsTTMBindingManager,
    LollmsTTSBinding,
    LollmsTTSBindingManager,
    OlderNameError,
    OptionError,
    SettingsError,
    setting,
)
from lollms_modalities.settings.older import NAMES, OF_CALLS


class Reader(LollmsTTSBinding):
    """Has an address, a model and a property that fails."""

    class Settings(BindingSettings):
        host_address: str = setting("http://localhost:9600")
        model_name: str = setting("small")

    settings: Settings

    @property
    def device(self) -> str:
        """A name of 1.x that this class has."""
        return "cpu"

    @property
    def failing(self) -> str:
        """Fails inside."""
        return self.nowhere  # type: ignore[attr-defined, no-any-return]

    def generate_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Audio:
        return Audio.from_pcm(bytes(200), 8000)

    def list_voices(self, **kwargs: Any) -> list[str]:
        return []


@pytest.mark.parametrize("name", sorted(NAMES))
def test_each_name_says_what_takes_its_place(name: str) -> None:
    binding = Reader()
    if name == "device":
        assert binding.device == "cpu"
        return
    with pytest.raises(
        OlderNameError, match=f"Reader has no '{name}', which bindings of lollms-client 1.x had"
    ) as caught:
        getattr(binding, name)
    assert isinstance(caught.value, LollmsError)
    assert caught.value.hint == f"Instead: {NAMES[name]}."
    assert not hasattr(binding, name)
    assert getattr(binding, name, None) is None


def test_other_names_fail_as_ever() -> None:
    with pytest.raises(AttributeError, match="'Reader' object has no attribute 'nothing'") as caught:
        Reader().nothing  # type: ignore[attr-defined]  # noqa: B018
    assert not isinstance(caught.value, OlderNameError)
    with pytest.raises(AttributeError, match="no attribute 'nowhere'"):
        Reader().failing  # noqa: B018


def test_the_error_goes_to_another_process() -> None:
    with pytest.raises(OlderNameError) as caught:
        Reader().ps()  # type: ignore[attr-defined]
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)
    assert isinstance(LollmsError.from_json(caught.value.to_json()), OlderNameError)


def test_of_an_isolated_binding_too() -> None:
    with LollmsTTSBindingManager().require_binding("example", isolated=True) as binding:
        with pytest.raises(OlderNameError, match="get_zoo"):
            binding.get_zoo()  # type: ignore[attr-defined]
        with pytest.raises(AttributeError, match="no attribute 'nothing'"):
            binding.nothing  # type: ignore[attr-defined]  # noqa: B018


@pytest.mark.parametrize("name", ["host_address", "base_url", "tts_host_address"])
def test_an_empty_address_is_none_given(name: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        binding = Reader(**{name: "", "model_name": ""})
    assert binding.settings == Reader().settings
    assert not caplog.records


def test_a_setting_of_1x_that_is_set_later_is_told_of() -> None:
    with pytest.raises(
        SettingsError, match=r"no setting 'port'.*Of 'port', which lollms-client 1\.x had: no helper server"
    ):
        Reader().set_settings({"port": 9635})


@pytest.mark.parametrize("name", sorted(OF_CALLS))
def test_an_option_of_1x_is_told_of(name: str) -> None:
    with pytest.raises(OptionError) as caught:
        Reader().generate_audio("Hello.", **{name: None})
    assert caught.value.hint == OF_CALLS[name]


def test_no_extra_is_named_that_is_here_already(monkeypatch: pytest.MonkeyPatch) -> None:
    from lollms_modalities.finding import loading, mending

    monkeypatch.setattr(mending, "extras", lambda: frozenset({"painter", "nowhere"}))
    found = SimpleNamespace(names=("painter",))
    monkeypatch.setattr(loading, "find_bindings", lambda kind, directory: [found] if kind == "tti" else [])
    with pytest.raises(BindingNotFoundError, match="What is installed offers 'painter' for tti"):
        LollmsTTMBindingManager().require_binding("painter")
    with pytest.raises(
        BindingNotFoundError, match=r"Run lollms install nowhere \(pip install \"lollms-client\[nowhere\]>=2"
    ):
        LollmsTTMBindingManager().require_binding("nowhere")
