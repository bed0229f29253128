"""Bodies and headers of answers that are odd, damaged or hostile: a value or a typed error, whatever they are."""

from __future__ import annotations

import gzip
import zlib

import pytest
from lollms_modalities import ServiceError
from lollms_modalities.kit.http.reading import bounded, error_of, parse_json, retry_after

TEXT = b"what was said " * 50


def raw_deflate() -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(TEXT) + packer.flush()


PACKED = {"gzip": gzip.compress(TEXT), "deflate": zlib.compress(TEXT), "deflate, without header": raw_deflate()}


@pytest.mark.parametrize("way", PACKED)
def test_what_is_compressed_is_whole_or_refused(way: str) -> None:
    packed, kind = PACKED[way], way.partition(",")[0]
    assert bounded(iter([packed]), kind, 10_000) == TEXT
    assert bounded(iter([packed[n : n + 1] for n in range(len(packed))]), kind, 10_000) == TEXT
    for end in range(1, len(packed)):
        with pytest.raises(ServiceError, match="damaged"):
            bounded(iter([packed[:end]]), kind, 10_000)


def test_json_that_is_nested_too_deeply_is_none() -> None:
    deep = b"[" * 200_000
    assert str(error_of(500, {"Content-Type": "application/json"}, deep, "It")).startswith("It answered 500: [[[")
    with pytest.raises(ServiceError, match="where JSON is due"):
        parse_json(deep, "application/json", "It")


@pytest.mark.parametrize(
    ("said", "seconds"), [("5", 5.0), ("0.5", 0.5), ("-3", None), ("nan", None), ("inf", None), ("1" * 400, 1e9)]
)
def test_a_time_to_wait_is_a_number_that_can_be_waited_for(said: str, seconds: float | None) -> None:
    assert retry_after({"Retry-After": said}) == seconds
