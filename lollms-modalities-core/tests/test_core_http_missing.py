"""Without requests: what is told, and when."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest
from lollms_modalities import BindingDependencyError
from lollms_modalities.kit.http import HttpClient


@pytest.mark.parametrize("how", ["get", "post", "fetch"])
def test_requests_that_is_not_installed_is_told(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [n for n in sys.modules if n.partition(".")[0] in ("requests", "urllib3")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delitem(sys.modules, "lollms_modalities.kit.http.connection", raising=False)
    for name in ("requests", "urllib3"):
        monkeypatch.setitem(sys.modules, name, None)
    client = HttpClient("http://localhost:9")
    ways: dict[str, Callable[[], object]] = {
        "get": lambda: client.get_json("x"),
        "post": lambda: client.post_json("x", {}),
        "fetch": lambda: client.fetch("http://localhost:9/x", hosts=(), max_bytes=10),
    }
    with pytest.raises(BindingDependencyError, match=r"lollms-modalities-core\[http\]"):
        ways[how]()
