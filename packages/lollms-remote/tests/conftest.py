"""What the tests against servers on loopback share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from lollms_remote.protocols import forget_protocols


@pytest.fixture
def forgetting() -> Iterator[None]:
    """No test knows the servers of another, which may have had the same port."""
    forget_protocols()
    yield
    forget_protocols()
