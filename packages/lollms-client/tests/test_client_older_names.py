"""What programs of lollms-client 1.x import and ask a client for, and what they are told where it is not here."""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Iterator

import pytest
from lollms_client import LollmsClient, _older
from lollms_modalities import BindingNotFoundError, OlderKeywordWarning, OlderNameError, OptionError


@pytest.fixture
def lc() -> Iterator[LollmsClient]:
    with LollmsClient(llm_binding_name="ollama", tts_binding_name="example") as client:
        yield client


def test_what_programs_for_images_and_speech_import() -> None:
    from lollms_client import MSG_TYPE
    from lollms_client.lollms_core import LollmsClient as Client
    from lollms_client.lollms_types import MSG_TYPE as KINDS

    assert Client is LollmsClient
    assert MSG_TYPE is KINDS
    assert MSG_TYPE.MSG_TYPE_CHUNK.value == 0
    assert MSG_TYPE(11) is MSG_TYPE.MSG_TYPE_STEP_PROGRESS


def test_the_kinds_of_message_cost_nothing_unless_asked_for() -> None:
    code = "import sys, lollms_client; sys.exit('lollms_client.lollms_types' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("module", ["lollms_client", "lollms_client.lollms_core", "lollms_client.lollms_types"])
@pytest.mark.parametrize("name", sorted(_older.GONE))
def test_an_import_of_what_is_not_here_says_where_it_is(module: str, name: str) -> None:
    with pytest.raises(ImportError, match=f"'{name}' is of lollms-client 1.x. Instead: .+"):
        exec(f"from {module} import {name}")  # as a program says it


def test_an_import_of_what_never_was_fails_as_ever() -> None:
    with pytest.raises(ImportError, match="cannot import name 'Nothing'"):
        exec("from lollms_client import Nothing")
    import lollms_client

    assert not hasattr(lollms_client, "nothing")


@pytest.mark.parametrize("name", ["lollms_discussion", "lollms_personality", "lollms_llm_binding"])
def test_a_module_that_is_not_here_says_where_it_is(name: str) -> None:
    with pytest.raises(ImportError, match=f"lollms_client.{name} is of lollms-client 1.x.*lollms-client<2"):
        importlib.import_module(f"lollms_client.{name}")


@pytest.mark.parametrize("name", sorted(_older.NAMES))
def test_each_name_of_a_client_says_what_takes_its_place(lc: LollmsClient, name: str) -> None:
    with pytest.raises(OlderNameError, match=f"LollmsClient has no '{name}', which lollms-client 1.x had. Instead: .+"):
        getattr(lc, name)
    assert not hasattr(lc, name)


def test_other_names_fail_as_ever(lc: LollmsClient) -> None:
    with pytest.raises(AttributeError, match="'LollmsClient' object has no attribute 'nothing'"):
        lc.nothing  # type: ignore[attr-defined]  # noqa: B018


def test_the_language_model_under_its_name_of_1x(lc: LollmsClient, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BindingNotFoundError, match=r"Those of 1\.x are in lollms-client<2"):
        lc.binding  # noqa: B018
    model = object()
    monkeypatch.setattr(lc, "_llm", model)
    assert lc.llm is model  # type: ignore[attr-defined]


def test_a_file_of_certificates_is_told_of() -> None:
    with pytest.warns(OlderKeywordWarning, match="'certificate_file_path': the environment variable SSL_CERT_FILE"):
        LollmsClient(certificate_file_path="ca.pem")
    LollmsClient(certificate_file_path="")


@pytest.mark.parametrize("name", ["openai", "lollms"])
def test_an_empty_address_is_the_default_one(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    config = {"host_address": "", "service_key": "", "model_name": ""}
    with (
        LollmsClient(tti_binding_name=name) as default,
        LollmsClient(tti_binding_name=name, tti_binding_config=config) as lc,
    ):
        assert default.tti is not None
        assert lc.tti is not None
        assert lc.tti.config["host_address"] == default.tti.config["host_address"] != ""
        assert lc.tti.config["model_name"] == default.tti.config["model_name"]
    with LollmsClient(tti_binding_name=name, host_address="", service_key="") as shared:
        assert shared.tti is not None
        assert shared.tti.config["host_address"] == default.tti.config["host_address"]


def test_the_arguments_of_1x_with_their_defaults() -> None:
    with LollmsClient(tts_binding_name="example", stt_binding_name="example", tti_binding_name="example") as lc:
        speech = lc.generate_audio("Hello.", voice=None)
        assert (
            lc.transcribe_audio(audio_source=speech)
            == lc.transcribe_audio(speech)
            == lc.transcribe_audio(audio_path=speech)
        )
        with pytest.raises(TypeError, match="audio_path"):
            lc.transcribe_audio()
        image = lc.generate_image("lemons", width=32, height=16)
        plain = lc.edit_image(image, "at night", seed=3)
        assert lc.edit_image([image], "at night", "", None, width=None, height=None, seed=3) == plain
        assert lc.edit_image(image, "at night", mask="", seed=3) == plain
        with pytest.raises(OptionError, match="no option 'width'"):
            lc.edit_image(image, "at night", width=32)
