"""Where the client's bindings run: ``place`` in a binding's config."""

from __future__ import annotations

from pathlib import Path

import pytest
from lollms_client import LollmsClient
from lollms_client.cli.configuration import ConfigurationError, configured
from lollms_modalities import SettingsError
from lollms_modalities.configuration import read_configuration
from lollms_modalities.workers.isolated import IsolatedBinding
from lollms_shell import Shell


@pytest.fixture
def lollms(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


def test_a_config_may_name_a_place() -> None:
    with LollmsClient(tts_binding_name="piper", tts_binding_config={"place": "process"}) as lc:
        assert isinstance(lc.tts, IsolatedBinding)
    with pytest.raises(SettingsError, match=r"offers a place 'nowhere'\. There are: .*process"):
        LollmsClient(tts_binding_name="piper", tts_binding_config={"place": "nowhere"})


@pytest.mark.parametrize(
    ("address", "said"),
    [("nowhere://x", r"offers places with addresses nowhere://\. There are: .*process"),
     ("process://x", "No distribution offers places with addresses process://"), ("a b", "offers a place 'a b'"),
     ("gpu-box", r"offers a place 'gpu-box'.*written as ssh://user@host"), ("", "offers a place ''")],
)  # fmt: skip
def test_an_address_that_nobody_takes_is_told(address: str, said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        LollmsClient(tts_binding_name="piper", tts_binding_config={"place": address})


def test_the_file_says_where_each_of_several_runs(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text(
        '[tts]\nbinding = ["nobodys", "example"]\nplace = "nowhere://x"\n[tts.example]\nplace = "process"\n'
        'voice_name = "a"\n'
    )
    said = configured(read_configuration(file))
    assert said.runs_in("tts", "nobodys") == {"place": "nowhere://x"}
    assert said.runs_in("tts", "example") == {"place": "process"}
    assert said.runs_in("tts", "piper") == {}, "which the file does not choose"
    assert said.settings("tts", "example") == {"voice_name": "a"}
    assert said.where_said("tts", "place", "example") == f"{file}, line 5"
    assert said.where_said("tts", "place", "nobodys") == f"{file}, line 3"
    with pytest.raises(SettingsError, match="nowhere://"):  # a mistake ends the search, as a wrong setting does
        LollmsClient.from_config(file)
    file.write_text(file.read_text().replace("nowhere://x", "process").replace('voice_name = "a"\n', ""))
    with LollmsClient.from_config(file) as lc:
        assert isinstance(lc.tts, IsolatedBinding)
        chosen = lc.tts.generate_audio("hi").provenance.extra["chosen"]
        assert "nobodys" in chosen["instead_of"]


def test_a_place_in_the_file_is_a_string(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    for text in ("[tts]\nplace = 3\n", "[tts.piper]\nplace = 3\n", "[tts]\nplace = ['a']\n"):
        file.write_text(text)
        with pytest.raises(ConfigurationError, match=r"line 2: tts(\.piper)?\.place is"):
            configured(read_configuration(file))


@pytest.mark.full
def test_the_command_line_says_where(lollms: Shell) -> None:
    speak = ("speak", "hi", "-b", "example")
    assert lollms(*speak, "-o", "-", "--place", "process").stdout != b""
    assert "nowhere://" in lollms(*speak, "--place", "nowhere://x", code=2).stderr
    assert lollms("voices", "-b", "example", "--place", "process").stdout == b"low\nhigh\n"
    lollms("config", "tts.binding", "example")
    assert "offers a place" in lollms("config", "tts.place", "nowhere", code=2).stderr
    lollms("config", "tts.example.place", "process")
    del lollms.env["LOLLMS_TTS_BINDING"]
    assert "process" in lollms("config", "tts.example.place").stdout.decode()
    lollms("speak", "hi", "-o", "-")
    file = lollms.env["XDG_CONFIG_HOME"]
    written = next(Path(file).rglob("config.toml"))
    written.write_text(written.read_text().replace('place = "process"', 'place = "nowhere"'))
    told = lollms("speak", "hi", code=2).stderr
    assert f"{written}, line" in told
    assert "offers a place 'nowhere'" in told
    assert "nowhere" in lollms("doctor", "--quick", code=1).stdout.decode()
    lollms("speak", "hi", "-o", "-", "--isolated")
