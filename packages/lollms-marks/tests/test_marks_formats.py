"""Marks in every format: what is seen and heard stays, ours and other programs find them, tags of others are kept."""

from __future__ import annotations

import io
import json
import struct
import wave
from pathlib import Path

import pytest
from lollms_marks import Mark, put, verify
from lollms_marks.formats import read, write
from lollms_marks.mark import AIGC, OWN, SOURCE_TYPE, parsed, texts_of_packet
from lollms_marks.view import Broken, View, edit_file
from lollms_marks.writing import marks_in
from lollms_modalities import Audio, AudioEncoder, EncodedBytes
from marked_files import KINDS, SOUND, converted, decoded, exiftool_s_tags, ffmpeg_s_tags, file_of, suffix_of
from PIL import Image as Pillow
from programs import run

MARK = Mark(
    id="ab" * 16, time="2026-11-27T10:00:00Z", engine="piper-tts 1.3.0", distribution="lollms-piper 2.0.0",
    model="en_US-joe", producer='Jürgen & Söhne <"x">', inputs=("cd" * 16,),
)  # fmt: skip
TERM = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"


@pytest.fixture
def pair(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, Path]:
    """A file as it was, and marked."""
    kind = request.param
    plain, marked = (tmp_path / f"{name}{suffix_of(kind)}" for name in ("plain", "marked"))
    plain.write_bytes(file_of(kind))
    made = put(file_of(kind), MARK)
    assert made is not None
    marked.write_bytes(made)
    return plain, marked


every = pytest.mark.parametrize("pair", KINDS, indirect=True)


@every
def test_what_is_decoded_stays_and_our_reader_finds_it(pair: tuple[Path, Path]) -> None:
    plain, marked = pair
    assert decoded(plain) == decoded(marked)
    assert verify(plain).status == "none"
    report = verify(marked)
    assert (report.status, report.generated, report.problems) == ("whole", True, ())
    (finding,) = report.findings
    assert (finding.technique, finding.whole) == ("lollms", None)
    assert Mark.from_json(finding.details) == MARK
    assert "unsigned" in finding.says


@every
def test_a_file_is_marked_as_bytes_are(pair: tuple[Path, Path]) -> None:
    plain, marked = pair
    put(plain, MARK)
    assert plain.read_bytes() == marked.read_bytes()


@every
def test_another_mark_takes_its_place(pair: tuple[Path, Path]) -> None:
    plain, marked = pair
    other = Mark(id="ef" * 16, engine="another 2")
    put(marked, other)
    assert [Mark.from_json(each.details) for each in verify(marked).findings] == [other]
    assert decoded(marked) == decoded(plain)
    tags = exiftool_s_tags(marked)
    assert "ExifTool:Warning" not in tags
    assert MARK.id not in str(tags)


@every
def test_exiftool_finds_it(pair: tuple[Path, Path]) -> None:
    tags = exiftool_s_tags(pair[1])
    assert "ExifTool:Warning" not in tags
    texts = " ".join(str(value) for value in tags.values())
    assert TERM in texts
    assert MARK.id in texts
    assert [name for name in tags if name.lower().endswith("aigc")] or "(AIGC)" in texts


@pytest.mark.parametrize("pair", [*SOUND, "webm"], indirect=True)
def test_ffmpeg_finds_it(pair: tuple[Path, Path]) -> None:
    label = json.loads(ffmpeg_s_tags(pair[1])["AIGC"])
    assert label == {"Label": "1", "ContentProducer": MARK.producer, "ProduceID": MARK.id}


@pytest.mark.parametrize("pair", ["png", "jpeg", "webp", "lossless.webp", "alpha.webp"], indirect=True)
def test_pillow_finds_it(pair: tuple[Path, Path]) -> None:
    plain, marked = pair
    with Pillow.open(plain) as before, Pillow.open(marked) as image:
        assert (image.mode, image.size, image.tobytes()) == (before.mode, before.size, before.tobytes())
        packet = image.info.get("xmp") or image.info["XML:com.adobe.xmp"].encode()
    assert texts_of_packet(packet) == MARK.texts()


@pytest.mark.parametrize("kind", SOUND)
def test_our_own_decoder_hears_the_same(kind: str) -> None:
    before, after = Audio(file_of(kind)), Audio(put(file_of(kind), MARK) or b"")
    assert after.format == before.format == kind
    assert (after.sample_rate, after.channels, after.duration) == (before.sample_rate, before.channels, before.duration)
    assert after.to_numpy().tobytes() == before.to_numpy().tobytes()


def test_files_of_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "a.wav").write_bytes(file_of("wav"))
    put("~/a.wav", MARK)
    assert verify("~/a.wav").status == "whole"


@pytest.mark.parametrize("kind", SOUND)
def test_the_head_of_a_stream(kind: str, tmp_path: Path) -> None:
    """What an encoder gives first has all headers; put together the stream is the file."""
    written = EncodedBytes()
    parts = []
    with AudioEncoder(written, 24000, output_format=kind) as encoder:  # type: ignore[arg-type]
        for _ in range(8):
            encoder.feed(bytes(range(240)) * 100)
            parts.append(written.take())
    parts = [part for part in [*parts, written.take()] if part]
    marked = tmp_path / f"x.{kind}"
    marked.write_bytes((put(parts[0], MARK) or b"") + b"".join(parts[1:]))
    plain = tmp_path / f"y.{kind}"
    plain.write_bytes(b"".join(parts))
    assert decoded(plain) == decoded(marked)
    assert verify(marked).status == "whole"
    assert json.loads(ffmpeg_s_tags(marked)["AIGC"])["ProduceID"] == MARK.id


def test_the_head_of_a_film_that_is_streamed(tmp_path: Path) -> None:
    """Its headers alone, with no picture yet."""
    live = converted(file_of("mp4"), "webm", "-c:v", "libvpx", "-threads", "1", "-live", "1")
    movable = ("-c", "copy", "-movflags", "frag_keyframe+empty_moov+default_base_moof")  # as what is streamed is made
    fragments = converted(file_of("mp4"), "mp4", *movable)
    heads = ("webm", live, live.index(b"\x1f\x43\xb6\x75")), ("mp4", fragments, fragments.index(b"moof") - 4)
    for suffix, film, at in heads:
        plain, marked = tmp_path / f"plain.{suffix}", tmp_path / f"marked.{suffix}"
        plain.write_bytes(film)
        marked.write_bytes((put(film[:at], MARK) or b"") + film[at:])
        assert decoded(plain) == decoded(marked)
        assert verify(marked).findings[0].details["id"] == MARK.id


@pytest.mark.parametrize("kind", ["mp3", "flac", "ogg", "opus", "wav", "mp4", "webm"])
def test_a_title_of_the_user_s_stays(kind: str, tmp_path: Path) -> None:
    more = ("-c", "copy", "-metadata", "title=Über allen Gipfeln", "-metadata", "artist=me")
    mine = converted(file_of(kind), kind, *more, *(("-id3v2_version", "3") if kind == "mp3" else ()))
    path = tmp_path / f"x.{kind}"
    path.write_bytes(put(mine, MARK) or b"")
    tags = ffmpeg_s_tags(path)
    assert (tags["TITLE"], tags["ARTIST"]) == ("Über allen Gipfeln", "me")
    assert verify(path).findings[0].details["id"] == MARK.id
    before = tmp_path / f"y.{kind}"
    before.write_bytes(mine)
    assert decoded(before) == decoded(path)


@pytest.mark.parametrize(("kind", "version"), [("mp3", "3"), ("mp3", "4"), ("flac", "")])
def test_a_cover_of_the_user_s_stays(kind: str, version: str, tmp_path: Path) -> None:
    (tmp_path / "cover.png").write_bytes(file_of("png"))
    more = ("-i", str(tmp_path / "cover.png"), "-map", "0", "-map", "1", "-c", "copy", "-disposition:v", "attached_pic")
    mine = converted(file_of(kind), kind, *more, *(("-id3v2_version", version) if version else ()))
    path, before = tmp_path / f"x.{kind}", tmp_path / f"y.{kind}"
    path.write_bytes(put(mine, MARK) or b"")
    before.write_bytes(mine)
    assert decoded(before) == decoded(path)
    assert path.read_bytes().count(file_of("png")) == 1
    assert verify(path).findings[0].details["producer"] == MARK.producer


def test_a_cover_in_an_ogg_whose_headers_take_several_pages(tmp_path: Path) -> None:
    path = tmp_path / "x.ogg"
    (tmp_path / "comment").write_text(f";FFMETADATA1\ncomment={'x' * 300_000}\n")
    more = ("-i", str(tmp_path / "comment"), "-map", "0", "-map_metadata:s:0", "1", "-c", "copy")
    mine = converted(file_of("ogg"), "ogg", *more)
    assert len(mine) > 300_000
    path.write_bytes(put(mine, MARK) or b"")
    before = tmp_path / "y.ogg"
    before.write_bytes(mine)
    assert decoded(before) == decoded(path)
    report = verify(path)
    assert (report.status, report.problems) == ("whole", ())
    assert ffmpeg_s_tags(path)["COMMENT"] == "x" * 300_000


@pytest.mark.parametrize("kind", ["png", "jpeg", "webp", "mp4"])
def test_xmp_of_the_user_s_stays(kind: str, tmp_path: Path) -> None:
    packet = (
        b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        b'<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:format>mine</dc:format>'
        b"</rdf:Description></rdf:RDF></x:xmpmeta>"
    )

    class Theirs(Mark):
        def packet(self, before: bytes = b"") -> bytes:
            return packet

    mine = put(file_of(kind), Theirs())
    assert mine is not None
    path = tmp_path / f"x.{kind}"
    path.write_bytes(put(mine, MARK) or b"")
    tags = exiftool_s_tags(path)
    assert "mine" in tags.values()
    assert TERM in tags.values()
    assert "ExifTool:Warning" not in tags
    (tmp_path / f"y.{kind}").write_bytes(mine)
    assert decoded(tmp_path / f"y.{kind}") == decoded(path)


def test_a_long_wav_file_is_not_copied_for_it(tmp_path: Path) -> None:
    path = tmp_path / "long.wav"
    with wave.open(str(path), "wb") as out:
        out.setnchannels(2)
        out.setsampwidth(2)
        out.setframerate(48000)
        out.writeframes(bytes(range(256)) * 40_000)
    inode, data = path.stat().st_ino, path.read_bytes()
    put(path, MARK)
    marked = path.read_bytes()
    assert path.stat().st_ino == inode
    assert marked[44 : len(data)] == data[44:], "behind the sound"
    assert verify(path).findings[0].details["id"] == MARK.id
    assert json.loads(ffmpeg_s_tags(path)["AIGC"])["ProduceID"] == MARK.id
    with wave.open(str(path)) as back:
        assert back.readframes(1 << 24) == data[44:]


def test_rf64_of_more_than_four_gigabytes(tmp_path: Path) -> None:
    """A sparse file: only what is looked at is read."""
    size = (5 << 30) + 2
    head = struct.pack("<4sI4s4sIQQQI", b"RF64", 0xFFFFFFFF, b"WAVE", b"ds64", 28, size + 72, size, size // 2, 0)
    head += struct.pack("<4sIHHIIHH4sI", b"fmt ", 16, 1, 1, 8000, 16000, 2, 16, b"data", 0xFFFFFFFF)
    path = tmp_path / "x.wav"
    with path.open("wb") as file:
        file.write(head)
        file.truncate(len(head) + size)
    put(path, MARK)
    assert verify(path).findings[0].details["id"] == MARK.id
    assert path.stat().st_blocks * 512 < 1 << 20


def test_labels_of_others(tmp_path: Path) -> None:
    """IPTC's source type as Adobe's programs write it, and the label AIGC as Chinese services do."""
    label = json.dumps({"Label": "2", "ContentProducer": "001191", "ProduceID": "x", "deep": {"a": 1}})
    path = tmp_path / "x.png"
    for description, technique, generated in (
        (f'<rdf:Description rdf:about="" xmlns:Iptc4xmpExt="x" Iptc4xmpExt:DigitalSourceType="{TERM}"/>', "iptc", True),
        ('<rdf:Description xmlns:e="x"><e:DigitalSourceType rdf:resource="http://a/digitalCapture"/></rdf:Description>', "iptc", False),
        (f"<rdf:Description xmlns:TC260='x' TC260:AIGC='{label}'/>", "aigc", True),
        (f"<rdf:Description xmlns:TC260='x'><TC260:AIGC>{label}</TC260:AIGC></rdf:Description>", "aigc", True),
        (f"<rdf:Description xmlns:T='x'><T:AIGC> <![CDATA[{label}]]></T:AIGC></rdf:Description>", "aigc", True),
        ("<rdf:Description xmlns:e='x'><e:DigitalSourceType rdf:resource = 'http://a/compositeSynthetic'/></rdf:Description>", "iptc", True),
    ):  # fmt: skip

        class Theirs(Mark):
            text = f"<rdf:RDF>{description}</rdf:RDF>".encode()

            def packet(self, before: bytes = b"") -> bytes:
                return self.text

        path.write_bytes(put(file_of("png"), Theirs()) or b"")
        (finding,) = verify(path).findings
        assert (finding.technique, finding.generated) == (technique, generated)
        if technique == "aigc":
            assert finding.details["ContentProducer"] == "001191"
            assert "may be generated" in finding.says


def test_an_older_id3_tag_stays_in_front() -> None:
    old = b"ID3\x02\0\0\0\0\0\x0f" + b"TT2\0\0\x09\0my title"
    assert len(old) == 25
    for data in (old + file_of("mp3"), b"ID3\x03\0\x80\0\0\0\0" + file_of("mp3")):
        made = put(data, MARK) or b""
        assert made.startswith(data[:10])
        assert marks_in(made)[0][OWN] == MARK.texts()[OWN]
        assert Audio(made).to_numpy().shape == Audio(file_of("mp3")).to_numpy().shape


def test_flac_behind_id3_and_a_single_block() -> None:
    flac = file_of("flac")
    size = int.from_bytes(flac[5:8], "big")
    alone = flac[:4] + b"\x80" + flac[5 : 8 + size]  # nothing but what says how it sounds
    for data in (b"ID3\x04\0\0\0\0\0\0" + flac, alone + b"\xff\xf8"):
        made = put(data, MARK) or b""
        assert marks_in(made)[0][OWN] == MARK.texts()[OWN]
    assert Audio(put(b"ID3\x04\0\0\0\0\0\0" + flac, MARK) or b"").to_numpy().shape == Audio(flac).to_numpy().shape


def test_what_has_no_place_is_refused(tmp_path: Path) -> None:
    for data in (b"", b"text", b"GIF89a" + bytes(20), b"RIFF\x04\0\0\0WAVE", file_of("png")[:20], file_of("webp")[:-9]):
        with pytest.raises(Broken):
            put(data, MARK)
        (tmp_path / "x").write_bytes(data)
        assert verify(tmp_path / "x").status == "none"


def test_damage_where_marks_are_kept_is_told(tmp_path: Path) -> None:
    for kind in ("png", "ogg", "opus"):
        data = bytearray(put(file_of(kind), MARK) or b"")
        data[data.index(b"en_US-joe")] ^= 1
        (tmp_path / "x").write_bytes(data)
        report = verify(tmp_path / "x")
        assert (report.status, len(report.problems)) == ("broken", 1)
    cut = (put(file_of("mp3"), MARK) or b"").replace(b'{"source_type"', b'["source_type"')
    (tmp_path / "x").write_bytes(cut)
    assert verify(tmp_path / "x").status == "broken"


def test_edits_of_files() -> None:
    assert read(View(io.BytesIO(file_of("png")))).texts == {}
    assert write(View(file_of("png")), MARK)[0].removed == 0
    assert parsed("[" * 100_000) is None
    assert parsed("x" * 70_000) is None
    assert set(MARK.texts()) == {SOURCE_TYPE, AIGC, OWN}
    with pytest.raises(FileNotFoundError):
        edit_file(Path("nowhere"), [])


def test_the_reader_needs_nothing_of_ours_and_no_other_package(tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    path.write_bytes(put(file_of("png"), MARK) or b"")
    program = (
        "import sys\nbefore = set(sys.modules)\nfor name in ('lollms_modalities', 'c2pa', 'cryptography'):\n"
        "    sys.modules[name] = None\nimport lollms_marks\n"
        f"print(lollms_marks.verify({str(path)!r}).status)\n"
        "print(sorted({n.partition('.')[0] for n in set(sys.modules) - before} - set(sys.stdlib_module_names)))\n"
    )
    told = run(program).split("\n")
    assert told == ["whole", "['c2pa', 'cryptography', 'lollms_marks', 'lollms_modalities']"]
