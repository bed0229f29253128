"""The suites of the planted faults, with the test that is meant for each.

``python planted_suites.py`` prints the table of faults and of the tests that caught them.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree

HERE = Path(__file__).parent


class Fault(NamedTuple):
    """A planted fault.

    Attributes:
        name: of the class.
        suite: which suite it runs.
        test: which test is meant for it.
        also: what else may catch it, since it is the same promise seen from another side.
        extra: of its suite.
    """

    name: str
    suite: str
    test: str
    also: tuple[str, ...] = ()
    extra: dict[str, Any] = {}  # noqa: RUF012


_STOP = ("cancelled_by_another_thread", "out_of_time", "a_stream_stops_when_it_is_told_to", "no_partial_file_is_left")
SEEN_BY_ALL = ("*",)
"""A wrong result is seen by each test that looks at a result."""

FAULTS = (
    Fault("LiesAboutItsRate", "TTS", "the_result_is_what_it_says", SEEN_BY_ALL),
    Fault("IgnoresCancel", "TTS", "cancelled_while_it_runs", _STOP, {"stop_within": 0.5}),
    Fault("SwallowsUnknownOptions", "TTS", "an_unknown_option_is_refused"),
    Fault("Prints", "TTS", "nothing_is_printed"),
    Fault("PrintsFromC", "TTS", "nothing_is_printed"),
    Fault("LeaksTemporaryFiles", "TTS", "no_temporary_files_are_left"),
    Fault("LeaksDescriptors", "TTS", "nothing_grows_with_calls"),
    Fault("LeaksMemory", "TTS", "nothing_grows_with_calls"),
    Fault("LeaksThreads", "TTS", "nothing_grows_with_calls"),
    Fault("ProgressRunsBackwards", "TTS", "progress_goes_forward_and_comes_to_its_end"),
    Fault("ProgressStopsShort", "TTS", "progress_goes_forward_and_comes_to_its_end"),
    Fault("TellsNoProgress", "TTS", "progress_goes_forward_and_comes_to_its_end", (
        "an_exception_from_the_progress_function_ends_the_call", "cancelled_while_it_runs", "no_partial_file_is_left",
        "cancelling_the_task_cancels_the_call", "cancelled_by_another_thread")),
    Fault("ShowsItsSecret", "TTS", "secrets_are_shown_nowhere"),
    Fault("TellsItsSecret", "TTS", "secrets_are_shown_nowhere"),
    Fault("LogsItsSecret", "TTS", "secrets_are_shown_nowhere"),
    Fault("TakesTheMaskForASecret", "TTS", "a_masked_secret_that_comes_back_changes_nothing"),
    Fault("ChangesHalf", "TTS", "settings_change_all_or_not_at_all"),
    Fault("BlocksTheLoop", "TTS", "the_twin_is_awaited_and_the_loop_stays_free", (
        "cancelling_the_task_cancels_the_call",)),
    Fault("OpensVoicesAnywhere", "TTS", "a_name_is_no_path"),
    Fault("LetsEverythingThrough", "TTS", "a_name_is_no_path"),
    Fault("MixesThreads", "TTS", "eight_threads_each_get_their_answer"),
    Fault("StreamsLess", "TTS", "the_stream_is_the_whole_in_parts", ("the_twin_of_the_stream",)),
    Fault("StreamsAtTheEnd", "TTS", "the_first_part_comes_before_the_whole_is_done"),
    Fault("LoadsToList", "TTS", "listing_loads_nothing"),
    Fault("OutlivesItsClose", "TTS", "used_after_close", ("a_with_statement_closes_it",)),
    Fault("KeepsItsModel", "TTS", "unloaded_and_used_again"),
    Fault("ForgetsKeepAlive", "TTS", "unloaded_when_nobody_asks"),
    Fault("SupportsEverything", "TTS", "supports_tells_the_truth"),
    Fault("LeavesPartialFiles", "TTS", "no_partial_file_is_left"),
    Fault("TakesAnyOption", "TTS", "an_option_of_a_wrong_type_is_refused"),
    Fault("TakesAnySetting", "TTS", "a_setting_of_a_wrong_type_is_refused"),
    Fault("ForgetsItsDefault", "TTS", "defaults_are_filled_in"),
    Fault("SaysNothingOfItself", "TTS", "it_describes_itself"),
    Fault("CallsHome", "TTS", "nobody_on_the_network_is_asked"),
    Fault("CutsLongTexts", "TTS", "a_long_text_is_taken_whole", (
        "cancelled_while_it_runs", "out_of_time", "cancelled_by_another_thread",
        "a_stream_closed_early_frees_everything", "a_stream_stops_when_it_is_told_to", "no_partial_file_is_left",
        "cancelling_the_task_cancels_the_call")),
    Fault("KnowsAsciiOnly", "TTS", "text_in_other_scripts"),
    Fault("GivesMp3", "TTS", "without_a_format_it_is_wav", ("the_stream_is_the_whole_in_parts", "the_twin_of_the_stream")),
    Fault("IsSilent", "TTS", "the_result_is_what_it_says", SEEN_BY_ALL),
    Fault("SetsUpLogging", "TTS", "its_import_has_no_side_effects"),
    Fault("IgnoresItsSeed", "TTI", "a_seed_repeats_the_result", (
        "eight_threads_each_get_their_answer", "unloaded_and_used_again",
        "the_twin_is_awaited_and_the_loop_stays_free")),
    Fault("DrawsAnotherSize", "TTI", "it_has_the_size_that_was_asked_for"),
    Fault("DrawsJpeg", "TTI", "without_a_format_it_is_png"),
    # The suite's long recording is bytes.
    Fault("ReadsPathsOnly", "STT", "every_kind_of_media_goes_in", SEEN_BY_ALL),
    Fault("HearsAnything", "STT", "sound_that_is_none"),
    Fault("LosesASegment", "STT", "the_result_is_what_it_says", SEEN_BY_ALL),
    Fault("ComposesNothing", "TTM", "the_result_is_what_it_says", SEEN_BY_ALL),
    Fault("FilmsInMpeg4", "TTV", "the_result_is_what_it_says", SEEN_BY_ALL),
)  # fmt: skip


def install(folder: Path) -> None:
    """The planted bindings as a distribution."""
    for name in ("planted.py", "planted_noisy.py"):
        (folder / name).write_text((HERE / name).read_text("utf-8"), "utf-8")
    info = folder / "planted-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: planted\nVersion: 1.0\n")
    groups: dict[str, list[str]] = {}
    for fault in FAULTS:
        module = "planted_noisy" if fault.name == "SetsUpLogging" else "planted"
        groups.setdefault(fault.suite.lower(), []).append(f"{fault.name.lower()} = {module}:{fault.name}\n")
    lines = [f"[lollms_client.{modality}_bindings]\n{''.join(names)}" for modality, names in groups.items()]
    (info / "entry_points.txt").write_text("".join(lines))


def run(folder: Path, *, whole: bool) -> dict[str, dict[str, str]]:
    """Run every suite, or of each the test that is meant for its fault: what failed, with what it said."""
    install(folder)
    here = str(HERE / "planted_suites.py")
    tests = [here] if whole else [f"{here}::Test{fault.name}::test_{fault.test}" for fault in FAULTS]
    report = folder / "report.xml"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--tb=line", f"--junitxml={report}",
               "--rootdir", str(folder), "-c", os.devnull, *tests]  # fmt: skip
    env = {**os.environ, "PYTHONPATH": str(folder), "LOLLMS_PLANTED": str(folder)}
    done = subprocess.run(command, capture_output=True, text=True, env=env, cwd=folder, timeout=600)
    if not report.exists():
        raise RuntimeError(done.stdout + done.stderr)
    failed: dict[str, dict[str, str]] = {fault.name: {} for fault in FAULTS}
    for case in ElementTree.parse(report).iter("testcase"):
        bad = case.find("failure") if case.find("failure") is not None else case.find("error")
        if bad is not None:
            name = str(case.get("classname")).rpartition(".")[2].removeprefix("Test")
            failed[name][str(case.get("name")).removeprefix("test_")] = str(bad.get("message"))
    return failed


def _make_suites() -> None:
    from importlib import import_module

    from lollms_modalities import testing

    for fault in FAULTS:
        module = import_module("planted_noisy" if fault.name == "SetsUpLogging" else "planted")
        members = {"binding": getattr(module, fault.name), "__module__": __name__, **fault.extra}
        if fault.suite == "STT":
            members["sample"] = {"audio_path": _recording()}
        base = getattr(testing, f"{fault.suite}BindingSuite")
        globals()[f"Test{fault.name}"] = type(f"Test{fault.name}", (base,), members)


def _recording() -> Path:
    import numpy as np
    from lollms_modalities import Audio

    path = Path(os.environ["LOLLMS_PLANTED"]) / "recording.wav"
    if not path.exists():
        sound = np.concatenate([np.zeros(16000), np.sin(np.arange(16000) / 20)])
        Audio.from_samples(sound, 16000).save(path)
    return path


def main() -> int:
    """Print the table; 1 where a fault was not caught by the test that is meant for it."""
    with tempfile.TemporaryDirectory() as folder:
        failed = run(Path(folder), whole=True)
    missed = 0
    for fault in FAULTS:
        caught = failed[fault.name]
        missed += fault.test not in caught
        others = sorted(caught.keys() - {fault.test})
        print(f"{fault.name:24} {fault.test if fault.test in caught else 'NOT CAUGHT by ' + fault.test}"
              + (f"   (also {len(others)}: {', '.join(others)})" if others else ""))  # fmt: skip
    print(f"{len(FAULTS)} faults, {len(FAULTS) - missed} caught by the test that is meant for them")
    return bool(missed)


if __name__ == "__main__":
    sys.exit(main())
if "LOLLMS_PLANTED" in os.environ:
    _make_suites()
