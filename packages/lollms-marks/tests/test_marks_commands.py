"""``lollms marks`` and ``lollms verify``, as a shell runs them; what is piped and served is marked, too."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from lollms_marks import Mark, put
from lollms_shell import Shell
from marked_files import file_of

ON = {"LOLLMS_PLUGINS_MARKS_ENABLED": "", "LOLLMS_TTS_BINDING": "example"}


@pytest.fixture
def lollms(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


def test_on_off_and_status(lollms: Shell) -> None:
    assert b"Marks are on" in lollms("marks", "status", **ON).stdout
    assert b"Marks are off" in lollms("marks", "off", **ON).stdout
    assert b"Marks are off" in lollms("marks", "status", **ON).stdout
    assert b"Marks are on" in lollms("marks", "on", **ON).stdout
    assert b"not signed" in lollms("marks", "status", **ON).stdout
    assert b"LOLLMS_PLUGINS_MARKS_ENABLED says" in lollms("marks", "on", LOLLMS_PLUGINS_MARKS_ENABLED="0").stdout
    wrong = lollms("marks", "status", code=1, LOLLMS_PLUGINS_MARKS_FAILURE="never", **ON)
    assert b"it is 'warn' or 'refuse'" in wrong.stdout
    (lollms.folder / "odd.toml").write_text("plugins = 3")
    assert "cannot be changed" in lollms("marks", "off", code=1, LOLLMS_CONFIG="odd.toml").stderr
    for name in ("", " ", "x" * 47, "a\nb"):
        assert "1 to 46 characters" in lollms("marks", "new-certificate", name, code=2).stderr
    assert lollms("marks", "dance", code=2).stderr.count("invalid choice") == 1


def test_what_is_written_and_piped_is_marked_and_signed(lollms: Shell) -> None:
    lollms("speak", "Good morning.", "-o", "plain.mp3", **ON)
    assert b"made by a model; not signed" in lollms("verify", "plain.mp3").stdout
    lollms("marks", "off")
    lollms("speak", "Good morning.", "-o", "off.mp3", **ON)
    assert b"No mark found. That does not mean that a person made it." in lollms("verify", "off.mp3", code=3).stdout
    lollms("marks", "on")
    made = lollms("marks", "new-certificate", "Example Ltd", **ON)
    assert b"for trials" in made.stdout
    trust = made.stdout.decode().splitlines()[2]
    assert b"a trial signature holds" in lollms("marks", "status", **ON).stdout
    assert "cannot be written" in lollms("marks", "new-certificate", "Example Ltd", code=1, **ON).stderr
    lollms("speak", "Good morning.", "-o", "signed.mp3", **ON)
    told = lollms("verify", "signed.mp3", "--trust", trust).stdout.decode()
    assert "signed, and unchanged since" in told
    assert "who is known here" in told
    assert "who is not known here" in lollms("verify", "signed.mp3").stdout.decode()
    piped = lollms("speak", "Good morning.", "-o", "-", "--format", "mp3", **ON).stdout
    (lollms.folder / "piped.mp3").write_bytes(piped)
    assert b"made by a model; not signed" in lollms("verify", "piped.mp3").stdout


def test_verify_for_programs(lollms: Shell) -> None:
    (lollms.folder / "made.png").write_bytes(put(file_of("png"), Mark(engine="x 1\x1b[31m")) or b"")
    (lollms.folder / "none.png").write_bytes(file_of("png"))
    broken = bytearray(put(file_of("ogg"), Mark(engine="x 1")) or b"")
    broken[broken.index(b"x 1")] ^= 1
    (lollms.folder / "broken.ogg").write_bytes(broken)
    whole, none, bad, gone = json.loads(
        lollms("verify", "--json", "made.png", "none.png", "broken.ogg", "gone.png", code=2).stdout
    )
    assert [each["status"] for each in (whole, none, bad, gone)] == ["whole", "none", "broken", "unread"]
    assert (whole["generated"], none["generated"]) == (True, None)
    assert none["note"].startswith("No mark found")
    assert lollms("verify", "made.png", "none.png", code=3).stdout.count(b"\x1b") == 0
    lollms("verify", "made.png", "none.png", "broken.ogg", code=1)
    lollms("verify", "made.png")
    (lollms.folder / "junk.pem").write_text("no certificate")
    damaged = f"-----BEGIN CERTIFICATE-----\n{'A' * 64}\n-----END CERTIFICATE-----\n"
    (lollms.folder / "damaged.pem").write_text(damaged)
    for pem, said in (("gone", "No such file"), ("junk", "no certificate"), ("damaged", "is damaged")):
        assert said in lollms("verify", "made.png", "--trust", f"{pem}.pem", code=2).stderr
    done = subprocess.run(
        [sys.executable, "-m", "lollms_marks", "made.png"], cwd=lollms.folder, capture_output=True, check=False
    )
    assert (done.returncode, b"made by a model" in done.stdout) == (0, True)
