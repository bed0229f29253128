"""Signed content credentials: whole when they are, broken by any change, and what happens when signing is not possible."""

from __future__ import annotations

import io
import json
import logging
import random
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import c2pa
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils
from lollms_marks import Mark, Report, put, verify
from lollms_marks.certificates import new_certificate
from lollms_marks.credentials import context
from lollms_marks.mark import COMPOSITE
from lollms_marks.plugin import Marks
from lollms_marks.settings import Settings
from lollms_marks.signing import Signing, SigningError
from lollms_modalities import Audio, Image, PluginRefused, hooks
from marked_bindings import Draws, Speaks
from marked_files import decoded, file_of, suffix_of
from time_stamps import certificate_for

MARK = Mark(id="ab" * 16, time="2026-11-27T10:00:00Z", engine="piper-tts 1.3.0")
SIGNED = ("wav", "mp3", "flac", "png", "jpeg", "webp", "mp4", "fast.mp4", "fragments.mp4")


@pytest.fixture(scope="module")
def pem(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A certificate for trials, its key, and what ``--trust`` is given."""
    paths = new_certificate(tmp_path_factory.mktemp("certificate"), "Example Ltd")
    return dict(zip(("certificate", "key", "trust"), map(str, paths), strict=True))


@pytest.fixture(scope="module")
def signing(pem: dict[str, str]) -> Signing:
    return Signing(settings_of(pem), lambda problem: None)


def settings_of(pem: dict[str, str], **more: Any) -> Settings:
    settings = Settings.of({"certificate": pem["certificate"], "key": pem["key"], **more})
    assert settings.problems == ()
    return settings


def signed(signing: Signing, kind: str, *inputs: Any, action: str = "created") -> bytes:
    made = signing.embed(
        put(file_of(kind), MARK) or b"", suffix_of(kind)[1:].replace("jpg", "jpeg"), MARK, inputs, action
    )
    assert made is not None
    return made


def looked_at(data: bytes, folder: Path, **options: Any) -> Report:
    path = folder / "looked-at"
    path.write_bytes(data)
    return verify(path, **options)


@pytest.mark.parametrize("kind", SIGNED)
def test_what_is_signed_is_whole_and_decodes_as_before(
    kind: str, signing: Signing, pem: dict[str, str], tmp_path: Path
) -> None:
    before, after = (tmp_path / f"{name}{suffix_of(kind)}" for name in ("before", "after"))
    before.write_bytes(file_of(kind))
    after.write_bytes(signed(signing, kind))
    assert decoded(before) == decoded(after)
    report = verify(after)
    assert (report.status, report.generated) == ("whole", True)
    first, second = report.findings
    assert (first.technique, first.whole, first.known, second.technique) == ("c2pa", True, False, "lollms")
    assert "Example Ltd" in first.signer
    assert verify(after, trust=[pem["trust"]]).findings[0].known is True
    with pytest.raises(ValueError, match="no certificate"):
        verify(after, trust=[pem["key"]])
    with c2pa.Reader(str(after)) as theirs:  # as anybody else reads it
        assert theirs.get_validation_state() == "Valid"
        told = json.loads(theirs.json())
    said = {each["label"]: each["data"] for each in told["manifests"][told["active_manifest"]]["assertions"]}
    assert said["c2pa.actions.v2"]["actions"][0]["digitalSourceType"].endswith("trainedAlgorithmicMedia")
    assert said["org.lollms.mark"]["engine"] == "piper-tts 1.3.0"
    assert len(after.read_bytes()) - len(before.read_bytes()) < 10_000, "no thumbnails"


@pytest.mark.parametrize("kind", ["wav", "mp3", "flac"])
def test_our_decoder_hears_signed_sound(kind: str, signing: Signing) -> None:
    assert Audio(signed(signing, kind)).format == kind
    assert Audio(signed(signing, kind)).to_numpy().tobytes() == Audio(file_of(kind)).to_numpy().tobytes()


def flips(signing: Signing, kind: str, count: int, folder: Path) -> None:
    """Every change of one byte of the media is found; one of the manifest is, or changes nothing that it says."""
    data = signed(signing, kind)
    manifest = _manifest_of(data)
    rng = random.Random(5)

    def found(at: int) -> Any:
        broken = bytearray(data)
        broken[at] ^= 1 << rng.randrange(8)
        whole = [each for each in looked_at(bytes(broken), folder).findings if each.technique == "c2pa" and each.whole]
        return whole[0] if whole else None

    left_out = {*manifest, *_left_out(suffix_of(kind), data, manifest)}
    media = [at for at in range(len(data)) if at not in left_out]
    assert len(media) > len(data) - len(manifest) - 150
    assert [at for at in sorted(rng.sample(media, count)) if found(at) is not None] == []
    # There is room that was reserved, and names and sizes of boxes, by which nothing is said.
    before = looked_at(data, folder).findings[0]
    assert before.whole
    for at in sorted(rng.sample(manifest, count // 4)):
        assert found(at) in (None, before), at


def _manifest_of(data: bytes) -> range:
    """Where the manifest is: a box of JUMBF."""
    begin = data.index(b"jumb") - 4
    return range(begin, begin + int.from_bytes(data[begin : begin + 4], "big"))


def _left_out(suffix: str, data: bytes, manifest: range) -> Iterator[int]:
    """What C2PA's sums leave out besides: some of what a format puts around the manifest, and of MP4 the file's type
    and the index of fragments."""
    if suffix == ".png":
        yield from range(manifest.stop, manifest.stop + 4)
    elif suffix == ".jpeg":
        yield from range(manifest.start - 6, manifest.start)
    elif suffix == ".mp4":
        at = 0
        while at < len(data):
            size = int.from_bytes(data[at : at + 4], "big")
            if data[at + 4 : at + 8] in (b"ftyp", b"mfra"):
                yield from range(at, at + size)
            elif at < manifest.start < at + size:
                yield from range(at, manifest.start)
            at += size


@pytest.mark.parametrize("kind", ["wav", "mp3", "png", "mp4"])
def test_flipped_bytes(kind: str, signing: Signing, tmp_path: Path) -> None:
    flips(signing, kind, 60, tmp_path)


@pytest.mark.full
@pytest.mark.parametrize("kind", SIGNED)
def test_a_thousand_flipped_bytes(kind: str, signing: Signing, tmp_path: Path) -> None:
    flips(signing, kind, 1000, tmp_path)


@pytest.mark.parametrize("kind", ["wav", "png", "jpeg"])
def test_what_is_left_out_or_put_in_breaks_it(kind: str, signing: Signing, tmp_path: Path) -> None:
    data = signed(signing, kind)
    middle = len(data) * 3 // 4
    for other in (data[:middle] + data[middle + 9 :], data[:middle] + b"123456789" + data[middle:]):
        found = looked_at(other, tmp_path).findings
        assert not any(finding.whole for finding in found), "broken, or not found any more"
    remarked = put(data, Mark(engine="another 9.9"))
    assert looked_at(remarked or b"", tmp_path).status == "broken", "tag first, sign last"


@pytest.mark.parametrize("kind", ["ogg", "opus", "aac", "webm"])
def test_sidecars(kind: str, signing: Signing, tmp_path: Path) -> None:
    path = tmp_path / f"x.{kind}"
    path.write_bytes(put(file_of(kind), MARK) or b"")
    beside = signing.write_sidecar(path, path.read_bytes(), MARK, (), "created")
    assert beside == tmp_path / f"x.{kind}.c2pa"
    report = verify(path)
    assert [(f.technique, f.where, f.whole) for f in report.findings] == [
        ("c2pa", "sidecar", True), ("lollms", "embedded", None),
    ]  # fmt: skip
    data = bytearray(path.read_bytes())
    data[-3] ^= 4
    path.write_bytes(data)
    assert verify(path).status == "broken"
    (tmp_path / "talk.txt").write_text("A transcript.")
    signing.write_sidecar(tmp_path / "talk.txt", b"A transcript.", MARK, (), "created")
    assert verify(tmp_path / "talk.txt").status == "whole"
    (tmp_path / "talk.txt").write_text("A tranzcript.")
    assert verify(tmp_path / "talk.txt").status == "broken"


@pytest.mark.full
@pytest.mark.parametrize("kind", ["ogg", "opus", "aac", "webm"])
def test_flipped_bytes_of_what_is_signed_beside(kind: str, signing: Signing, tmp_path: Path) -> None:
    path = tmp_path / f"x.{kind}"
    data = put(file_of(kind), MARK) or b""
    path.write_bytes(data)
    signing.write_sidecar(path, data, MARK, (), "created")
    assert verify(path).findings[0].whole
    for at in random.Random(5).sample(range(len(data)), 1000):
        broken = bytearray(data)
        broken[at] ^= 1 << at % 8
        path.write_bytes(broken)
        assert not any(each.whole for each in verify(path).findings), at


@pytest.fixture
def plugin(pem: dict[str, str]) -> Iterator[Marks]:
    plugin = Marks({"certificate": pem["certificate"], "key": pem["key"]})
    hooks.register(plugin)
    yield plugin
    hooks.unregister(plugin)


def test_results_are_signed(plugin: Marks, tmp_path: Path) -> None:
    speech = Speaks()
    for name in ("wav", "mp3", "flac"):
        made = speech.generate_audio("hi", output_format=name)
        assert looked_at(made, tmp_path).findings[0].whole is True
        assert made.provenance is not None
        assert made.provenance.extra["marks"]["signed"] is True
        speech.generate_audio("hi", output_path=tmp_path / f"x.{name}")
        assert verify(tmp_path / f"x.{name}").findings[0].whole is True
        made.save(tmp_path / f"y.{name}")
        assert (tmp_path / f"y.{name}").read_bytes() == made, "not signed again"
    speech.generate_audio("hi", output_path=tmp_path / "x.ogg")
    assert verify(tmp_path / "x.ogg").findings[0].where == "sidecar"
    assert speech.generate_audio("hi", output_format="ogg").provenance.extra["marks"]["signed"] is False  # type: ignore[union-attr]
    streamed = b"".join(speech.stream_encoded("hi", output_format="mp3"))
    assert [finding.technique for finding in looked_at(streamed, tmp_path).findings] == ["lollms"]


def test_conversions_and_edits_have_ingredients(plugin: Marks, tmp_path: Path) -> None:
    made = Speaks().generate_audio("hi")
    finding = looked_at(made.convert("flac"), tmp_path).findings[0]
    assert (finding.whole, finding.details["ingredients"]) == (True, 1)
    drawn = Draws().generate_image("a square")
    edited = Draws().edit_images([drawn], "turn it")
    first, second = looked_at(edited, tmp_path).findings
    assert (first.whole, first.details["ingredients"], second.details["source_type"]) == (True, 1, COMPOSITE)
    assert first.details["source_types"][0] == COMPOSITE
    theirs = Draws().generate_image("marked")
    finding = looked_at(theirs, tmp_path).findings[0]
    assert (finding.whole, finding.details["ingredients"]) == (True, 1), "a plain mark of theirs is signed along"
    assert theirs.count(b"lollms:Mark>") == 2, "and not doubled"
    again = Draws().edit_images([drawn.convert("webp")], "turn it")
    assert looked_at(again, tmp_path).findings[0].details["ingredients"] == 1


def test_what_came_signed_is_left_as_it_is(plugin: Marks, signing: Signing) -> None:
    theirs = signed(signing, "jpeg")

    class Service(Draws):
        def generate_image(self, prompt: str, *args: Any, **kwargs: Any) -> Image:
            return Image(theirs)

    assert Service().generate_image("x") == theirs
    assert Service().generate_image("x", output_format="original") == theirs


def test_the_key_of_another_certificate_is_found_before_anything_is_signed(
    pem: dict[str, str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    other = new_certificate(tmp_path / "other", "Other Ltd")
    wrong = {"certificate": pem["certificate"], "key": str(other[1])}
    with pytest.raises(SigningError, match=r"does not fit|cannot sign"):
        Signing(settings_of(wrong), print)
    (tmp_path / "no.pem").write_text("no key")
    for broken in ({**wrong, "key": str(tmp_path / "no.pem")}, {**wrong, "certificate": str(tmp_path / "no.pem")},
                   {**wrong, "key": str(tmp_path / "gone")}):  # fmt: skip
        with pytest.raises(SigningError, match="cannot be"):
            Signing(settings_of(broken), print)
    for failure in ("warn", "refuse"):
        plugin = Marks({**wrong, "failure": failure})
        hooks.register(plugin)
        try:
            if failure == "refuse":
                with pytest.raises(PluginRefused, match=r"does not fit|cannot sign"):
                    Speaks().generate_audio("hi")
            else:
                with caplog.at_level(logging.WARNING, "lollms_marks"):
                    made = Speaks().generate_audio("hi")
                assert "is not marked" in caplog.text
                assert made.duration == 1
        finally:
            hooks.unregister(plugin)


def test_a_certificate_that_ends_soon_or_has_ended(tmp_path: Path) -> None:
    told: list[str] = []
    Signing(settings_of(certificate_for(tmp_path / "soon", days=12)), told.append)
    assert len(told) == 1
    assert "ends in 12 days" in told[0]
    with pytest.raises(SigningError, match="not valid at time of signing"):
        Signing(settings_of(certificate_for(tmp_path / "ended", days=-1)), told.append)


_KEYS: dict[str, Any] = {}


def sign_elsewhere(data: bytes) -> bytes:
    """As a key in hardware would."""
    _KEYS["asked"] = _KEYS.get("asked", 0) + 1
    r, s = utils.decode_dss_signature(_KEYS["key"].sign(data, ec.ECDSA(hashes.SHA256())))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def test_a_key_behind_a_callback(pem: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    _KEYS["key"] = serialization.load_pem_private_key(Path(pem["key"]).read_bytes(), None)
    monkeypatch.setitem(sys.modules, "a_key_elsewhere", sys.modules[__name__])
    given = {"certificate": pem["certificate"], "signer": "a_key_elsewhere:sign_elsewhere"}
    settings = Settings.of(given)
    assert settings.problems == ()
    signing = Signing(settings, print)
    report = looked_at(signed(signing, "png"), tmp_path, trust=[pem["trust"]])
    assert (report.findings[0].whole, report.findings[0].known) == (True, True)
    assert _KEYS["asked"] == 2
    with pytest.raises(SigningError, match="cannot be used"):
        Signing(Settings.of({**given, "signer": "a_key_elsewhere:gone"}), print)


@pytest.fixture
def silent() -> Iterator[tuple[str, list[socket.socket]]]:
    """A time-stamp server that takes connections and says nothing."""
    server = socket.create_server(("127.0.0.1", 0))
    taken: list[socket.socket] = []

    def accept() -> None:
        while True:
            try:
                taken.append(server.accept()[0])
            except OSError:
                return

    thread = threading.Thread(target=accept)
    thread.start()
    yield f"http://127.0.0.1:{server.getsockname()[1]}/", taken
    server.shutdown(socket.SHUT_RDWR)
    server.close()
    for connection in taken:
        connection.close()
    thread.join()


def test_a_time_stamp_server_that_hangs_is_not_waited_for(
    pem: dict[str, str], silent: tuple[str, list[socket.socket]], tmp_path: Path
) -> None:
    told: list[str] = []
    signing = Signing(settings_of(pem, time_stamp=silent[0], time_stamp_timeout=0.5), told.append)
    began = time.monotonic()
    for _ in range(3):
        assert looked_at(signed(signing, "png"), tmp_path).findings[0].whole is True
    assert time.monotonic() - began < 15, "c2pa itself would wait for 30 seconds, three times"
    assert len(told) == 1
    assert "no answer in 0.5 s" in told[0]
    assert len(silent[1]) == 1, "it is not asked again for a while"


def test_four_threads_on_one_key(signing: Signing, tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda kind: signed(signing, kind), ["wav", "png", "mp3", "jpeg"] * 6))
    assert [looked_at(each, tmp_path).findings[0].whole for each in made] == [True] * 24


def test_no_network_is_asked(signing: Signing, silent: tuple[str, list[socket.socket]], tmp_path: Path) -> None:
    """A manifest may be elsewhere, by its address in the file; c2pa's reader would fetch it."""
    builder = c2pa.Builder(
        json.dumps({"claim_generator_info": [{"name": "x"}], "assertions": [
            {"label": "c2pa.actions", "data": {"actions": [{"action": "c2pa.created", "digitalSourceType": "http://x/y"}]}}]}),
        context(),
    )  # fmt: skip
    builder.set_no_embed()
    builder.set_remote_url(silent[0])
    out = io.BytesIO()
    builder.sign(signing._plain, "image/jpeg", io.BytesIO(file_of("jpeg")), out)
    assert silent[0].encode() in out.getvalue()
    report = looked_at(out.getvalue(), tmp_path)
    assert report.status in ("none", "broken")
    assert silent[1] == []


def test_the_first_manifest_is_not_lost(signing: Signing, tmp_path: Path) -> None:
    first = signed(signing, "png")
    second = signed(signing, "jpeg", first, action="transcoded")
    with c2pa.Reader("image/jpeg", io.BytesIO(second), None, context()) as reader:
        told = json.loads(reader.json())
    assert len(told["manifests"]) == 2
    assert told["manifests"][told["active_manifest"]]["ingredients"][0]["relationship"] == "parentOf"


def test_what_refuses_leaves_no_sidecar(pem: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: Any) -> None:
        raise RuntimeError("a fault of our own")

    monkeypatch.setattr("lollms_marks.signing.put_in_place", broken)
    plugin = Marks({"certificate": pem["certificate"], "key": pem["key"], "failure": "refuse"})
    hooks.register(plugin)
    try:
        with pytest.raises(PluginRefused):
            Speaks().generate_audio("hi", output_path=tmp_path / "x.ogg")
    finally:
        hooks.unregister(plugin)
    assert list(tmp_path.iterdir()) == []
