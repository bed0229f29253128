"""Where the client's bindings run: ``place`` in a binding's config."""

from __future__ import annotations

import pytest
from lollms_client import LollmsClient
from lollms_modalities import SettingsError
from lollms_modalities.workers.isolated import IsolatedBinding


def test_a_config_may_name_a_place() -> None:
    with LollmsClient(tts_binding_name="piper", tts_binding_config={"place": "process"}) as lc:
        assert isinstance(lc.tts, IsolatedBinding)
    with pytest.raises(SettingsError, match=r"offers a place 'nowhere'\. There are: .*process"):
        LollmsClient(tts_binding_name="piper", tts_binding_config={"place": "nowhere"})
