"""What is handed over in odd ways: folders that hold no files, options of rarer types, times that are not known."""

from __future__ import annotations

import ipaddress
import os
import re
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lollms_modalities import Segment
from lollms_modalities.environments.sources import find
from lollms_modalities.errors import EnvironmentBuildError
from lollms_modalities.media.segments import tidied
from lollms_modalities.media.transcript import Word
from lollms_modalities.workers.values import pack, unpack


@pytest.mark.parametrize("name", ["beep-1.0-py3-none-any.whl", "beep/pyproject.toml"])
def test_a_fifo_in_the_folder_is_told_and_not_waited_for(name: str, tmp_path: Path) -> None:
    (tmp_path / "beep").mkdir()
    os.mkfifo(tmp_path / name)
    held = os.open(tmp_path / name, os.O_RDWR)  # whoever reads it would wait until this ends
    end = threading.Timer(60, os.close, [held])
    end.start()
    try:
        installer: Any = None  # nothing is to be built or fetched
        with pytest.raises(EnvironmentBuildError, match=f"{name}.*it is no file"):
            find("beep", installer, tmp_path / "work", source=str(tmp_path), python=sys.executable)
    finally:
        end.cancel()
        end.join()
    os.close(held)


@pytest.mark.parametrize("source", ["x" * 5000, "a\0b", "/dev/null"])
def test_what_can_be_no_folder_is_told(source: str, tmp_path: Path) -> None:
    installer: Any = None
    with pytest.raises(EnvironmentBuildError, match="is no folder") as told:
        find("beep", installer, tmp_path, source=source, python=sys.executable)
    assert len(str(told.value)) < 600


@pytest.mark.parametrize(
    "value",
    [
        ipaddress.ip_address("192.0.2.1"), ipaddress.ip_address("2001:db8::1"), ipaddress.ip_network("192.0.2.0/24"),
        ipaddress.ip_network("2001:db8::/32"), ipaddress.ip_interface("192.0.2.1/24"),
        ipaddress.ip_interface("2001:db8::1/64"), re.compile("a+", re.IGNORECASE),
    ],
    ids=str,
)  # fmt: skip
def test_values_with_a_text_cross_to_another_process(value: Any) -> None:
    there = unpack(pack({"given": [value]}, []), [])["given"][0]
    assert (type(there), there) == (type(value), value)


def test_times_that_are_none_are_not_known() -> None:
    unknown: Any = None
    told = [
        Segment("a b", unknown, unknown, (Word("a", unknown, unknown), Word("b", 2.0, unknown))),
        Segment("c", 3.0, unknown, extra={"deep": {"score": np.float64(1)}, "all": [np.int64(1)]}),
    ]
    first, second = tidied(told, np.float64(4), "word")
    assert (first.start, first.end, second.start, second.end) == (0.0, 2.0, 3.0, 3.0)
    assert [(w.start, w.end) for w in first.words] == [(0.0, 0.0), (2.0, 2.0)]
    assert type(tidied([Segment("d", 1.0, 9.0)], np.float64(4), "segment")[0].end) is float
    assert type(second.extra["deep"]["score"]) is float
    assert type(second.extra["all"][0]) is int
