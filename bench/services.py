"""Bindings to services: what a call costs over bare ``requests``, and 64 threads at once on one binding."""

from __future__ import annotations

import base64
import json
import statistics
import threading
import time
from collections.abc import Callable

import requests
from lollms_dalle import DalleTTIBinding_Impl
from lollms_modalities import Audio
from lollms_remote import LollmsTTSBinding_Impl

from bench.harness import paired, seconds, show_extra
from bench.isolation import peer

THREADS, EACH = 64, 5


def services() -> None:
    """Images and speech from a server on loopback that answers at once."""
    with peer("service") as port:
        url = f"http://127.0.0.1:{port}"
        session = requests.Session()
        tti = DalleTTIBinding_Impl("k", "gpt-image-1", host_address=f"{url}/v1")
        tts = LollmsTTSBinding_Impl(url, protocol="modern")
        asked = {"model": "gpt-image-1", "prompt": "x", "n": 1, "size": "1024x1024"}

        def image_alone() -> bytes:
            answer = session.post(f"{url}/v1/images/generations", json=asked, headers={"Authorization": "Bearer k"})
            return base64.b64decode(answer.json()["data"][0]["b64_json"])

        def speech_alone() -> bytes:
            body = {"input": "x", "response_format": "wav"}
            return session.post(f"{url}/lollms/v1/audio/speech", json=body).content

        kinds: list[tuple[str, Callable[[], bytes], Callable[[], bytes]]] = [
            ("an image from a service, added", lambda: tti.generate_image("x", width=1024, height=1024), image_alone),
            ("speech from a service, added", lambda: tts.generate_audio("x"), speech_alone),
        ]
        for what, ours, alone in kinds:
            assert ours() == alone()
            pair = paired(lambda f=ours: seconds(f, 20), lambda f=alone: seconds(f, 20), pairs=15)  # type: ignore[misc]
            how = f"over bare requests ({pair.peer * 1e3:.2f} ms)"
            show_extra(what, pair.ours - pair.peer, 1e-3, 1e3, "ms", how)
        at_once(tts, session, speech_alone)
        tti.close()
        tts.close()
        session.close()


def at_once(tts: LollmsTTSBinding_Impl, session: requests.Session, speech_alone: Callable[[], bytes]) -> None:
    """64 threads, each with calls of its own; the peer is one session of requests with as many connections."""
    for scheme in ("http://", "https://"):
        session.mount(scheme, requests.adapters.HTTPAdapter(pool_maxsize=THREADS))

    def crowd(fn: Callable[[], object]) -> float:
        results: list[object] = []
        threads = [
            threading.Thread(target=lambda: results.extend(fn() for _ in range(EACH)), daemon=True)
            for _ in range(THREADS)
        ]
        began = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        taken = time.perf_counter() - began
        assert len(results) == THREADS * EACH
        assert all(r == results[0] for r in results)
        return taken / (THREADS * EACH)

    crowd(speech_alone), crowd(lambda: tts.generate_audio("x"))
    taken = [(crowd(lambda: tts.generate_audio("x")), crowd(speech_alone)) for _ in range(9)]
    extra = statistics.median(a - b for a, b in taken)
    bare = statistics.median(b for _, b in taken)
    show_extra(f"the same by {THREADS} threads at once", extra, 1e-3, 1e3, "ms", f"over {bare * 1e3:.2f} ms a call")


def answers() -> dict[str, bytes]:
    """What the server of this benchmark answers: path to a body."""
    import numpy as np
    from lollms_modalities import Image

    image = base64.b64encode(Image.from_pixels(np.full((64, 64, 3), 90, np.uint8))).decode()
    return {
        "/v1/images/generations": json.dumps({"created": 1, "data": [{"b64_json": image}]}).encode(),
        "/lollms/v1/audio/speech": bytes(Audio.from_pcm(bytes(16000), 16000)),
    }
