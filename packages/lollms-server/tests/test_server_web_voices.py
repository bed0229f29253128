"""Voices that callers register: each is its caller's alone, and gone when it is removed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from lollms_modalities import Audio
from lollms_server.room.keys import Keys
from serving import Reply, Server, form, serving
from waiting import files_below, wait_until

VOICES, SPEECH = "/v1/audio/voices", "/v1/audio/speech"
WAV = bytes(Audio.from_pcm(bytes(32000), 16000))
CONSENT = "Ann herself, 2026-11-27"
CONFIGURATION = """
[serve]
keys_file = KEYS
[models.counting]
binding = "counting"
modality = "tts"
isolated = ISOLATED
[models.tone]
binding = "example"
modality = "tts"
isolated = false
"""


class Asker:
    """Whoever has a key."""

    def __init__(self, server: Server, key: str) -> None:
        self.server = server
        self.headers = {"Authorization": f"Bearer {key}"}

    def add(self, name: str = "Ann", recording: bytes = WAV, **more: str) -> Reply:
        body, headers = form({"name": name, "consent": CONSENT, **more, "audio_sample": ("ann.wav", recording)})
        return self.server.ask("POST", VOICES, body, {**headers, **self.headers})

    def ask(self, method: str, path: str, body: object = None) -> Reply:
        return self.server.ask(method, path, body, self.headers)

    def names(self) -> dict[str, str]:
        return {row["id"]: row["category"] for row in self.ask("GET", f"{VOICES}?model=counting").json["data"]}


@pytest.fixture(scope="module", params=["false", "true"], ids=["in place", "isolated"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("server")
    keys = Keys(folder / "keys.json")
    made = {name: keys.add(name, role="admin" if name == "boss" else "user") for name in ("ann", "bob", "boss")}
    (folder / "made").write_text("\n".join(made.values()))
    with serving(folder, CONFIGURATION.replace("ISOLATED", request.param)) as running:
        yield running


@pytest.fixture
def askers(server: Server) -> tuple[Asker, Asker, Asker]:
    ann, bob, boss = (Asker(server, key) for key in (server.log.parent / "made").read_text().split())
    return ann, bob, boss


def _clear(server: Server) -> None:
    """Room in its folder for the next server, which is to find the same files."""
    shutil.rmtree(server.uploads)
    shutil.rmtree(server.log.parent / "planted")


def kept(server: Server) -> list[Path]:
    kept = files_below(Path(f"{server.counted.path}-voices"))
    return [path for path in kept if path.name.startswith("recording")]


def test_a_voice_is_its_callers_alone(server: Server, askers: tuple[Asker, Asker, Asker]) -> None:
    ann, bob, boss = askers
    made = ann.add().json
    voice = made["id"]
    assert made["name"] == "Ann"
    assert ann.names() == {"one": "premade", "two": "premade", voice: "cloned"}
    assert bob.names() == {"one": "premade", "two": "premade"}
    assert voice in boss.names()
    for name in (voice, "Ann", {"id": voice}):
        assert ann.ask("POST", SPEECH, {"input": "hello", "voice": name}).status == 200
        refused = bob.ask("POST", SPEECH, {"input": "hello", "voice": name})
        assert (refused.status, refused.error["code"]) == (404, "voice_not_found")
        assert voice not in refused.error["message"].replace(repr(voice), "")
    assert server.counted.lines()[-2:][0].endswith(voice)
    path = "/lollms/v2/bindings/tts/counting"
    arguments = {"arguments": {"text": "hello", "voice": voice}}
    assert ann.ask("POST", f"{path}/verbs/generate_audio", arguments).status == 200
    assert bob.ask("POST", f"{path}/verbs/generate_audio", arguments).error["code"] == "voice_not_found"
    assert voice not in bob.ask("GET", path).body.decode()
    assert voice not in bob.ask("GET", f"{path}/voices").body.decode()
    assert bob.ask("DELETE", f"{VOICES}/{voice}").error["code"] == "voice_not_found"
    assert len(kept(server)) == 1
    assert ann.ask("DELETE", f"{VOICES}/{voice}").json["deleted"] is True
    assert not kept(server)
    assert voice not in ann.names()
    assert ann.ask("POST", SPEECH, {"input": "hello", "voice": voice}).error["code"] == "voice_not_found"
    assert ann.ask("DELETE", f"{VOICES}/{voice}").error["code"] == "voice_not_found"


def test_two_callers_may_call_theirs_alike(server: Server, askers: tuple[Asker, Asker, Asker]) -> None:
    ann, bob, boss = askers
    voices = [ann.add("My voice").json["id"], bob.add("My voice").json["id"]]
    assert voices[0] != voices[1]
    assert ann.add("My voice").status == 400
    assert bob.ask("POST", SPEECH, {"input": "hello", "voice": "My voice"}).status == 200
    assert any(line.endswith(voices[1]) for line in server.counted.lines())
    for voice in voices:  # an admin tidies up
        assert boss.ask("DELETE", f"{VOICES}/{voice}").status == 200
    assert not kept(server)


def test_what_is_no_recording_or_has_no_consent_is_refused(server: Server, askers: tuple[Asker, Asker, Asker]) -> None:
    ann, *_ = askers
    assert ann.add(recording=b"no sound").error["code"] == "invalid_media"
    assert ann.add(recording=bytes(Audio.from_pcm(bytes(2 * 200 * 8000), 8000))).error["code"] == "invalid_media"
    assert ann.add(consent="").error["param"] == "consent"
    assert ann.add(name="").error["param"] == "name"
    assert ann.add(model="nobody").error["code"] == "model_not_found"
    assert ann.add(model="tone").error["code"] == "unsupported"
    assert ann.add(nam="x").error["param"] == "nam"
    body, headers = form({"name": "x", "consent": CONSENT, "audio_sample": "/etc/passwd"})
    assert server.ask("POST", VOICES, body, {**headers, **ann.headers}).error["code"] == "missing_file"
    for voice in ("one", "../x", "voice_", "%2e%2e"):
        assert ann.ask("DELETE", f"{VOICES}/{voice}").status == 404
    assert not kept(server)
    wait_until(lambda: not server.files())


def test_the_voices_of_a_key_that_was_removed_are_removed(server: Server) -> None:
    keys = Keys(server.log.parent / "keys.json")
    gone, other = Asker(server, keys.add("gone")), Asker(server, keys.add("other"))
    voices = [gone.add("Mine").json["id"], gone.add("Mine, too").json["id"]]
    stays = other.add("Mine").json["id"]
    try:
        keys.remove("gone")
        again = Asker(server, keys.add("gone"))
        assert again.ask("POST", SPEECH, {"input": "hello", "voice": "Mine"}).status == 404
        for voice in voices:
            assert again.ask("POST", SPEECH, {"input": "hello", "voice": voice}).status == 404
            assert again.ask("DELETE", f"{VOICES}/{voice}").status == 404
        wait_until(lambda: len(kept(server)) == 1)
        assert not set(voices) & set(again.names())
        assert other.ask("POST", SPEECH, {"input": "hello", "voice": "Mine"}).status == 200
        wait_until(lambda: voices[0] not in (server.log.parent / "voices.json").read_text())
        keys.rotate("other")  # which is the same key's owner
        assert stays in (server.log.parent / "voices.json").read_text()
    finally:
        keys.remove("gone")
        keys.remove("other")
        assert server.ask("GET", "/v1/models").status == 401  # it looks at the keys
        wait_until(lambda: not kept(server))


def test_what_a_key_left_is_removed_at_the_next_start(tmp_path: Path) -> None:
    keys = Keys(tmp_path / "keys.json")
    made = keys.add("gone")
    text = CONFIGURATION.replace("ISOLATED", "false")
    with serving(tmp_path, text) as first:
        voice = Asker(first, made).add().json["id"]
        assert len(kept(first)) == 1
    keys.remove("gone")
    keys.add("another")
    _clear(first)
    with serving(tmp_path, text) as second:
        wait_until(lambda: not kept(second))
        wait_until(lambda: voice not in (tmp_path / "voices.json").read_text())


def test_what_cannot_be_removed_now_is_nobodys_until_it_can(tmp_path: Path) -> None:
    keys = Keys(tmp_path / "keys.json")
    made = keys.add("gone")
    text = CONFIGURATION.replace("ISOLATED", "false")
    with serving(tmp_path, text) as first:
        Asker(first, made).add()
    keys.remove("gone")
    again = keys.add("gone")
    _clear(first)
    with serving(tmp_path, text.replace("models.counting", "models.other")) as second:  # its model is not served
        wait_until(lambda: "could not be removed" in second.log.read_text())
        assert len(kept(second)) == 1
        rows = second.ask("GET", VOICES, headers={"Authorization": f"Bearer {again}"}).json["data"]
        assert "cloned" not in {row["category"] for row in rows}
    _clear(second)
    with serving(tmp_path, text) as third:
        wait_until(lambda: not kept(third))
