"""A server behind a proxy, under a path, with TLS: over real sockets."""

from __future__ import annotations

import http.client
import json
import re
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
from lollms_modalities import LollmsTTSBindingManager, ServerPlace, ServiceError
from lollms_server.room.keys import Keys
from serving import Server, serving
from waiting import wait_until

CONFIGURATION = """
[serve]
keys_file = KEYS
MORE
[models.tone]
binding = "example"
modality = "tts"
isolated = false
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    text = CONFIGURATION.replace("MORE", 'trusted_proxies = ["127.0.0.1"]\nroot_path = "/ai"\n')
    with serving(tmp_path_factory.mktemp("server"), text) as running:
        yield running


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"X-Forwarded-For": "127.0.0.1"}, 200), ({"X-Forwarded-For": "::1"}, 200),
        # Whoever asks comes from elsewhere, and there is no key.
        ({"X-Forwarded-For": "203.0.113.9"}, 401), ({"X-Forwarded-For": "127.0.0.1, 203.0.113.9"}, 401),
        # The proxy does not say who asks: it would look like this machine.
        ({}, 401), ({"Forwarded": "for=127.0.0.1"}, 401), ({"X-Forwarded-For": "unknown"}, 401),
        ({"X-Forwarded-Proto": "https"}, 401),
    ],
)  # fmt: skip
def test_without_keys_a_trusted_proxy_must_say_for_whom_it_asks(
    server: Server, headers: dict[str, str], status: int
) -> None:
    assert server.ask("GET", "/v1/models", headers=headers).status == status


def test_a_path_before_ours_is_taken_away_once(server: Server) -> None:
    local = {"X-Forwarded-For": "127.0.0.1"}
    for path in ("/v1/models", "/ai/v1/models"):
        assert server.ask("GET", path, headers=local).status == 200
    for path in ("/ai/ai/v1/models", "/aiv1/models", "/other/v1/models", "/ai"):
        assert server.ask("GET", path, headers=local).status == 404
    speech = {"model": "tone", "input": "hi", "response_format": "wav"}
    assert server.ask("POST", "/ai/v1/audio/speech", speech, local).body[:4] == b"RIFF"
    assert server.ask("GET", "/ai/metrics", headers=local).status == 403, "access goes by the route"


def test_with_keys_each_address_behind_a_proxy_needs_one(tmp_path: Path) -> None:
    key = Keys(tmp_path / "keys.json").add("anna")
    with serving(tmp_path, CONFIGURATION.replace("MORE", 'trusted_proxies = ["127.0.0.0/8"]')) as server:
        for said in ({}, {"X-Forwarded-For": "127.0.0.1"}, {"X-Forwarded-For": "203.0.113.9"}):
            assert server.ask("GET", "/v1/models", headers=said).status == 401
            told = server.ask("GET", "/v1/models", headers={**said, "Authorization": f"Bearer {key}"})
            assert told.status == 200


def _certified(folder: Path) -> tuple[Path, Path, Path]:
    """A certificate for 127.0.0.1, its key, and who vouches for it."""
    authority = trustme.CA()
    made = authority.issue_cert("127.0.0.1")
    files = folder / "certificate.pem", folder / "key.pem", folder / "authority.pem"
    made.cert_chain_pems[0].write_to_path(files[0])
    made.private_key_pem.write_to_path(files[1])
    authority.cert_pem.write_to_path(files[2])
    return files


def test_tls(tmp_path: Path) -> None:
    certificate, secret, authority = _certified(tmp_path)
    file, log = tmp_path / "serve.toml", tmp_path / "log"
    file.write_text(CONFIGURATION.replace("KEYS", json.dumps(str(tmp_path / "keys.json"))).replace("MORE", "port = 0"))
    words = ["serve", "--config", str(file), "--socket", str(tmp_path / "s"), "--tls-certificate", str(certificate)]
    with log.open("w") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "lollms_client", *words, "--tls-key", str(secret)], stderr=errors
        )  # fmt: skip
    try:
        found: list[str] = []

        def listening() -> bool:
            assert process.poll() is None, log.read_text()
            found[:] = re.findall(r"Serving at https://127\.0\.0\.1:(\d+)", log.read_text())
            return bool(found)

        wait_until(listening, 60)
        trusting = ssl.create_default_context(cafile=str(authority))
        speech = {"model": "tone", "input": "a longer sentence", "response_format": "wav"}
        for _ in range(2):
            secure = http.client.HTTPSConnection("127.0.0.1", int(found[0]), timeout=60, context=trusting)
            for body in (speech, {"input": 5}, speech):  # on one connection
                secure.request("POST", "/v1/audio/speech", json.dumps(body), {"Content-Type": "application/json"})
                answer = secure.getresponse()
                data = answer.read()
                assert (answer.status, data[:4] == b"RIFF") == ((200, True) if body is speech else (400, False))
            secure.close()
        address = f"https://127.0.0.1:{found[0]}"
        manager = LollmsTTSBindingManager()
        with manager.require_binding("tone", place=ServerPlace(address, verify=authority)) as binding:
            whole = binding.generate_audio("a longer sentence")
            assert b"".join(chunk.pcm for chunk in binding.stream_audio("a longer sentence")) in whole
        with pytest.raises(ServiceError, match="not trusted"):
            manager.require_binding("tone", place=address)
        with manager.require_binding("tone", place=ServerPlace(address, verify=False)) as binding:
            assert binding.generate_audio("hi")
        plain = http.client.HTTPConnection("127.0.0.1", int(found[0]), timeout=60)
        plain.request("GET", "/health")
        with pytest.raises((ConnectionError, http.client.HTTPException)):
            plain.getresponse()
        plain.close()
        strange = http.client.HTTPSConnection("127.0.0.1", int(found[0]), timeout=60)
        with pytest.raises(ssl.SSLCertVerificationError):
            strange.request("GET", "/health")
        strange.close()
    finally:
        process.terminate()
        try:
            assert process.wait(60) == 0
        finally:
            process.kill()
            process.wait()
