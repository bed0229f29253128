"""What calls give and what they take."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lollms_modalities.errors import LollmsError, OptionError
from lollms_modalities.testing.contract import applies, contract, crosses, raises
from lollms_modalities.testing.plain import strangers
from lollms_modalities.testing.raw import engines_segments
from lollms_modalities.testing.suite import HOSTILE, Suite
from lollms_modalities.testing.watch import watching


class ResultTests(Suite):
    """Results and options."""

    @crosses
    def test_the_result_is_what_it_says(self, result: Any) -> None:
        """Make results with ``Audio.from_samples``, ``Image.from_pixels``, ``Video.from_frames``,
        ``Transcript.from_segments``."""
        self.check(result)

    @crosses
    def test_the_result_says_how_it_was_made(self, result: Any) -> None:
        """Set ``engine`` to the distribution's name; of a program, record ``engine_version`` with
        ``current_call().record``."""
        told = result.provenance
        contract(told is not None, "A result has its provenance.", "results")
        json.dumps(told.to_json())
        ref = self.ref()
        found = (told.binding, told.modality, told.distribution, told.distribution_version)
        contract(
            found == (ref.name, self.binding.modality, ref.distribution, ref.version),
            "Provenance names the binding, its modality, its distribution and the version.",
            "results",
            found,
        )
        contract(
            bool(self.binding.engine) == bool(told.engine) and (not told.engine or told.engine_version or self.network),
            "Provenance names the engine that the class declares, and its version.",
            "results",
            (told.engine, told.engine_version),
        )
        contract(told.elapsed > 0 and told.started > 0, "Provenance says when and how long.", "results", told)

    def test_numbers_are_pythons_own(self, bound: Any, result: Any) -> None:
        """Convert what the engine gives: ``float(x)``, ``int(x)``, ``str(x)``, ``x.tolist()``."""
        reports: list[Any] = []
        with engines_segments() as segments:
            again = self.call(bound, progress=reports.append)
        found = [
            stranger
            for one in (result, again)
            for name in ("sample_rate", "channels", "duration", "width", "height", "num_frames", "fps", "language",
                         "language_probability", "segments")
            for stranger in strangers(getattr(one, name, None), name)
        ]  # fmt: skip
        found += strangers(segments, "segments")
        told = result.provenance
        for name in ("engine_version", "model", "options", "seed", "usage", "extra"):
            found += strangers(getattr(told, name), f"provenance.{name}")
        for report in reports:
            found += strangers((report.stage, report.done, report.total, report.unit), "a report of progress")
        found += strangers(bound.capabilities, "capabilities")
        for name in ("list_models", "list_voices", "list_services"):
            found += strangers(getattr(bound, name, list)(), f"{name}()")
        found += strangers(getattr(bound, "describe_voices", list)(), "describe_voices()")
        found += strangers(bound.get_settings(), "get_settings()")
        if self.stream_verb:
            with engines_segments() as segments:
                for item in getattr(bound, self.stream_verb)(**self.arguments()):
                    found += strangers(item, "an item of the stream")
            found += strangers(segments, "an item of the stream")
        contract(not found, "What a result holds are Python's own numbers and texts.", "results", sorted(set(found)))

    def test_defaults_are_filled_in(self, bound: Any, result: Any) -> None:
        """Take what the verb is given; defaults are in ``Options``, or in settings named ``default_...``."""
        given = self.arguments()
        for name, field in self.binding.options_class().model_fields.items():
            if name in given or name in ("seed", "output_format"):
                continue
            settings = (getattr(bound.settings, setting, None) for setting in (f"default_{name}", name))
            setting = next((value for value in settings if value is not None), None)
            expected = field.get_default(call_default_factory=True) if setting is None else setting
            found = result.provenance.options.get(name)
            contract(
                json.loads(json.dumps(found, default=str)) == json.loads(json.dumps(expected, default=str)),
                f"The option {name!r} has its default where the caller gives none, and provenance says so.",
                "options",
                found,
            )

    def test_the_result_copies_and_pickles(self, result: Any) -> None:
        """Return ``Audio``, ``Image``, ``Video``, ``Transcript`` or plain bytes, with no attributes of your own."""
        for other in (copy.copy(result), copy.deepcopy(result), pickle.loads(pickle.dumps(result))):
            same = other == result and type(other) is type(result) and other.provenance == result.provenance
            contract(same, "A result copies and pickles with what it knows.", "results", other)

    def test_the_result_saves_itself(self, result: Any, tmp_path: Path) -> None:
        """Return results of our classes as they were made."""
        self.check_saved(result, tmp_path)

    def check_saved(self, result: Any, folder: Path) -> None:
        """Save in the result's own format: the same bytes."""
        suffix = type(result).formats[result.format].suffixes[0]
        path = result.save(folder / f"saved{suffix}")
        contract(path.read_bytes() == bytes(result), "save() in the result's own format writes its bytes.", "results")

    @crosses
    @applies(lambda suite: suite.whole_media)
    def test_output_path_holds_the_whole_result(self, bound: Any, result: Any, tmp_path: Path) -> None:
        """Return the result as it is: the core writes the file, in one step."""
        suffix = type(result).formats[result.format].suffixes[0]
        path = tmp_path / f"out{suffix}"
        written = self.call(bound, output_path=path)
        contract(
            [p.name for p in tmp_path.iterdir()] == [path.name],
            "With output_path the file is there, and nothing beside it.",
            "results",
            list(tmp_path.iterdir()),
        )
        contract(
            written.path == path and not len(written), "With output_path the bytes are in the file only.", "results"
        )
        self.check(written)

    @applies(lambda suite: suite.whole_media)
    def test_every_declared_output_format(self, bound: Any, result: Any) -> None:
        """Declare in ``output_formats`` what the engine makes itself, and make it where it is asked for."""
        declared = self.capabilities().output_formats or (type(result).formats and [result.format])
        for name in declared:
            made = self.call(bound, output_format=name)
            contract(made.format == name, f"output_format={name!r} gives that format.", "results", made)
        sentence = "An unknown output_format is an OptionError."
        with raises(OptionError, sentence, "results"):
            self.call(bound, output_format="no-such-format")

    @applies(lambda suite: suite.capabilities().seed)
    def test_a_seed_repeats_the_result(self, bound: Any) -> None:
        """Draw all random numbers of a call from a generator that the option ``seed`` has seeded; 0 is a seed, too."""
        first, second = self.call(bound, seed=0), self.call(bound, seed=0)
        contract(self.same(first, second), "The same seed gives the same result.", "results")
        drawn = self.call(bound, seed=None)
        contract(isinstance(drawn.provenance.seed, int), "A seed that is not given is drawn and recorded.", "results")
        again = self.call(bound, seed=drawn.provenance.seed)
        contract(self.same(drawn, again), "The seed that was recorded repeats the result.", "results")

    # -- options -----------------------------------------------------------------------------------------------------

    @crosses
    def test_an_unknown_option_is_refused(self, bound: Any) -> None:
        """Declare options in ``class Options(CallOptions)``, and leave the wrapping of the verb as it is."""
        near = next(iter(self.option_names()), "timeout")
        sentence = "An unknown option is an OptionError that names the nearest known one."
        with raises(OptionError, sentence, "options") as caught:
            self.call(bound, **{near + "x": 1})
        contract(near in str(caught[0]), sentence, "options", str(caught[0]))

    def test_an_option_of_a_wrong_type_is_refused(self, bound: Any) -> None:
        """Give each option a type and bounds; ``Any`` takes everything."""
        for name in self.option_names():
            with raises(OptionError, f"A wrong value of the option {name!r} is an OptionError.", "options") as caught:
                self.call(bound, **{name: [[{"not": "a value"}]]})
            contract(name in str(caught[0]), "An OptionError names the option.", "options", str(caught[0]))

    def test_supports_tells_the_truth(self, bound: Any) -> None:
        """Declare options and capabilities, and leave ``supports`` to the core."""
        for name in (*self.option_names(), "progress", "cancel", "timeout"):
            contract(bound.supports(name), f"supports({name!r}) is true: a call takes it.", "options")
        contract(not bound.supports("no_such_option"), "supports() of what nobody knows is false.", "options")
        for name in ("streaming", "cloning", "seed"):
            declared = getattr(bound.capabilities, name)
            contract(
                name in self.option_names() or bound.supports(name) == declared,
                f"supports({name!r}) says what the capabilities say.",
                "options",
            )
        if self.capabilities().seed:
            contract("seed" in self.option_names(), "A binding that declares a seed has the option seed.", "options")

    def test_controls_that_are_wrong_are_refused(self, bound: Any) -> None:
        """Leave ``progress``, ``cancel`` and ``timeout`` to the core."""
        for wrong in ({"timeout": -1}, {"timeout": "soon"}, {"cancel": 3}, {"progress": 3}):
            with raises(OptionError, f"{wrong} is an OptionError.", "options"):
                self.call(bound, **wrong)

    @crosses
    def test_nothing_is_printed(self, bound: Any, capfd: pytest.CaptureFixture[str]) -> None:
        """Use ``kit.quiet()`` and ``kit.relay_logs``; give programs pipes for stdout and stderr."""
        self.call(bound)
        printed = capfd.readouterr()
        contract(printed.out + printed.err == "", "A call prints nothing, from Python or from C.", "results", printed)

    @applies(lambda suite: not suite.network)
    def test_nobody_on_the_network_is_asked(self, make: Callable[..., Any], request: pytest.FixtureRequest) -> None:
        """Fetch in ``load_model`` at most, and only what is not there; else set ``network = True`` in the suite."""
        # A place that is reached over the network is reached when it is made.
        elsewhere = make() if request.config.getoption("--lollms-place", default=None) else None
        with watching() as watcher:
            binding = make() if elsewhere is None else elsewhere
            self.brief(binding)
            for name in ("list_models", "list_voices", "list_services"):
                getattr(binding, name, list)()
        contract(
            not watcher.connections,
            "A local engine asks nobody on the network while it is used.",
            "hostile-input",
            watcher.connections,
        )

    # -- hostile input -----------------------------------------------------------------------------------------------

    @crosses
    @applies(lambda suite: suite.name_argument)
    def test_a_name_is_no_path(self, bound: Any, tmp_path: Path, isolated: bool) -> None:
        """Look a name up in the list of those that there are, and raise the typed error before any file is opened."""
        marker = "lollms-hostile"
        for form in HOSTILE:
            name = form.format(marker=marker)
            with (
                watching() as watcher,
                raises(LollmsError, f"A {self.name_argument} named {name[:40]!r} is a typed error.", "hostile-input"),
            ):
                self.call(bound, **{self.name_argument: name})
            opened = [path for path in watcher.opened if marker in path]
            contract(
                not opened or self.capabilities().cloning,
                f"A {self.name_argument} that is not known is looked for nowhere but in its folder.",
                "hostile-input",
                opened,
            )
        secret = tmp_path / marker
        secret.write_bytes(b"\0not a model" * 100)
        with raises(LollmsError, "The path of a file that is none of the engine's is a typed error.", "hostile-input"):
            self.call(bound, **{self.name_argument: str(secret)})
        contract([p.name for p in tmp_path.iterdir()] == [marker], "Nothing is written beside it.", "hostile-input")

    whole_media = True
    name_argument = ""
