"""Voices: what is known of them, and those that are made of recordings."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lollms_modalities import media
from lollms_modalities.errors import OptionError, UnsupportedError, VoiceExistsError, VoiceNotFoundError
from lollms_modalities.testing.contract import applies, contract, crosses, raises
from lollms_modalities.testing.inputs import untouched
from lollms_modalities.testing.suite import Suite

CONSENT = "The conformance suite, which speaks with the binding's own voice."
NAME = "Voice of a test"


class VoiceTests(Suite):
    """For bindings of speech."""

    @crosses
    def test_voices_are_described(self, bound: Any) -> None:
        """Describe the voices of ``list_voices``, all of them and in their order."""
        rows = bound.describe_voices()
        json.dumps(rows)
        contract(
            [row["name"] for row in rows] == bound.list_voices(),
            "describe_voices has a row for each voice of list_voices, in its order.",
            "voices",
            rows,
        )
        for row in rows:
            contract(
                {"name", "language", "gender", "sample", "default"} <= row.keys()
                and row["gender"] in ("female", "male", "")
                and "_" not in row["language"]
                and (row["sample"] is None or Path(row["sample"]).is_file()),
                "A voice has a name, a language tag, a gender, a sample that is there or none, and a default or not.",
                "voices",
                row,
            )
        contract(sum(row["default"] for row in rows) <= 1, "At most one voice is the default.", "voices", rows)

    @crosses
    @applies(lambda suite: suite.capabilities().cloning)
    def test_a_recording_is_a_voice_and_consent_is_kept(self, bound: Any, result: Any, tmp_path: Path) -> None:
        """Leave ``consent`` and what provenance says of it to the core. Read the recording only, and write nothing
        beside it."""
        spoken = self.call(bound, voice=result, consent=CONSENT)
        self.check(spoken)
        told = spoken.provenance.extra
        contract(
            (told.get("cloned_voice"), told.get("consent")) == (True, CONSENT),
            "What is said in the voice of a recording says so in its provenance, with the consent.",
            "voices",
            told,
        )
        path = tmp_path / "voice.wav"
        path.write_bytes(media.read_media(result))
        with untouched(tmp_path):
            without = self.call(bound, voice=path).provenance.extra
        contract(
            without.get("cloned_voice") is True and not without.get("consent"),
            "A recording without consent is taken, and its provenance says that nobody attested it.",
            "voices",
            without,
        )

    @applies(lambda suite: not suite.capabilities().keeps_voices)
    def test_a_binding_that_keeps_no_voices_says_so(self, bound: Any, result: Any) -> None:
        """Declare ``keeps_voices``, or leave ``add_voice`` and ``remove_voice`` to the core."""
        sentence = "What keeps no voices raises UnsupportedError."
        with raises(UnsupportedError, sentence, "voices"):
            bound.add_voice(NAME, result, CONSENT)
        with raises(UnsupportedError, sentence, "voices"):
            bound.remove_voice(NAME)

    @crosses
    @applies(lambda suite: suite.capabilities().keeps_voices)
    def test_a_voice_is_kept_and_forgotten(self, make: Callable[..., Any], result: Any) -> None:
        """Leave ``add_voice`` and ``remove_voice`` to the core, and list what it keeps among your own voices."""
        binding = make()
        before = binding.list_voices()
        binding.add_voice(NAME, result, CONSENT)
        try:
            contract(
                sorted(binding.list_voices()) == sorted([*before, NAME]), "A voice that was added is listed.", "voices"
            )
            row = next(row for row in binding.describe_voices() if row["name"] == NAME)
            contract(
                row["sample"] is not None and Path(row["sample"]).is_file(),
                "A voice that was added has its recording as a sample.",
                "voices",
                row,
            )
            spoken = self.call(binding, voice=NAME)
            self.check(spoken)
            contract(
                spoken.provenance.extra.get("consent") == CONSENT,
                "What an added voice says has the consent in its provenance.",
                "voices",
                spoken.provenance.extra,
            )
            for taken in (NAME, NAME.upper(), *before[:1]):
                with raises(VoiceExistsError, "The name of a voice that is there is a VoiceExistsError.", "voices"):
                    binding.add_voice(taken, result, CONSENT)
        finally:
            binding.remove_voice(NAME)
        contract(binding.list_voices() == before, "A voice that was removed is gone.", "voices")
        for unknown in (NAME, "../x", ""):
            with raises(VoiceNotFoundError, "Removing a voice that was not added is a VoiceNotFoundError.", "voices"):
                binding.remove_voice(unknown)

    @applies(lambda suite: suite.capabilities().keeps_voices)
    def test_voices_that_cannot_be_kept(self, bound: Any, result: Any) -> None:
        """Leave the checks of names and consent to the core."""
        before = bound.list_voices()
        for name in ("", "../x", "a/b", "a\\b", ".x", "x.", "nul", "x" * 200, "a\0b", 17):
            with raises(OptionError, f"A voice named {str(name)[:20]!r} is an OptionError.", "voices"):
                bound.add_voice(name, result, CONSENT)
        for consent in ("", "  ", None):
            with raises(OptionError, "A voice without consent is not kept.", "voices"):
                bound.add_voice(NAME, result, consent)
        contract(bound.list_voices() == before, "What is refused leaves no voice.", "voices")
