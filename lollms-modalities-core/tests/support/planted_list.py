"""The planted faults, and which test of the conformance suite is meant for each."""

from __future__ import annotations

from typing import Any, NamedTuple


class Fault(NamedTuple):
    """A planted fault.

    Attributes:
        name: of the class.
        suite: which suite it runs.
        test: which test is meant for it.
        also: what else may catch it, since it is the same promise seen from another side.
        extra: of its suite.
        module: in which the class is.
        isolated: whether it is caught in another process, too.
    """

    name: str
    suite: str
    test: str
    also: tuple[str, ...] = ()
    extra: dict[str, Any] = {}  # noqa: RUF012
    module: str = "planted"
    isolated: bool = False


_STOP = ("cancelled_by_another_thread", "out_of_time", "a_stream_stops_when_it_is_told_to", "no_partial_file_is_left")
_THREADS = "eight_threads_each_get_their_answer"
_LEAKS = (
    "nothing_grows_with_calls_that_are_stopped",
    "nothing_grows_with_calls_that_are_refused",
    "nothing_grows_with_streams",
)
_STREAMS = (
    "the_stream_is_the_whole_in_parts",
    "the_twin_of_the_stream",
    "a_stream_heeds_what_is_asked_for",
    "a_stream_closed_early_leaves_nothing_to_the_next",
    "an_encoded_stream_decodes_to_the_whole",
    "the_twin_of_the_encoded_stream",
)
_IN_ORDER = "spoken_words_are_the_text_in_order_within_the_sound"
_AS_A_WHOLE = "spoken_words_of_a_stream_are_those_of_the_whole"
# Those that are made of a binding that tells words, and declare none, are caught by this one, too.
_ALIGNED = "words_that_an_aligner_finds_are_the_text"
SEEN_BY_ALL = ("*",)
"""A wrong result is seen by each test that looks at a result; a state that stays, by each test that comes later."""

_FIRST = (
    Fault("LiesAboutItsRate", "TTS", "the_result_is_what_it_says", SEEN_BY_ALL),
    Fault("IgnoresCancel", "TTS", "cancelled_while_it_runs", _STOP, {"stop_within": 0.5}),
    Fault("SwallowsUnknownOptions", "TTS", "an_unknown_option_is_refused", ("an_option_of_a_wrong_type_is_refused", _ALIGNED)),
    Fault("Prints", "TTS", "nothing_is_printed"),
    Fault("PrintsFromC", "TTS", "nothing_is_printed"),
    Fault("LeaksTemporaryFiles", "TTS", "no_temporary_files_are_left"),
    Fault("LeaksDescriptors", "TTS", "nothing_grows_with_calls", _LEAKS),
    Fault("LeaksMemory", "TTS", "nothing_grows_with_calls", _LEAKS),
    Fault("LeaksThreads", "TTS", "nothing_grows_with_calls", (*_LEAKS, "close_leaves_no_thread")),
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
    Fault("StreamsLess", "TTS", "the_stream_is_the_whole_in_parts", _STREAMS),
    Fault("StreamsAtTheEnd", "TTS", "the_first_part_comes_before_the_whole_is_done", ("the_first_bytes_come_before_the_whole_is_done",)),
    Fault("LoadsToList", "TTS", "listing_loads_nothing"),
    Fault("OutlivesItsClose", "TTS", "used_after_close", ("a_with_statement_closes_it",)),
    Fault("KeepsItsModel", "TTS", "unloaded_and_used_again"),
    Fault("ForgetsKeepAlive", "TTS", "unloaded_when_nobody_asks"),
    Fault("SupportsEverything", "TTS", "supports_tells_the_truth"),
    Fault("LeavesPartialFiles", "TTS", "no_partial_file_is_left"),
    Fault("TakesAnyOption", "TTS", "an_option_of_a_wrong_type_is_refused"),
    Fault("TakesAnySetting", "TTS", "a_setting_of_a_wrong_type_is_refused"),
    Fault("ForgetsItsDefault", "TTS", "defaults_are_filled_in", SEEN_BY_ALL),
    Fault("SaysNothingOfItself", "TTS", "it_describes_itself"),
    Fault("CallsHome", "TTS", "nobody_on_the_network_is_asked"),
    Fault("CutsLongTexts", "TTS", "a_long_text_is_taken_whole", SEEN_BY_ALL),
    Fault("KnowsAsciiOnly", "TTS", "text_in_other_scripts"),
    Fault("GivesMp3", "TTS", "without_a_format_it_is_wav", _STREAMS),
    Fault("IsSilent", "TTS", "the_result_is_what_it_says", SEEN_BY_ALL),
    Fault("SetsUpLogging", "TTS", "its_import_has_no_side_effects", module="planted_noisy"),
    Fault("IgnoresItsSeed", "TTI", "a_seed_repeats_the_result", SEEN_BY_ALL),
    Fault("DrawsAnotherSize", "TTI", "it_has_the_size_that_was_asked_for", ("an_image_is_changed", "an_image_is_changed_as_was_asked", "width_is_not_height")),
    Fault("DrawsJpeg", "TTI", "without_a_format_it_is_png"),
    # The suite's long recording is bytes.
    Fault("ReadsPathsOnly", "STT", "every_kind_of_media_goes_in", SEEN_BY_ALL),
    Fault("HearsAnything", "STT", "sound_that_is_none"),
    Fault("LosesASegment", "STT", "the_result_is_what_it_says", SEEN_BY_ALL),
    Fault("ForgetsWhatItSaid", "STT", "live_text_comes_before_its_end_and_is_the_whole", (
        "live_text_of_an_asynchronous_source",), {"speech": True}),
    Fault("SpeaksAtTheEnd", "STT", "live_text_comes_before_its_end_and_is_the_whole", (
        "live_text_that_is_closed_early_frees_everything",), {"speech": True, "live_within": 2.0}),
    Fault("HearsHalf", "STT", "live_text_of_an_asynchronous_source", (
        "live_text_comes_before_its_end_and_is_the_whole",), {"speech": True}),
    Fault("NamesThemAnew", "STT", "speakers_are_the_same_each_time"),
    Fault("ComposesNothing", "TTM", "the_result_is_what_it_says", SEEN_BY_ALL),
    Fault("FilmsInMpeg4", "TTV", "the_result_is_what_it_says", SEEN_BY_ALL),
)  # fmt: skip

_ARGUMENTS = (
    Fault("IgnoresItsVoice", "TTS", "voices_differ", module="planted_arguments"),
    Fault("IgnoresItsSpeed", "TTS", "faster_is_shorter", module="planted_arguments"),
    Fault("SlowsDown", "TTS", "faster_is_shorter", module="planted_arguments"),
    Fault(
        "SpeaksThreeSentences",
        "TTS",
        "every_sentence_is_spoken",
        ("a_long_text_is_taken_whole",),
        module="planted_arguments",
    ),
    Fault("SpeaksItsFirstLine", "TTS", "every_sentence_is_spoken", module="planted_arguments"),
    Fault("SpeaksTwoHundredCharacters", "TTS", "a_long_text_is_taken_whole", module="planted_arguments"),
    Fault(
        "SpeaksEverySecondSentence",
        "TTS",
        "every_sentence_is_spoken",
        ("parts_of_a_stream_tell_their_text", _IN_ORDER, _AS_A_WHOLE),
        module="planted_arguments",
    ),
    Fault("TellsOtherTexts", "TTS", "parts_of_a_stream_tell_their_text", module="planted_arguments"),
    Fault("HasOtherPlaces", "TTI", "arguments_may_be_given_by_place", module="planted_arguments"),
    Fault("SwapsWidthAndHeight", "TTI", "width_is_not_height", module="planted_arguments"),
    Fault(
        "IgnoresItsPrompt",
        "TTI",
        "what_is_asked_for_differs",
        ("an_image_is_changed_as_was_asked",),
        module="planted_arguments",
    ),
    Fault(
        "TakesTheNegativeForThePrompt",
        "TTI",
        "what_is_asked_for_differs",
        ("an_image_is_changed_as_was_asked",),
        module="planted_arguments",
    ),
    Fault("ReadsFortyCharacters", "TTI", "what_is_asked_for_differs", module="planted_arguments"),
    Fault("ReadsTheEnd", "TTI", "what_is_asked_for_differs", module="planted_arguments"),
    Fault("FixesItsSeed", "TTI", "another_seed_gives_another_result", module="planted_arguments"),
    Fault("CachesWithoutItsSeed", "TTI", "another_seed_gives_another_result", module="planted_arguments"),
    Fault("IgnoresItsDuration", "TTM", "it_lasts_as_long_as_was_asked", ("music_goes_on",), module="planted_arguments"),
    Fault("PlaysTwiceAsLong", "TTM", "it_lasts_as_long_as_was_asked", module="planted_arguments"),
    Fault(
        "IgnoresItsWords",
        "TTM",
        "what_is_asked_for_differs",
        ("what_is_not_to_be_shown_is_heeded",),
        module="planted_arguments",
    ),
    Fault("FilmsTwelveFrames", "TTV", "it_has_the_frames_that_were_asked_for", module="planted_arguments"),
    Fault("FilmsOneFrameLess", "TTV", "it_has_the_frames_that_were_asked_for", module="planted_arguments"),
    Fault("IgnoresItsRate", "TTV", "it_has_the_rate_that_was_asked_for", module="planted_arguments"),
    Fault("FilmsAcross", "TTV", "width_is_not_height", module="planted_arguments"),
    Fault("CachesByItsBeginning", "TTS", "what_is_asked_for_differs", SEEN_BY_ALL, module="planted_arguments"),
    Fault("CachesWithoutOptions", "TTS", "faster_is_shorter", (_ALIGNED,), module="planted_arguments"),
    Fault("CachesWithoutItsVoice", "TTS", "voices_differ", (_ALIGNED,), module="planted_arguments"),
    Fault(
        "CachesWithoutSettings",
        "TTS",
        "settings_that_change_hold_for_the_next_call",
        (_ALIGNED,),
        module="planted_arguments",
    ),
    Fault("ReadsItsSettingsOnce", "TTS", "settings_that_change_hold_for_the_next_call", module="planted_arguments"),
    Fault("KeepsItsFirstDefault", "TTS", "a_default_of_the_settings_is_what_is_used", module="planted_arguments"),
    Fault("ChangesItsSettings", "TTS", "one_call_leaves_the_next_as_it_was", SEEN_BY_ALL, module="planted_arguments"),
    Fault("KeepsItsSpeed", "TTS", "one_call_leaves_the_next_as_it_was", SEEN_BY_ALL, module="planted_arguments"),
    Fault(
        "KeepsWhatWasCancelled",
        "TTS",
        "a_cancelled_call_leaves_nothing_to_the_next",
        SEEN_BY_ALL,
        module="planted_arguments",
    ),
    Fault(
        "KeepsWhatWasClosed",
        "TTS",
        "a_stream_closed_early_leaves_nothing_to_the_next",
        SEEN_BY_ALL,
        module="planted_arguments",
    ),
    Fault(
        "StaysCancelled", "TTS", "a_cancelled_call_leaves_nothing_to_the_next", SEEN_BY_ALL, module="planted_arguments"
    ),
    Fault(
        "KeepsWhatWasRefused",
        "TTS",
        "a_refused_call_leaves_nothing_to_the_next",
        SEEN_BY_ALL,
        module="planted_arguments",
    ),
    Fault("SharesItsVoice", "TTS", "instances_are_independent", SEEN_BY_ALL, module="planted_arguments"),
    Fault("UnloadsForAll", "TTS", "instances_are_independent", SEEN_BY_ALL, module="planted_arguments"),
    Fault("Wraps", "TTS", "it_does_not_wrap", module="planted_arguments", isolated=True),
    Fault("Whispers", "TTS", "it_can_be_heard", module="planted_arguments", isolated=True),
    Fault("DrawsBlack", "TTI", "it_is_not_black", SEEN_BY_ALL, module="planted_arguments", isolated=True),
    Fault("DrawsFractions", "TTI", "it_is_not_black", SEEN_BY_ALL, module="planted_arguments", isolated=True),
    Fault("FilmsAStill", "TTV", "it_shows_something_that_moves", module="planted_arguments", isolated=True),
    Fault(
        "FilmsInTheDark", "TTV", "it_shows_something_that_moves", SEEN_BY_ALL, module="planted_arguments", isolated=True
    ),
    Fault("ListsNumpysVoices", "TTS", "numbers_are_pythons_own", module="planted_arguments"),
    Fault("ReportsNumpysNumbers", "TTS", "numbers_are_pythons_own", module="planted_arguments"),
)

_TIMES = (
    Fault("HearsPastTheEnd", "STT", "times_lie_in_the_recording", module="planted_times"),
    Fault("IsOneWindowLate", "STT", "times_lie_in_the_recording", module="planted_times"),
    Fault("BeginsWhereItEnds", "STT", "times_are_where_the_speech_is", module="planted_times"),
    Fault("IsASecondEarly", "STT", "times_are_where_the_speech_is", ("the_end_is_heard",), module="planted_times"),
    Fault("TellsMilliseconds", "STT", "times_lie_in_the_recording", module="planted_times"),
    Fault(
        "TellsThousands",
        "STT",
        "times_are_where_the_speech_is",
        ("silence_before_moves_the_times", "the_end_is_heard"),
        module="planted_times",
    ),
    Fault("BeginsAgain", "STT", "times_go_forward", ("times_are_where_the_speech_is",), module="planted_times"),
    Fault("BeginsAgainWithSpeech", "STT", "silence_before_moves_the_times", module="planted_times"),
    Fault("TellsSegmentsTwice", "STT", "times_go_forward", module="planted_times"),
    Fault("LosesTheEnd", "STT", "the_end_is_heard", ("silence_and_very_short_sound",), module="planted_times"),
    Fault(
        "LosesItsLastSegments",
        "STT",
        "the_end_is_heard",
        ("times_are_where_the_speech_is", "the_first_part_comes_before_the_whole_is_done", "what_is_asked_for_differs"),
        module="planted_times",
    ),
    Fault("HearsThreeSeconds", "STT", "times_are_where_the_speech_is", SEEN_BY_ALL, module="planted_times"),
    Fault("IgnoresTheRate", "STT", "the_rate_of_the_recording_is_heeded", module="planted_times"),
    Fault("TakesStereoForLonger", "STT", "the_rate_of_the_recording_is_heeded", module="planted_times"),
    Fault("MixesRecordings", "STT", "eight_threads_each_get_their_answer", module="planted_times"),
    Fault("HearsTheFirstAgain", "STT", "what_is_asked_for_differs", SEEN_BY_ALL, module="planted_times"),
    Fault("TellsWordsOfItsWindow", "STT", "words_lie_in_their_segments", module="planted_times"),
    Fault("TellsNoWords", "STT", "words_lie_in_their_segments", module="planted_times"),
    Fault("TellsOtherWords", "STT", "words_lie_in_their_segments", module="planted_times"),
    Fault("TellsNumpysTimes", "STT", "numbers_are_pythons_own", module="planted_times"),
    Fault("TellsNumpysChances", "STT", "numbers_are_pythons_own", module="planted_times"),
    Fault("ChangesTheFile", "STT", "a_recording_is_left_as_it_was", SEEN_BY_ALL, module="planted_times", isolated=True),
    Fault(
        "WritesBeside",
        "STT",
        "a_recording_is_left_as_it_was",
        ("two_calls_share_no_file", "no_shell_reads_what_is_given"),
        module="planted_times",
        isolated=True,
    ),
    Fault("TakesAwayNotes", "STT", "a_recording_is_left_as_it_was", module="planted_times"),
    Fault("AsksAShell", "STT", "no_shell_reads_what_is_given", module="planted_times"),
    Fault("TakesANameForAnOption", "STT", "a_name_with_a_dash_is_a_file", module="planted_times"),
)

_PROCESS = (
    Fault("ChangesDirectory", "TTS", "the_process_is_left_as_it_was", module="planted_process"),
    Fault("ChangesDirectoryMeanwhile", "TTS", "the_process_is_left_as_it_was", module="planted_process"),
    Fault("SetsTheEnvironment", "TTS", "the_process_is_left_as_it_was", module="planted_process"),
    Fault("SetsTheEnvironmentOnLoading", "TTS", "the_process_is_left_as_it_was", module="planted_process"),
    Fault("SetsTheEnvironmentOnce", "TTS", "the_process_is_left_as_it_was", module="planted_process"),
    Fault("HandlesSignals", "TTS", "the_process_is_left_as_it_was", module="planted_process"),
    Fault("BlocksSignals", "TTS", "the_process_is_left_as_it_was", module="planted_process"),
    Fault("TurnsWarningsOff", "TTS", "the_process_is_left_as_it_was", module="planted_process"),
    Fault("TurnsLoggingOff", "TTS", "the_process_is_left_as_it_was", module="planted_process"),
    Fault("TurnsLoggersOff", "TTS", "the_process_is_left_as_it_was", module="planted_process"),
    Fault("SetsUpTheRootLogger", "TTS", "the_process_is_left_as_it_was", module="planted_process"),
    Fault(
        "ReplacesItsOutput",
        "TTS",
        "the_process_is_left_as_it_was",
        ("nothing_grows_with_calls", *_LEAKS),
        module="planted_process",
    ),
    Fault("SetsTheTimeOfSockets", "TTS", "the_process_is_left_as_it_was", module="planted_process"),
    Fault("TurnsTheCollectorOff", "TTS", "the_process_is_left_as_it_was", module="planted_process"),
    Fault("SetsTheUmask", "TTS", "the_process_is_left_as_it_was", module="planted_process"),
    Fault("SeedsRandom", "TTS", "the_random_numbers_of_the_process_are_left_alone", module="planted_process"),
    Fault("SeedsNumpy", "TTS", "the_random_numbers_of_the_process_are_left_alone", module="planted_process"),
    Fault("EatsStandardInput", "TTS", "standard_input_is_the_callers", module="planted_process"),
    Fault("ReadsStandardInput", "TTS", "standard_input_is_the_callers", module="planted_process"),
    Fault("SwallowsControlC", "TTS", "control_c_ends_the_call", module="planted_process"),
    Fault(
        "IgnoresControlC",
        "TTS",
        "control_c_ends_the_call",
        ("the_process_is_left_as_it_was",),
        module="planted_process",
    ),
    Fault("TakesControlCForAFailure", "TTS", "control_c_ends_the_call", module="planted_process"),
    Fault("LeavesZombies", "TTS", "no_process_is_left", module="planted_process"),
    Fault("LeavesItsProgram", "TTS", "no_process_is_left", module="planted_process", isolated=True),
    Fault("LeavesAnOrphan", "TTS", "no_process_is_left", module="planted_process"),
    Fault("LeavesItsProgramWhenStopped", "TTS", "no_process_is_left", module="planted_process"),
    Fault("LeavesItsServer", "TTS", "no_process_is_left", ("unloaded_and_used_again",), module="planted_process"),
    Fault("LeavesItsThread", "TTS", "close_leaves_no_thread", ("unloaded_and_used_again",), module="planted_process"),
    # Eight threads meet in the file, too, if they are there at the same time.
    Fault("SharesItsFile", "TTS", "two_calls_share_no_file", (_THREADS,), module="planted_process"),
    Fault("SharesItsProgramsFile", "TTS", "two_calls_share_no_file", (_THREADS,), module="planted_process"),
    Fault("WritesHere", "TTS", "two_calls_share_no_file", (_THREADS,), module="planted_process"),
    Fault("SpeaksThroughAShell", "TTS", "no_shell_reads_what_is_given", module="planted_process"),
    Fault("QuotesForAShell", "TTS", "no_shell_reads_what_is_given", module="planted_process"),
    Fault("TakesTextForAnOption", "TTS", "no_shell_reads_what_is_given", module="planted_process"),
    Fault(
        "LeaksWhenStopped", "TTS", "nothing_grows_with_calls_that_are_stopped", module="planted_process", isolated=True
    ),
    Fault(
        "LeaksMemoryWhenStopped", "TTS", "nothing_grows_with_calls_that_are_stopped", _LEAKS, module="planted_process"
    ),
    Fault("LeaksWhenRefused", "TTS", "nothing_grows_with_calls_that_are_refused", module="planted_process"),
    Fault("LeaksThreadsWhenRefused", "TTS", "nothing_grows_with_calls_that_are_refused", module="planted_process"),
    Fault("LeaksWhenStreamed", "TTS", "nothing_grows_with_streams", module="planted_process"),
    Fault("LeavesFilesWhenStopped", "TTS", "no_temporary_files_are_left", module="planted_process"),
    Fault("IsDead", "TTS", "smoke", module="planted_process", isolated=True),
    Fault("WantsASetting", "TTS", "smoke", module="planted_process"),
    Fault("NeverEnds", "TTS", "smoke", module="planted_process", extra={"smoke_within": 0.5}),
    Fault("ChangesPictures", "TTI", "images_are_left_as_they_were", module="planted_process"),
    Fault("LeavesThumbnails", "TTI", "images_are_left_as_they_were", module="planted_process"),
)

_WORDS = (
    Fault("TellsTimesOfTheWhole", "TTS", _AS_A_WHOLE, (_IN_ORDER,), module="planted_words", isolated=True),
    Fault("TellsSpokenMilliseconds", "TTS", _IN_ORDER, module="planted_words"),
    Fault("TellsNoSpokenWords", "TTS", _IN_ORDER, (_AS_A_WHOLE,), module="planted_words"),
    Fault("TellsFewerWordsInStreams", "TTS", _AS_A_WHOLE, module="planted_words"),
    Fault("TellsWordsUnasked", "TTS", "words_that_nobody_asked_for_are_not_told", module="planted_words"),
    Fault("DeclaresNoWords", "TTS", _ALIGNED, module="planted_words", isolated=True),
    Fault(
        "TellsItsFirstTextAlone",
        "TTS",
        _ALIGNED,
        ("parts_of_a_stream_tell_their_text",),
        module="planted_words",
        isolated=True,
    ),
    Fault("CallsItsEnglishFrench", "STT", "a_translation_is_english_whatever_was_spoken", module="planted_words"),
)

_VERBS = (
    Fault("ForgetsConsent", "TTS", "a_recording_is_a_voice_and_consent_is_kept", (
        "a_voice_is_kept_and_forgotten", _ALIGNED), module="planted_verbs", isolated=True),
    Fault("HidesThatItClones", "TTS", "a_recording_is_a_voice_and_consent_is_kept", (
        "a_voice_is_kept_and_forgotten", _ALIGNED), module="planted_verbs", isolated=True),
    Fault("WritesOverVoices", "TTS", "a_voice_is_kept_and_forgotten", (_ALIGNED,), module="planted_verbs", isolated=True),
    Fault("KeepsWithoutConsent", "TTS", "voices_that_cannot_be_kept", (_ALIGNED,), module="planted_verbs"),
    Fault("ForgetsToForget", "TTS", "a_voice_is_kept_and_forgotten", (_ALIGNED,), module="planted_verbs", isolated=True),
    Fault("DescribesOthers", "TTS", "voices_are_described", module="planted_verbs", isolated=True),
    Fault("SpellsLanguagesOddly", "TTS", "voices_are_described", module="planted_verbs", isolated=True),
    Fault("PretendsToKeep", "TTS", "a_binding_that_keeps_no_voices_says_so", module="planted_verbs"),
    Fault("EncodesLess", "TTS", "an_encoded_stream_decodes_to_the_whole", (
        "the_twin_of_the_encoded_stream",), module="planted_verbs"),
    Fault("EncodesAnything", "TTS", "a_format_that_cannot_be_streamed_is_refused", module="planted_verbs"),
    Fault("EnlargesOneSide", "TTI", "an_image_is_enlarged", module="planted_verbs", isolated=True),
    Fault("CutsNothingOut", "TTI", "a_background_is_removed", module="planted_verbs", isolated=True),
    Fault("BeginsAnew", "TTM", "music_goes_on", ("a_part_is_made_anew",), module="planted_verbs", isolated=True),
    Fault("SingsNothing", "TTM", "what_is_to_be_sung_is_heeded", module="planted_verbs", isolated=True),
    Fault("SingsOneWord", "TTM", "what_is_to_be_sung_is_heeded", module="planted_verbs", isolated=True),
    Fault("PaintsAllAnew", "TTM", "a_part_is_made_anew", module="planted_verbs", isolated=True),
    Fault("PaintsNothing", "TTM", "a_part_is_made_anew", module="planted_verbs", isolated=True),
)  # fmt: skip

_WORDS_LIE = "words_lie_in_their_segments"
_SUBTLE = (
    Fault("IgnoresItsNegativePrompt", "TTI", "what_is_not_to_be_shown_is_heeded", module="planted_subtle"),
    Fault("StreamsInItsFirstVoice", "TTS", "a_stream_heeds_what_is_asked_for", module="planted_subtle"),
    Fault("StreamsAtOneSpeed", "TTS", "a_stream_heeds_what_is_asked_for", module="planted_subtle"),
    Fault("LosesWhatHasNoEnd", "TTS", "every_sentence_is_spoken", module="planted_subtle"),
    Fault("DrawsOneManyTimes", "TTI", "several_images_differ", module="planted_subtle"),
    Fault("DrawsFewer", "TTI", "several_images_differ", module="planted_subtle"),
    Fault("ChangesAsItLikes", "TTI", "an_image_is_changed_as_was_asked", module="planted_subtle"),
    Fault("ChangesAnotherImage", "TTI", "an_image_is_changed_as_was_asked", module="planted_subtle"),
    Fault("FilmsHalfTheSound", "TTV", "its_sound_is_as_long_as_its_pictures", module="planted_arguments", isolated=True),
    Fault("FilmsTheSame", "TTV", "what_is_asked_for_differs", module="planted_subtle"),
    Fault("PlaysWithItsOwnSeed", "TTM", "another_seed_gives_another_result", module="planted_subtle"),
    Fault("KeepsItsSpeedWhenStopped", "TTS", "a_cancelled_call_leaves_nothing_to_the_next", SEEN_BY_ALL, module="planted_subtle"),
    Fault("KeepsItsVoiceWhenClosed", "TTS", "a_stream_closed_early_leaves_nothing_to_the_next", SEEN_BY_ALL, module="planted_subtle"),
    Fault("KeepsItsModelBeside", "TTS", "unloaded_and_used_again", module="planted_subtle"),
    Fault("EndsInSilence", "TTS", "it_can_be_heard", (_IN_ORDER,), module="planted_subtle", isolated=True),
    Fault("PlaysOnOneSide", "TTM", "it_can_be_heard", module="planted_subtle", isolated=True),
    Fault("DescribesInNumpy", "TTS", "numbers_are_pythons_own", module="planted_subtle"),
    Fault("TellsWordsOfALaterWindow", "STT", _WORDS_LIE, ("times_lie_in_the_recording",), module="planted_subtle"),
    Fault("LosesLaterWords", "STT", _WORDS_LIE, module="planted_subtle"),
    Fault("Drifts", "STT", "times_are_where_the_speech_is", module="planted_subtle"),
    Fault("IsOneWindowEarly", "STT", "times_are_where_the_speech_is", (
        "times_go_forward",), module="planted_subtle"),
    Fault("RedirectsItsOutput", "TTS", "the_process_is_left_as_it_was", module="planted_subtle"),
    Fault("LeavesATimer", "TTS", "the_process_is_left_as_it_was", module="planted_subtle"),
    Fault("StartsProcessesItsWay", "TTS", "the_process_is_left_as_it_was", module="planted_subtle"),
    Fault("SilencesOthers", "TTS", "the_process_is_left_as_it_was", module="planted_subtle"),
    Fault("PrintsNumbersItsWay", "TTS", "the_process_is_left_as_it_was", module="planted_subtle"),
    Fault("SeedsRandomOnLoading", "TTS", "the_random_numbers_of_the_process_are_left_alone", module="planted_subtle"),
    Fault("SharesAFileElsewhere", "TTS", "two_calls_share_no_file", (_THREADS,), module="planted_subtle"),
    Fault("ChangesBytes", "STT", "a_recording_is_left_as_it_was", module="planted_subtle"),
    Fault("SetsTheEnvironmentAtImport", "TTS", "its_import_has_no_side_effects", module="planted_at_import"),
)  # fmt: skip

_LATER = (
    Fault("HeedsItsVoiceAtFirst", "TTS", "voices_differ", module="planted_later", isolated=True),
    Fault("HeedsItsSpeedAtFirst", "TTS", "faster_is_shorter", module="planted_later", isolated=True),
    Fault("NeverSlows", "TTS", "faster_is_shorter", module="planted_later"),
    Fault("SpeaksItsFirstParagraph", "TTS", "every_sentence_is_spoken", module="planted_later", isolated=True),
    Fault("StopsAtAQuestion", "TTS", "every_sentence_is_spoken", module="planted_later"),
    Fault("SpeaksFiveHundredCharacters", "TTS", "a_long_text_is_taken_whole", module="planted_later"),
    Fault("ReadsBothEnds", "TTI", "what_is_asked_for_differs", module="planted_later", isolated=True),
    Fault("TakesNoughtForNoSeed", "TTI", "a_seed_repeats_the_result", module="planted_later"),
    Fault("DrawsInEights", "TTI", "width_is_not_height", module="planted_later", isolated=True),
    Fault("FilmsInEights", "TTV", "width_is_not_height", module="planted_later"),
    Fault("HasOneDefaultForAll", "TTS", "instances_are_independent", ("a_default_of_the_settings_is_what_is_used",), module="planted_later"),
    Fault("NotesWhatItHeard", "STT", "instances_are_independent", module="planted_later"),
    Fault("KeepsItsStyle", "TTS", "settings_that_change_hold_for_the_next_call", module="planted_later"),
    Fault("KeepsItsOctave", "TTS", "settings_that_change_hold_for_the_next_call", module="planted_later"),
    Fault("StaysMuffled", "TTS", "settings_that_change_hold_for_the_next_call", module="planted_later"),
    Fault("CachesByPath", "STT", "a_name_means_what_lies_there_now", module="planted_later", isolated=True),
    Fault("CachesByDuration", "STT", "what_is_asked_for_differs", (), {"expected": ("quiet loud",)}, "planted_later"),
    Fault("MixesInstances", "STT", "eight_threads_each_get_their_answer", module="planted_later"),
    Fault("KeepsALittle", "TTS", "nothing_grows_with_calls", _LEAKS, module="planted_later"),
    Fault("TellsWordsWithoutLength", "STT", "words_lie_in_their_segments", module="planted_later"),
    Fault("WritesBesideVoices", "TTS", "a_recording_is_a_voice_and_consent_is_kept", (_ALIGNED,), module="planted_later"),
    Fault("EnlargesInPlace", "TTI", "images_are_left_as_they_were", module="planted_later"),
    Fault("PlaysOnInPlace", "TTM", "music_goes_on", module="planted_later"),
    Fault("ExitsOnControlC", "TTS", "control_c_ends_the_call", module="planted_later"),
    Fault("ExitsOnAnUnknownVoice", "TTS", "a_name_is_no_path", ("a_refused_call_leaves_nothing_to_the_next", _LEAKS[1]), module="planted_later"),
    Fault("OpensAnyPicture", "TTS", "the_process_is_left_as_it_was", module="planted_later"),
    Fault("TrustsAnybody", "TTS", "the_process_is_left_as_it_was", module="planted_later"),
    Fault("Clicks", "TTS", "it_can_be_heard", SEEN_BY_ALL, module="planted_later", isolated=True),
    Fault("DrawsTransparent", "TTI", "it_is_not_black", ("an_image_is_changed", "an_image_is_changed_as_was_asked"), module="planted_later", isolated=True),
    Fault("DrawsOnePoint", "TTI", "it_is_not_black", module="planted_later", isolated=True),
    Fault("FilmsAStillAfterItsFirst", "TTV", "it_shows_something_that_moves", module="planted_later", isolated=True),
    Fault("DescribesNothing", "TTS", "voices_are_described", module="planted_later"),
    Fault("TellsNumpysLanguage", "STT", "numbers_are_pythons_own", module="planted_later"),
)  # fmt: skip

FAULTS = _FIRST + _ARGUMENTS + _TIMES + _WORDS + _PROCESS + _VERBS + _SUBTLE + _LATER
