"""What a caller asks for is what is done."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable
from typing import Any

from lollms_modalities.errors import LollmsError
from lollms_modalities.testing.contract import applies, contract
from lollms_modalities.testing.suite import Suite


class ArgumentTests(Suite):
    """Arguments reach the engine, each in its place."""

    def test_arguments_may_be_given_by_place(self, bound: Any, result: Any) -> None:
        """Give the verb the parameters of the documented signature, with their names and in their order."""
        documented = self.binding._verbs[self.verb].params
        own = inspect.unwrap(vars(self.binding).get(self.verb) or getattr(self.binding, self.verb))
        names = [n for n, p in inspect.signature(own).parameters.items() if p.kind is p.POSITIONAL_OR_KEYWORD][1:]
        sentence = f"{self.verb} has the documented parameters in their order."
        contract(tuple(names[: len(documented)]) == documented, sentence, "arguments", names)
        given = self.arguments()
        count = max(place for place, name in enumerate(documented, 1) if name in given)
        defaults = {n: p.default for n, p in inspect.signature(own).parameters.items()}
        places = [given.pop(name, defaults[name]) for name in documented[:count]]
        made = getattr(bound, self.verb)(*places, **given)
        contract(self.same(made, result), "Arguments by place mean what they mean by name.", "arguments", made)

    def test_what_is_asked_for_differs(self, bound: Any) -> None:
        """Give the whole of the text, prompt or recording to the engine. A cache needs all of it in its key."""
        for group in self.differing():
            # Any two may sound or look alike by chance, but not all.
            first, *rest = [self.call(bound, **asked) for asked in group]
            contract(
                any(not self.same(first, other) for other in rest),
                "What is asked for decides what is given, in its first words as in its last.",
                "arguments",
                group,
            )

    def differing(self) -> list[list[dict[str, Any]]]:
        """Groups of arguments, in each of which some results must differ."""
        return [self.variants()]

    @applies(lambda suite: "negative_prompt" in (*suite.binding._verbs[suite.verb].params, *suite.option_names()))
    def test_what_is_not_to_be_shown_is_heeded(self, bound: Any, result: Any, isolated: bool) -> None:
        """Give ``negative_prompt`` to the engine; where it has none, warn (``warnings.warn``) that it is ignored."""
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            shown = str(self.arguments().get("prompt", ""))  # hardly anything is to be avoided as much
            try:
                made = [self.call(bound, negative_prompt=words) for words in (shown, "houses, people and trees")]
            except LollmsError:
                return  # it says that it cannot
        differs = any(not self.same(result, other) for other in made)
        contract(
            differs or warned or isolated,  # another process warns there
            "What is not to be shown decides what is shown, or a warning says that it is ignored.",
            "arguments",
        )

    # There is one right transcript: an engine draws only where it fails at first.
    @applies(lambda suite: suite.capabilities().seed and suite.whole_media)
    def test_another_seed_gives_another_result(self, bound: Any, result: Any) -> None:
        """Seed a generator of the call with the option ``seed``, and let the engine draw from that one."""
        seeds = (11, 12, 13, 2**31 + 5)
        made = [self.call(bound, seed=seed) for seed in seeds]
        contract(
            any(not self.same(made[0], other) for other in made[1:]),
            "Another seed gives another result.",
            "arguments",
            seeds,
        )

    def test_a_default_of_the_settings_is_what_is_used(self, make: Callable[..., Any]) -> None:
        """Take what the verb is given: the core fills in the settings ``default_...`` of this moment."""
        binding = make()
        binding.load()
        for name, value in self.others(binding).items():
            setting = f"default_{name}"
            if setting not in self.binding.settings_class().model_fields or name in self.sample:
                continue
            given = self.arguments()
            given.pop(name, None)
            asked = getattr(binding, self.verb)(**given, **{name: value})
            before = getattr(binding.settings, setting)
            binding.set_settings({setting: value})
            found = getattr(binding, self.verb)(**given)
            binding.set_settings({setting: before})
            contract(
                self.same(found, asked),
                f"The setting {setting} holds at once, where a call does not say {name}.",
                "arguments",
                value,
            )

    def test_one_call_leaves_the_next_as_it_was(self, bound: Any, result: Any) -> None:
        """Keep what belongs to a call in its local variables: no attribute, no settings, no module."""
        rows = bound.get_settings()
        for name, value in self.others(bound).items():
            try:
                self.call(bound, **{name: value})
            except LollmsError:
                continue  # what it refuses it has not done
            contract(
                bound.get_settings() == rows,
                f"A call with {name}={value!r} leaves the settings as they were.",
                "arguments",
                [row for row, before in zip(bound.get_settings(), rows, strict=True) if row != before],
            )
        contract(
            self.same(self.call(bound), result),
            "What one call asks for is not left for the next: the sample gives again what it gave.",
            "arguments",
            self.others(bound),
        )
