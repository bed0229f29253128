from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from distributions import install
from lollms_client import LollmsClient
from lollms_modalities import BindingClosedError, BindingNotFoundError, BindingUnavailableWarning, SettingsError
from lollms_modalities.entry_points.refs import refresh

CODE = """
from lollms_modalities import Audio, BindingSettings, LollmsTTSBinding, LollmsSTTBinding, Transcript, setting
from pydantic import SecretStr
class Remote(LollmsTTSBinding):
    class Settings(BindingSettings):
        host_address: str = setting("http://default", shared=True)
        service_key: SecretStr = setting(SecretStr(""), shared=True)
        models_path: str = setting("", shared=True)
    def generate_audio(self, text, voice=None, **kwargs): return Audio.from_pcm(bytes(2), 8000)
    def list_voices(self, **kwargs): return []
class Private(Remote):
    class Settings(BindingSettings):
        host_address: str = setting("http://default")
class Ears(LollmsSTTBinding):
    class Settings(BindingSettings):
        size: int = setting(1)
    def transcribe_audio(self, audio_path, model=None, **kwargs): return Transcript("hi")
    def list_models(self, **kwargs): return []
class Llm:
    made = 0
    def __init__(self, **settings):
        type(self).made += 1
        self.settings = settings
"""


@pytest.fixture(autouse=True)
def site(tmp_path: Path) -> Iterator[Path]:
    """A distribution with bindings for the client."""
    install(
        tmp_path,
        "client_dist",
        "[lollms_client.tts_bindings]\nremote = client_dist:Remote\nprivate = client_dist:Private\n"
        "[lollms_client.stt_bindings]\nears = client_dist:Ears\n[lollms_client.llm_bindings]\nllm = client_dist:Llm\n",
    )
    (tmp_path / "client_dist.py").write_text(textwrap.dedent(CODE))
    sys.path.insert(0, str(tmp_path))
    refresh()
    yield tmp_path
    sys.path.remove(str(tmp_path))
    sys.modules.pop("client_dist", None)
    refresh()


def settings_of(client: LollmsClient) -> Any:
    assert client.tts is not None
    return client.tts.settings


def test_the_documented_example() -> None:
    with pytest.warns(BindingUnavailableWarning, match="No tts binding 'bark' is installed") as warned:
        lc = LollmsClient(
            binding_name="lollms", tts_binding_name="bark", tts_binding_config={"model_name": "suno/bark-small"}
        )
    assert Path(warned[0].filename).name == Path(__file__).name
    if lc.tts:
        pytest.fail("bark is not part of this environment")
    assert lc.tts is None
    assert isinstance(lc.unavailable["tts"], BindingNotFoundError)
    assert "tti_binding_name" in str(lc.unavailable["tti"])
    assert lc.binding_name == "lollms"


def test_each_modality_has_its_binding() -> None:
    with LollmsClient(tts_binding_name="remote", stt_binding_name="ears", stt_binding_config={"size": 3}) as lc:
        assert lc.tts is not None
        assert lc.stt is not None
        assert lc.stt.transcribe_audio(lc.tts.generate_audio("hi")) == "hi"
        assert set(lc.unavailable) == {"tti", "ttm", "ttv"}
        assert repr(lc) == "<LollmsClient tts=remote, stt=ears>"
        tts = lc.tts
    with pytest.raises(BindingClosedError):
        tts.generate_audio("hi")


def test_shared_values_reach_the_settings_that_are_shared() -> None:
    lc = LollmsClient(
        host_address="http://mine", service_key="hunter2", models_path="/m", tts_binding_name="remote",
        tts_binding_config={"models_path": "/own"}, stt_binding_name="ears",
    )  # fmt: skip
    assert settings_of(lc).host_address == "http://mine"
    assert settings_of(lc).service_key.get_secret_value() == "hunter2"
    assert settings_of(lc).models_path == "/own"
    assert "hunter2" not in repr(vars(lc.tts))


def test_one_services_address_never_receives_anothers_key() -> None:
    elsewhere = LollmsClient(
        host_address="http://mine", service_key="hunter2", tts_binding_name="remote",
        tts_binding_config={"host_address": "http://elsewhere"},
    )  # fmt: skip
    assert settings_of(elsewhere).service_key.get_secret_value() == ""
    private = LollmsClient(host_address="http://mine", service_key="hunter2", tts_binding_name="private")
    assert settings_of(private).host_address == "http://default"


def test_a_wrong_setting_propagates_and_closes_what_was_made() -> None:
    with pytest.raises(SettingsError, match="size"):
        LollmsClient(tts_binding_name="remote", stt_binding_name="ears", stt_binding_config={"size": "big"})


def test_keywords_of_the_older_client_are_ignored_and_unknown_ones_told() -> None:
    LollmsClient(ctx_size=4096, temperature=0.1, n_threads=8, user_name="user", tts_model_profiles={})
    with pytest.raises(TypeError, match="Did you mean 'tts_binding_name'"):
        LollmsClient(tts_bindng_name="piper")


def test_the_language_model_is_made_at_first_use() -> None:
    lc = LollmsClient("llm", host_address="http://mine", llm_binding_config={"a": 1})
    module = sys.modules.get("client_dist")
    assert module is None or module.Llm.made == 0
    assert lc.binding is lc.binding
    assert lc.binding.settings == {"host_address": "http://mine", "a": 1}
    with pytest.raises(BindingNotFoundError, match="'lollms'"):
        _ = LollmsClient("lollms").binding
    with pytest.raises(BindingNotFoundError, match="named"):
        _ = LollmsClient().binding


def test_importing_and_listing_is_light() -> None:
    program = """
import sys
import lollms_client
from lollms_client.lollms_tts_binding import LollmsTTSBindingManager
from lollms_client import lollms_stt_binding, lollms_tti_binding, lollms_ttm_binding, lollms_ttv_binding
assert "piper" in LollmsTTSBindingManager().get_available_bindings()
assert "faster_whisper" in lollms_stt_binding.LollmsSTTBindingManager().get_available_bindings()
heavy = {"numpy", "pydantic", "pluggy", "torch", "av", "piper", "faster_whisper", "lollms_piper"} & sys.modules.keys()
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=20)


@pytest.mark.parametrize(
    ("module", "package", "name"),
    [("tts_bindings.piper_tts", "lollms_piper", "piper"), ("stt_bindings.faster_whisper", "lollms_faster_whisper", "faster-whisper")],
)  # fmt: skip
def test_a_documented_module_without_its_distribution_says_what_to_install(
    module: str, package: str, name: str
) -> None:
    program = f"""
import sys
sys.modules["{package}"] = None
try:
    import lollms_client.{module}
except ImportError as exc:
    print(exc)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=20, check=True)
    assert f'lollms install {name} (pip install "lollms-client[{name}]>=2.' in done.stdout


def test_the_classes_are_the_same_by_every_path() -> None:
    import lollms_modalities
    import lollms_piper
    from lollms_client.lollms_tts_binding import LollmsTTSBinding
    from lollms_client.tts_bindings.piper_tts import PiperTTSBinding

    assert LollmsTTSBinding is lollms_modalities.LollmsTTSBinding
    assert PiperTTSBinding is lollms_piper.PiperTTSBinding
    make: Callable[..., Any] = PiperTTSBinding
    assert isinstance(make(), LollmsTTSBinding)
