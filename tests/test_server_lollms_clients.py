"""Clients of LoLLMs' servers against ours: ``lollms-remote`` in each protocol, and ``lollms_client`` as it was published."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lollms_modalities import Audio, LollmsTTSBindingManager, ServiceAuthError
from lollms_remote import LollmsSTTBinding_Impl, LollmsTTIBinding_Impl, LollmsTTSBinding_Impl
from lollms_remote.protocols import forget_protocols
from lollms_server.room.keys import Keys
from serving import SERVE, Server, models, serving

CONFIGURATION = f"""
{SERVE}
surfaces = ["openai", "lollms", "lollms-modern", "lollms-classic"]
[serve.defaults]
tts = "piper"
[models.piper]
binding = "piper"
modality = "tts"
settings = {{ default_noise_scale = 0, default_noise_w_scale = 0 }}
[models.ears]
binding = "faster_whisper"
modality = "stt"
{models("example", blocks="tti")}
"""
SENTENCE = "The boy was there when the sun rose."
# Each with what it does not say that it needs, and asked for what it can at all: see docs/serving/lollms.md.
PUBLISHED = {"1.21.1": (), "0.22.0": ("sqlalchemy",)}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("server"), CONFIGURATION) as running:
        forget_protocols()
        yield running
    forget_protocols()


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, str]]:
    folder = tmp_path_factory.mktemp("keyed")
    key = Keys(folder / "keys.json").add("anna")
    with serving(folder, CONFIGURATION) as running:
        forget_protocols()
        yield running, key
    forget_protocols()


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sentence, spoken by Piper in this process."""
    with LollmsTTSBindingManager().require_binding("piper") as piper:
        return Path(
            piper.generate_audio(SENTENCE, noise_scale=0, noise_w_scale=0).save(
                tmp_path_factory.mktemp("recording") / "sentence.wav"
            )
        )


@pytest.mark.parametrize("protocol", ["classic", "modern", "openai", "auto"])
def test_our_binding_speaks_hears_and_draws_in_each_protocol(server: Server, recording: Path, protocol: Any) -> None:
    where: dict[str, Any] = {"host_address": server.address, "protocol": protocol, "max_retries": 0}
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # nothing is left out, and nothing kept back
        with LollmsTTSBinding_Impl(**where) as tts:
            spoken = tts.generate_audio(SENTENCE)
            assert isinstance(spoken, Audio)
            assert 1 < spoken.duration < 6
            assert bool(tts.list_voices()) == (protocol != "openai"), "which has no list"
            assert spoken.provenance is not None
            assert spoken.provenance.extra["protocol"] == ("v2" if protocol == "auto" else protocol)
        user = {"user_name": "anna", "user_password": "any"} if protocol == "modern" else {}
        with LollmsSTTBinding_Impl(**where, **user) as stt:
            assert "boy was there" in stt.transcribe_audio(recording).lower()
            assert stt.list_models()
        with LollmsTTIBinding_Impl(**where) as tti:
            image = tti.generate_image("a cat", width=64, height=32)
            assert (image.format, image.width, image.height) == ("png", 64, 32)
            assert "blocks" in [row["name"] for row in tti.list_services()]


def test_a_key_lets_our_classic_binding_in(keyed: tuple[Server, str], recording: Path) -> None:
    server, key = keyed
    where: dict[str, Any] = {"host_address": server.address, "protocol": "classic", "max_retries": 0}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with LollmsTTSBinding_Impl(**where, service_key=key) as tts:
            assert tts.generate_audio("Hello.").duration > 0.2
            assert tts.list_voices()
        with LollmsSTTBinding_Impl(**where, service_key=key) as stt:
            assert "boy was there" in stt.transcribe_audio(recording).lower()
            assert stt.list_models()[0] == "ears"
        with LollmsTTIBinding_Impl(**where, service_key=key) as tti:
            assert tti.generate_image("a cat", width=64, height=32).width == 64
            assert "blocks" in [row["name"] for row in tti.list_services()]
            assert tti.get_settings()
    for wrong in ({}, {"service_key": "wrong"}):
        with LollmsTTSBinding_Impl(**where, **wrong) as tts, pytest.raises(ServiceAuthError) as refused:
            tts.generate_audio("Hello.")
        assert refused.value.status == 401


@pytest.mark.full
def test_a_key_lets_our_binding_in(keyed: tuple[Server, str], recording: Path) -> None:
    server, key = keyed
    where: dict[str, Any] = {"host_address": server.address, "max_retries": 0, "service_key": key}
    for protocol in ("modern", "openai", "auto"):
        with LollmsTTSBinding_Impl(**where, protocol=protocol) as tts:
            assert tts.generate_audio("Hello.").duration > 0.2
    user: dict[str, Any] = {"user_name": "anna", "user_password": key, "protocol": "modern"}
    with LollmsSTTBinding_Impl(**where, **user) as stt:
        assert "boy was there" in stt.transcribe_audio(recording).lower()


@pytest.fixture(scope="module", params=PUBLISHED)
def published(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """A published client in an environment of its own: its version, and the Python there."""
    version: str = request.param
    folder = tmp_path_factory.mktemp("published") / "venv"
    uv = [sys.executable, "-m", "uv", "--no-config"]  # by which that distribution is ours
    subprocess.run([*uv, "venv", "-q", "--python", sys.executable, str(folder)], check=True)
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    wanted = [f"lollms_client=={version}", *PUBLISHED[version]]
    subprocess.run([*uv, "pip", "install", "-q", "--python", str(python), *wanted], check=True)
    return version, python


PROGRAM = """
import base64, json, sys
from importlib import import_module
from pathlib import Path

import lollms_client

address, key, recording = sys.argv[1:]
folder = Path(lollms_client.__file__).parent


def made(kind):
    module = import_module(f"lollms_client.lollms_{kind}_binding")
    manager = getattr(module, f"Lollms{kind.upper()}BindingManager")(folder / f"{kind}_bindings")
    return manager.create_binding("lollms", host_address=address, service_key=key)


told = {}
if (tts := made("tts")) is not None:
    told["voices"] = tts.list_voices()
    told["spoken"] = len(tts.generate_audio("The boy was there.", fn="mine.wav"))
if (stt := made("stt")) is not None:
    told["heard"] = stt.transcribe_audio(recording)
    told["ears"] = stt.list_models()
tti = made("tti")
told["services"] = tti.list_services(client_id=key)
drawn = tti.generate_image("a cat", width=64, height=32, client_id=key)
told["drawn"] = base64.b64encode(drawn).decode()
if hasattr(tti, "edit_image_lollms"):
    told["changed"] = len(tti.edit_image(told["drawn"], "a dog", width=64, height=32))
    told["changed at lollms"] = len(tti.edit_image_lollms("a dog", told["drawn"]))
    told["capabilities"] = tti.get_capabilities()["capabilities"]
    told["speakers"] = [row["id"] for row in tti.list_models_by_type("tts")]
else:
    told["settings"] = tti.get_settings(client_id=key)
print("TOLD " + json.dumps(told))
"""


@pytest.mark.full
@pytest.mark.parametrize("with_key", [False, True])
def test_published_clients_find_what_we_have(
    server: Server, keyed: tuple[Server, str], recording: Path, published: tuple[str, Path], with_key: bool
) -> None:
    version, python = published
    server, key = keyed if with_key else (server, "some-client")
    program = [str(python), "-c", PROGRAM, server.address, key, str(recording)]
    ran = subprocess.run(program, capture_output=True, text=True, timeout=300)
    assert ran.returncode == 0, ran.stderr[-3000:]
    told = json.loads(ran.stdout.rpartition("TOLD ")[2])
    assert "boy was there" in told["heard"].lower()
    assert told["drawn"]
    if version == "0.22.0":  # it cannot make its speech binding, and sends no key with its lists
        assert "voices" not in told
        assert told["services"] == [{"name": "blocks", "caption": "blocks", "help": "example"}]
        assert isinstance(told["settings"], list)
        return
    assert told["ears"][0] == "ears"
    assert told["spoken"] == 0, "it keeps no sound: that is at its address"
    headers = {"Authorization": f"Bearer {key}"} if with_key else {}
    kept = server.ask("GET", "/audio/mine.wav", headers=headers)
    assert Audio(kept.body).duration > 0.5
    assert told["changed"] > 100
    assert told["changed at lollms"] > 100
    assert "text_to_speech" in told["capabilities"]
    assert told["speakers"][0] == "piper"
    # Of voices it asks without a key, and takes what it knows where it is not told.
    assert told["voices"] == (["main_voice"] if with_key else server.ask("GET", "/list_voices").json["voices"])
