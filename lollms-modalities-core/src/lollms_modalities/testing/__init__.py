"""The conformance suite: what every binding promises, as tests that a binding's author inherits.

The whole test file of a binding::

    from lollms_modalities.testing import TTSBindingSuite
    from my_package import MyTTSBinding

    class TestMyTTSBinding(TTSBindingSuite):
        binding = MyTTSBinding
        settings = {"model_name": "tiny"}
        sample = {"text": "One sentence. And another."}

Needs the extra ``testing``. ``pytest --lollms-isolated`` runs it with the binding in another process,
``--lollms-place=ssh://host`` with the binding there.
"""

from __future__ import annotations

from lollms_modalities.testing.contract import overrides as overrides
from lollms_modalities.testing.modalities import STTBindingSuite as STTBindingSuite
from lollms_modalities.testing.modalities import TTIBindingSuite as TTIBindingSuite
from lollms_modalities.testing.modalities import TTMBindingSuite as TTMBindingSuite
from lollms_modalities.testing.modalities import TTSBindingSuite as TTSBindingSuite
from lollms_modalities.testing.modalities import TTVBindingSuite as TTVBindingSuite
