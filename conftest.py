"""Which tests of the conformance suite wait for `nox -s full`, by the distribution whose engine makes them long."""

from __future__ import annotations

import gc
import os

import pytest

# lollms-marks, where it is installed, would change the bytes of all that is made here; its own tests switch it on.
os.environ.setdefault("LOLLMS_PLUGINS_MARKS_ENABLED", "0")

_TORCH = {"lollms-audiocraft", "lollms-bark", "lollms-diffusers", "lollms-whisper", "lollms-xtts"}
_WHISPERS = {"lollms-faster-whisper", "lollms-whispercpp", "lollms-whisper"}
_NO_PROGRAMS = {"lollms-faster-whisper", "lollms-whisper"}
_LONG = {
    # Dozens of calls each; in `nox -s tests` quicker engines show what the core and the kit leave behind.
    "test_nothing_grows": {"lollms-faster-whisper", "lollms-remote", "lollms-whispercpp", *_TORCH},
    # Each of its calls is a process of its own: nothing of them meets, nothing stays loaded.
    "test_eight_threads": {"lollms-whispercpp"},
    "test_unload": {"lollms-whispercpp"},
    # The core's own, which Moonshine and the examples show.
    "test_live_text_of": _WHISPERS,
    "test_every_kind_of_media_goes_in": _WHISPERS,
    "test_other_formats_go_in": _WHISPERS,
    "test_a_recording_is_left_as_it_was": _WHISPERS,
    # What an engine that is a program may do wrong; these are none.
    "test_no_process_is_left": _NO_PROGRAMS,
    "test_two_calls_share_no_file": _NO_PROGRAMS,
    "test_no_shell_reads_what_is_given": _NO_PROGRAMS,
    "test_a_name_with_a_dash_is_a_file": _NO_PROGRAMS,
    "test_no_temporary_files_are_left": _NO_PROGRAMS,
}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark them."""
    for item in items:
        for name, distributions in _LONG.items():
            if item.name.startswith(name) and not distributions.isdisjoint(item.path.parts):
                item.add_marker(pytest.mark.full)


def pytest_collection_finish() -> None:
    """Spare the collector thousands of tests, which stay: each look at them takes it half a second."""
    gc.collect()
    gc.freeze()
