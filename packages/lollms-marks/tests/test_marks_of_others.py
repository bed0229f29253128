"""What others write: their labels and source types, wherever they stand, and credentials of c2pa's own library."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import c2pa
import pytest
from lollms_marks import Finding, Mark, put, verify
from lollms_marks.certificates import new_certificate
from lollms_marks.credentials import context
from lollms_marks.mark import GENERATED
from lollms_marks.plugin import Marks
from lollms_marks.settings import Settings
from lollms_marks.signing import Signing
from lollms_modalities import Audio, Image, hooks
from marked_files import converted, exiftool_writes, file_of
from PIL import Image as Pillow
from PIL.PngImagePlugin import PngInfo

LABEL = json.dumps({"Label": "1", "ContentProducer": "001191", "ProduceID": "x"})
TERM = f"http://cv.iptc.org/newscodes/digitalsourcetype/{GENERATED}"


def the_finding(path: Path) -> Finding:
    report = verify(path)
    assert (report.status, report.generated, report.problems) == ("whole", True, ())
    (finding,) = report.findings
    return finding


def saved(kind: str, **more: Any) -> bytes:
    buffer = io.BytesIO()
    with Pillow.open(io.BytesIO(file_of("png"))) as picture:
        picture.save(buffer, kind.upper(), **more)
    return buffer.getvalue()


def exif(comment: bytes) -> bytes:
    made = Pillow.Exif()
    made.get_ifd(0x8769)[0x9286] = comment
    return made.tobytes()


def texts(way: str) -> PngInfo:
    info = PngInfo()
    if way == "iTXt":
        info.add_itxt("AIGC", LABEL, zip=True)
    else:
        info.add_text("AIGC", LABEL, zip=way == "zTXt")
    return info


IN_IMAGES = {
    **{f"{way}.png": lambda way=way: saved("png", pnginfo=texts(way)) for way in ("tEXt", "zTXt", "iTXt")},
    **{
        f"exif.{kind}": lambda kind=kind: saved(kind, exif=exif(b"ASCII\0\0\0" + b'{"AIGC":%s}' % LABEL.encode()))
        for kind in ("jpeg", "webp", "png")
    },
    "wide.jpeg": lambda: saved("jpeg", exif=exif(b"UNICODE\0" + f'{{"AIGC":{LABEL}}}'.encode("utf-16-le"))),
    "comment.jpeg": lambda: saved("jpeg", comment=f"AIGC={LABEL}".encode()),
}


@pytest.mark.parametrize("name", IN_IMAGES)
def test_labels_in_images(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(IN_IMAGES[name]())
    finding = the_finding(tmp_path / name)
    assert (finding.technique, finding.details["ContentProducer"]) == ("aigc", "001191")


@pytest.mark.parametrize(
    ("kind", "suffix"),
    [("mp4", "mp4"), ("mp4", "mov"), ("aac", "m4a"), ("mp3", "mp3"), ("flac", "flac"), ("ogg", "ogg"), ("opus", "opus"),
     ("webm", "webm"), ("webm", "mkv")],
)  # fmt: skip
def test_labels_that_ffmpeg_writes(kind: str, suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"x.{suffix}"
    more = ("-movflags", "use_metadata_tags") if suffix in ("mp4", "mov", "m4a") else ()
    path.write_bytes(converted(file_of(kind), suffix, "-c", "copy", "-metadata", f"AIGC={LABEL}", *more))
    finding = the_finding(path)
    assert (finding.technique, finding.details["ContentProducer"]) == ("aigc", "001191")


def test_a_label_that_says_its_name_once_more(tmp_path: Path) -> None:
    more = ("-c", "copy", "-metadata", f'AIGC={{"AIGC": {LABEL.replace(chr(34) + "1" + chr(34), "1")}}}')
    (tmp_path / "x.mp3").write_bytes(converted(file_of("mp3"), "mp3", *more))
    finding = the_finding(tmp_path / "x.mp3")
    assert (finding.technique, finding.generated, finding.details["ProduceID"]) == ("aigc", True, "x")


def test_a_label_as_itunes_keeps_such(tmp_path: Path) -> None:
    def box(name: bytes, *inside: bytes) -> bytes:
        data = b"".join(inside)
        return (8 + len(data)).to_bytes(4, "big") + name + data

    item = box(
        b"----", box(b"mean", bytes(4), b"com.apple.iTunes"), box(b"name", bytes(4), b"AIGC"),
        box(b"data", bytes(8), LABEL.encode()),
    )  # fmt: skip
    tags = box(b"udta", box(b"meta", bytes(4), box(b"hdlr", bytes(25)), box(b"ilst", box(b"\xa9nam"), item)))
    path = tmp_path / "x.m4a"
    path.write_bytes(box(b"ftyp", b"M4A \0\0\0\0") + box(b"moov", box(b"mvhd", bytes(100)), tags))
    assert the_finding(path).technique == "aigc"


@pytest.mark.parametrize("kind", ["png", "jpeg", "webp", "mp4", "mov", "gif", "tiff", "avif"])
def test_source_types_that_exiftool_writes(kind: str, tmp_path: Path) -> None:
    path = tmp_path / f"x.{kind}"
    path.write_bytes(
        file_of(kind) if kind in ("png", "jpeg", "webp", "mp4")
        else converted(file_of("mp4"), "mov", "-c", "copy") if kind == "mov" else saved(kind)
    )  # fmt: skip
    assert verify(path).status == "none"
    exiftool_writes(path, f"-XMP-iptcExt:DigitalSourceType={TERM}")
    assert the_finding(path).technique == "iptc"


# --- credentials ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def signing(tmp_path_factory: pytest.TempPathFactory) -> Signing:
    certificate, key, _ = new_certificate(tmp_path_factory.mktemp("certificate"), "Example Ltd")
    return Signing(Settings.of({"certificate": str(certificate), "key": str(key)}), print)


def theirs(signing: Signing, kind: str, data: bytes, term: str = TERM) -> bytes:
    """A file that c2pa's own library has signed, with nothing else in it."""
    actions = [{"action": "c2pa.created", "digitalSourceType": term}]
    manifest = {
        "claim_generator_info": [{"name": "another program"}],
        "assertions": [{"label": "c2pa.actions", "data": {"actions": actions}}],
    }
    out = io.BytesIO()
    c2pa.Builder(json.dumps(manifest), context()).sign(signing._plain, kind, io.BytesIO(data), out)
    return out.getvalue()


@pytest.mark.parametrize("kind", ["gif", "tiff", "avif", "mov", "avi"])
def test_credentials_in_other_formats(kind: str, signing: Signing, tmp_path: Path) -> None:
    path = tmp_path / f"x.{kind}"
    plain = saved(kind) if kind in ("gif", "tiff", "avif") else converted(file_of("mp4"), kind)
    mime = {"mov": "video/quicktime", "avi": "video/avi"}.get(kind, f"image/{kind}")
    data = bytearray(theirs(signing, mime, plain))
    path.write_bytes(data)
    finding = the_finding(path)
    assert (finding.technique, finding.whole) == ("c2pa", True)
    assert finding.details["generator"] == ["another program"]
    data[-5] ^= 1
    path.write_bytes(data)
    assert verify(path).status == "broken"


@pytest.fixture(params=[False, True], ids=["plain", "signing"])
def marks(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Marks]:
    settings: dict[str, Any] = {}
    if request.param:
        certificate, key, _ = new_certificate(tmp_path / "certificate", "Ours")
        settings = {"certificate": str(certificate), "key": str(key)}
    plugin = Marks(settings)
    hooks.register(plugin)
    yield plugin
    hooks.unregister(plugin)


def test_what_is_converted_says_what_its_credentials_said(marks: Marks, signing: Signing, tmp_path: Path) -> None:
    """Services sign, and write nothing else."""
    image, sound = theirs(signing, "image/jpeg", file_of("jpeg")), theirs(signing, "audio/wav", file_of("wav"))
    Image(image).save(tmp_path / "x.png")
    (tmp_path / "y.wav").write_bytes(sound)
    Audio(path=tmp_path / "y.wav").save(tmp_path / "y.mp3")
    for path in (tmp_path / "x.png", tmp_path / "y.mp3"):
        report = verify(path)
        assert (report.status, report.generated) == ("whole", True)
        if marks.settings.signs:
            assert report.findings[0].details["ingredients"] == 1
    Image(image).save(tmp_path / "same.jpeg")
    assert (tmp_path / "same.jpeg").read_bytes() == image


def test_a_photograph_that_a_camera_signed_gets_no_mark(marks: Marks, signing: Signing, tmp_path: Path) -> None:
    photograph = theirs(signing, "image/jpeg", file_of("jpeg"), TERM.replace(GENERATED, "digitalCapture"))
    Image(photograph).save(tmp_path / "x.png")
    assert verify(tmp_path / "x.png").status == "none"


def test_credentials_that_cannot_be_read_are_broken(signing: Signing, tmp_path: Path) -> None:
    data = bytearray(theirs(signing, "image/png", file_of("png")))
    data[-5] ^= 1  # of its last chunk's name
    (tmp_path / "x.png").write_bytes(data)
    report = verify(tmp_path / "x.png")
    assert report.status == "broken"
    assert "cannot be read" in report.findings[0].says
    (tmp_path / "y.png").write_bytes(file_of("png"))
    (tmp_path / "y.png.c2pa").write_bytes(b"no credentials")
    assert verify(tmp_path / "y.png").status == "broken"


def test_what_is_too_large_is_not_looked_at(signing: Signing, tmp_path: Path) -> None:
    path, beside = tmp_path / "x.png", tmp_path / "x.png.c2pa"
    plain = put(file_of("png"), Mark()) or b""
    for data, large in ((plain, beside), (theirs(signing, "image/png", plain), path)):
        path.write_bytes(data)
        with large.open("ab") as file:
            file.truncate(1 << 40)
        report = verify(path)
        assert (report.status, report.findings[0].technique) == ("whole", "lollms")
        assert "not looked at in files of more than" in report.problems[0]
        large.unlink()
