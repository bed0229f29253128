"""The page's files as they are served, and as they are: small, of known origin, with nothing of another host."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from urllib.request import urlopen

import pytest
from lollms_modalities import ConfigurationError
from lollms_server.commands import opening
from lollms_server.room.configuration import Serve, load_configuration
from lollms_server.web.page import page
from lollms_server.web.surfaces import routes_of
from lollms_shell import Shell, wait_until
from npm_package import npm_package
from serving import Server, serving

FOLDER = Path(str(files("lollms_server") / "page"))
OWN = sorted(path for path in FOLDER.rglob("*") if path.is_file() and "vendor" not in path.parts)
HEAVIEST = 120_000  # bytes of all of it, as it is sent
CONFIGURATION = (
    "[serve]\nkeys_file = KEYS\n[models.counting]\nbinding = 'counting'\nmodality = 'tts'\nisolated = false\n"
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("server"), CONFIGURATION, upload_bytes=5_000_000) as running:
        yield running


def test_the_index_is_asked_for_each_time_and_the_rest_once(server: Server) -> None:
    index = server.ask("GET", "/")
    assert index.status == 200
    assert index.headers["content-type"] == "text/html; charset=utf-8"
    assert index.headers["cache-control"] == "no-cache"
    policy = index.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'")
    for rule in (
        "frame-ancestors 'none'",
        "base-uri 'none'",
        "form-action 'none'",
        "require-trusted-types-for 'script'",
    ):
        assert rule in policy
    assert "unsafe" not in policy
    again = server.ask("GET", "/", headers={"If-None-Match": index.headers["etag"]})
    assert (again.status, again.body) == (304, b"")
    addresses = re.findall(rb'(?:src|href)="([^"]+)"', index.body)
    assert len(addresses) >= 4
    for address in addresses:
        file = server.ask("GET", f"/{address.decode()}")
        assert (file.status, file.headers["cache-control"]) == (200, "public, max-age=31536000, immutable")


def test_every_file_is_served_with_its_type_and_the_policy(server: Server) -> None:
    for path in [*OWN, *FOLDER.glob("vendor/*.mjs")]:
        name = path.relative_to(FOLDER).as_posix()
        if name == "index.html":
            continue
        plain = server.ask("GET", f"/page/{page().digest}/{name}")
        packed = server.ask("GET", f"/page/{page().digest}/{name}", headers={"Accept-Encoding": "gzip, br"})
        assert plain.body == path.read_bytes()
        assert packed.headers["content-encoding"] == "gzip"
        assert gzip.decompress(packed.body) == plain.body
        assert plain.headers["x-content-type-options"] == "nosniff"
        assert plain.headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
        kind = {".js": "text/javascript", ".mjs": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
        assert plain.headers["content-type"].split(";")[0] == kind[path.suffix]


@pytest.mark.parametrize(
    "path",
    ["../web/page.py", "..%2fweb%2fpage.py", "%2e%2e/web/page.py", "/etc/passwd", "ui/../main.js", "main.js%00", "ui", "MAIN.JS", "x" * 3000],
)  # fmt: skip
def test_nothing_else_is_served(server: Server, path: str) -> None:
    assert server.ask("GET", f"/page/{page().digest}/{path}").status == 404


def test_files_of_another_version_are_none(server: Server) -> None:
    reply = server.ask("GET", "/page/0123456789abcdef/main.js")
    assert reply.status == 404
    assert "has changed" in reply.error["message"]
    assert reply.headers["cache-control"] == "no-store"


def test_a_page_that_is_switched_off_is_not_there(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text("[serve]\npage = false\n")
    serve = load_configuration(file).serve
    shown = {route.path for route in routes_of(serve.surfaces)}
    assert shown - {route.path for route in routes_of(serve.surfaces, page=serve.page)} == {
        "/",
        "/page/{digest}/{path*}",
    }


def test_what_is_opened_is_where_the_page_is() -> None:
    assert opening.address_of(Serve(), 9610) == "http://127.0.0.1:9610/"
    assert opening.address_of(Serve(host="0.0.0.0", tls_key=Path("k")), 1) == "https://127.0.0.1:1/"
    assert opening.address_of(Serve(host="::"), 1) == "http://[::1]:1/"
    for off in (Serve(page=False), Serve(surfaces=("openai",))):
        with pytest.raises(ConfigurationError, match="no page to open"):
            opening.check(off)


def test_the_page_is_opened_in_the_browser(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    browser = tmp_path / "browser"
    browser.write_text(
        f'#!/bin/sh\necho "$1" > "{tmp_path}/opened.part"; mv "{tmp_path}/opened.part" "{tmp_path}/opened"\n'
    )
    browser.chmod(0o755)
    shell.env["BROWSER"] = f"{browser} %s"
    process = shell.start("serve", "--port", "0", "--open")
    try:
        wait_until(lambda: (tmp_path / "opened").exists() or process.poll() is not None)
        assert process.poll() is None
        address = (tmp_path / "opened").read_text().strip()
        with urlopen(address) as answer:
            assert b"<title>lollms</title>" in answer.read()
    finally:
        process.terminate()
        process.communicate()
    refused = shell("serve", "--open", "--no-page", code=None)
    assert refused.returncode != 0
    assert "There is no page to open" in refused.stderr


def test_a_recording_becomes_another_format(server: Server) -> None:
    import numpy as np
    from lollms_modalities import Audio, probe_audio
    from serving import form

    wav = bytes(Audio.from_samples(np.sin(np.arange(16000) / 9).astype(np.float32), 16000))
    for kind in ("wav", "flac", "ogg", "opus", "mp3", "aac"):
        body, headers = form({"output_format": kind, "file": ("../x", wav)})
        reply = server.ask("POST", "/lollms/v2/audio/convert", body, headers)
        assert reply.status == 200, reply.body
        assert 0.9 < probe_audio(reply.body)[2] < 1.2
    body, headers = form({"output_format": "exe", "file": ("x", wav)})
    assert server.ask("POST", "/lollms/v2/audio/convert", body, headers).error["param"] == "output_format"
    body, headers = form({"output_format": "mp3", "file": ("x", b"none")})
    assert server.ask("POST", "/lollms/v2/audio/convert", body, headers).error["code"] == "invalid_media"
    long = bytes(Audio.from_samples(np.zeros(48_000 * 60, np.int16), 48_000, "flac"))
    assert len(long) < 100_000
    body, headers = form({"output_format": "wav", "file": ("x", long)})
    assert "more than is converted" in server.ask("POST", "/lollms/v2/audio/convert", body, headers).error["message"]
    wait_until(lambda: not server.files())


def test_what_is_vendored_is_what_its_authors_published() -> None:
    rows = json.loads((FOLDER / "vendor" / "vendored.json").read_text("utf-8"))
    assert {row["file"] for row in rows} | {"vendored.json"} == {path.name for path in (FOLDER / "vendor").iterdir()}
    for row in rows:
        published = (npm_package(row["of"], row["package_sha256"]) / row["path"]).read_text("utf-8")
        for before, after in row.get("changed", []):
            assert before in published
            published = published.replace(before, after)
        ours = (FOLDER / "vendor" / row["file"]).read_bytes()
        assert hashlib.sha256(ours).digest() == hashlib.sha256(published.encode()).digest(), row["file"]


def test_all_of_it_is_light() -> None:
    weight = sum(len(held.packed) for name, held in page().files.items() if not name.startswith("vendor/LICENSE"))
    assert weight < HEAVIEST


@pytest.mark.parametrize("path", OWN, ids=lambda path: path.relative_to(FOLDER).as_posix())
def test_a_file_is_short_and_asks_nobody_else(path: Path) -> None:
    text = path.read_text("utf-8")
    assert len(text.splitlines()) <= 350
    addresses = set(re.findall(r"https?://[^\s\"'`)]+", text)) - {"http://www.w3.org/2000/svg", "http://localhost"}
    assert addresses == set()
    if path.suffix == ".js":
        for banned in (
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "dangerouslySetInnerHTML",
            "eval(",
            "new Function",
        ):
            assert banned not in text
        assert not re.search(r"\sstyle=\"", text), "the policy lets no style stand in an attribute"


def test_what_is_said_stands_in_one_file() -> None:
    for path in OWN:
        if path.suffix == ".js" and path.name != "strings.js":
            code = re.sub(r"(?m)//.*$|/\*[\s\S]*?\*/", "", path.read_text("utf-8"))
            said = re.findall(r"(?<==)>\s*([A-Z][a-z]+ [a-z]+[^<>$`{}]*)<", code)
            assert said == [], path.name
