"""Credentials with the time of an authority, and those of transcripts, which lie beside them."""

from __future__ import annotations

import datetime
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import c2pa
import pytest
from cryptography import x509
from lollms_marks import Mark, put, verify
from lollms_marks.plugin import Marks
from lollms_marks.settings import Settings
from lollms_marks.signing import Signing
from lollms_modalities import PluginRefused, Provenance, Segment, Transcript, hooks
from marked_files import file_of
from time_stamps import certificate_for, time_stamping

MARK = Mark(id="ab" * 16, time="2026-11-27T10:00:00Z", engine="piper-tts 1.3.0")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, list[bytes], Path]]:
    folder = tmp_path_factory.mktemp("authority")
    with time_stamping(folder) as (address, answered):
        yield address, answered, folder / "root.pem"


def signed(settings: dict[str, Any], told: list[str]) -> bytes:
    known = Settings.of(settings)
    assert known.problems == ()
    made = Signing(known, told.append).embed(put(file_of("wav"), MARK) or b"", "wav", MARK, (), "created")
    assert made is not None
    return made


def test_the_time_is_an_authoritys(authority: tuple[str, list[bytes], Path], tmp_path: Path) -> None:
    address, answered, _ = authority
    told: list[str] = []
    settings = certificate_for(tmp_path / "certificate", days=100)
    path = tmp_path / "x.wav"
    asked = len(answered)
    path.write_bytes(signed({**settings, "time_stamp": address, "time_stamp_timeout": 60.0}, told))
    assert (told, len(answered)) == ([], asked + 1)
    finding = verify(path).findings[0]
    assert finding.whole is True
    stamped = datetime.datetime.fromisoformat(finding.details["time"])
    assert abs(stamped.timestamp() - time.time()) < 600
    with c2pa.Reader(str(path)) as reader:  # what is not ours says the same
        results = json.loads(reader.json())["validation_results"]["activeManifest"]["success"]
    assert "timeStamp.validated" in [each["code"] for each in results]
    assert b"Good" not in answered[-1], "the authority is given a digest, and nothing of what was made"
    assert len(answered[-1]) < 200


@pytest.mark.full
def test_what_was_stamped_outlives_its_certificate(authority: tuple[str, list[bytes], Path], tmp_path: Path) -> None:
    told: list[str] = []
    settings = certificate_for(tmp_path / "certificate", days=30 / 86400)
    plain, stamped = tmp_path / "plain.wav", tmp_path / "stamped.wav"
    plain.write_bytes(signed(settings, told))
    stamped.write_bytes(signed({**settings, "time_stamp": authority[0], "time_stamp_timeout": 60.0}, told))
    assert all("certificate ends" in each for each in told), told
    certificate = x509.load_pem_x509_certificates(Path(settings["certificate"]).read_bytes())[0]
    while (left := certificate.not_valid_after_utc.timestamp() + 1 - time.time()) > 0:
        time.sleep(left)
    assert verify(stamped, trust=[authority[2]]).findings[0].whole is True
    assert verify(plain, trust=[authority[2]]).findings[0].whole is False
    unknown = verify(stamped).findings[0]
    assert unknown.whole is False, "anybody can make a time-stamp of any time"
    assert "trust the certificate of its authority" in unknown.says


@pytest.fixture
def plugin(tmp_path: Path) -> Iterator[Marks]:
    plugin = Marks({**certificate_for(tmp_path / "certificate", days=100), "failure": "refuse"})
    hooks.register(plugin)
    yield plugin
    hooks.unregister(plugin)


def transcript(*, made: bool = True) -> Transcript:
    heard = Transcript([Segment(0.0, 1.5, "Lemons.")])
    return heard.with_provenance(Provenance(engine="whisper", distribution="lollms-whisper")) if made else heard


@pytest.mark.parametrize("suffix", ["txt", "srt", "vtt", "tsv", "json"])
def test_a_transcripts_credentials_lie_beside_it(plugin: Marks, suffix: str, tmp_path: Path) -> None:
    path = transcript().save(tmp_path / f"talk.{suffix}")
    assert (tmp_path / f"talk.{suffix}.c2pa").is_file()
    report = verify(path)
    assert (report.status, report.generated) == ("whole", True)
    assert [(f.technique, f.where) for f in report.findings] == [("c2pa", "sidecar")]
    path.write_bytes(path.read_bytes().replace(b"Lemons", b"Melons"))
    assert verify(path).status == "broken"


def test_a_text_of_ones_own_is_not_signed(plugin: Marks, tmp_path: Path) -> None:
    transcript(made=False).save(tmp_path / "mine.txt")
    assert not (tmp_path / "mine.txt.c2pa").exists()


def test_a_text_that_cannot_be_signed_is_refused(
    plugin: Marks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: Any) -> None:
        raise RuntimeError("a fault of our own")

    monkeypatch.setattr("lollms_marks.signing.put_in_place", broken)
    with pytest.raises(PluginRefused, match="a fault of our own"):
        transcript().save(tmp_path / "talk.srt")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["certificate"]


def test_without_a_certificate_texts_are_as_ever(tmp_path: Path) -> None:
    plugin = Marks({"failure": "refuse"})
    hooks.register(plugin)
    try:
        transcript().save(tmp_path / "talk.srt")
    finally:
        hooks.unregister(plugin)
    assert [path.name for path in tmp_path.iterdir()] == ["talk.srt"]
