"""Files, nested bytes and secrets of a binding in a worker: as in place."""

from __future__ import annotations

import json
import os
import pickle
import stat
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from distributions import install
from lollms_modalities import Audio, LollmsTTSBindingManager, OptionError, hookimpl
from lollms_modalities.hooks import register, unregister

SOURCE = """
from typing import Any
from pydantic import SecretStr
from lollms_modalities import Audio, AudioChunk, BindingSettings, CallOptions, LollmsTTSBinding, MediaInput, option, setting


class Vault(LollmsTTSBinding):
    class Settings(BindingSettings):
        keys: list[SecretStr] = setting([])
        magic: bytes = setting(bytes([255]))

    class Options(CallOptions):
        samples: list[MediaInput] = option([])
        tokens: list[SecretStr] = option([])

    def list_voices(self, **kwargs):
        return []

    def generate_audio(self, text, voice=None, **kwargs):
        keys = "".join(key.get_secret_value() for key in self.settings.keys)
        if text == "fail":
            raise ValueError(f"no {keys}, no {kwargs['tokens'][0].get_secret_value()}")
        return Audio.from_chunks(AudioChunk(bytes(1 << 20), 22050) for _ in range(len(keys)))
"""


@pytest.fixture(scope="module")
def vault(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    folder = tmp_path_factory.mktemp("site")
    (folder / "vault_binding.py").write_text(SOURCE)
    install(folder, "vault", "[lollms_client.tts_bindings]\nvault = vault_binding:Vault\n")
    with LollmsTTSBindingManager(folder).require_binding("vault", isolated=True, keys=["SECRET", "X"]) as binding:
        yield binding


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


@pytest.mark.parametrize("name", ["x.wav", "x.flac"])
def test_a_stream_goes_into_its_output_path(vault: Any, name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(b"old")
    path.chmod(0o600)
    made = vault.generate_audio("hi", output_path=path)
    assert (made.path, len(made), stat.S_IMODE(path.stat().st_mode)) == (path, 0, 0o600)
    assert made.duration == pytest.approx(7 * (1 << 19) / 22050)
    assert names(tmp_path) == [name]


def test_a_fifo_is_written_through(vault: Any, tmp_path: Path) -> None:
    fifo = tmp_path / "x.flac"
    os.mkfifo(fifo)
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(fifo.read_bytes()))
    reader.start()
    vault.generate_audio("hi", output_path=fifo)
    reader.join(60)
    assert Audio(read[0]).format == "flac"
    assert stat.S_ISFIFO(fifo.lstat().st_mode)
    assert names(tmp_path) == ["x.flac"]


def test_a_suffix_that_contradicts_the_format_is_refused(vault: Any, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="stands for"):
        vault.generate_audio("hi", output_path=tmp_path / "x.flac", output_format="wav")
    assert names(tmp_path) == []


def test_nested_bytes_arrive_and_are_described(vault: Any, tmp_path: Path) -> None:
    (tmp_path / "x.bin").write_bytes(b"\xff" * 9)
    with (tmp_path / "x.bin").open("rb") as file:
        made = vault.generate_audio("hi", samples=[b"\xff\xfe", bytearray(b"\xff"), file, tmp_path / "x.bin"])
    described = ["<2 bytes>", "<1 bytes>", "<9 bytes>", str(tmp_path / "x.bin")]
    assert pickle.loads(pickle.dumps(made)).provenance.options["samples"] == described


def test_secrets_are_shown_nowhere_and_come_back(vault: Any) -> None:
    shown = vault.get_settings()
    assert "SECRET" not in json.dumps(shown)
    vault.set_settings(shown)
    assert vault.generate_audio("hi").duration == pytest.approx(7 * (1 << 19) / 22050)
    seen: list[Any] = []

    class Sees:
        @hookimpl
        def lollms_answer_call(self, arguments: Any) -> None:
            seen.append(repr(arguments))

        @hookimpl
        def lollms_before_call(self, call: Any) -> None:
            seen.append(repr(call.options))

    register(plugin := Sees())
    try:
        with pytest.raises(Exception, match="no ") as caught:
            vault.generate_audio("fail", tokens=["TICKET"])
    finally:
        unregister(plugin)
    told = [str(caught.value), json.dumps(caught.value.to_json()), str(caught.value.__cause__), *seen]  # type: ignore[attr-defined]
    assert not [text for text in told if "SECRET" in text or "TICKET" in text]
    assert len(seen) == 2
