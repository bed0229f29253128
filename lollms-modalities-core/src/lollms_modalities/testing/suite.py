"""The base of the five suites: what an author declares, and how a binding is made and called."""

from __future__ import annotations

import importlib
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, ClassVar

import pytest

from lollms_modalities.contract.binding import LollmsBinding
from lollms_modalities.entry_points.refs import BindingRef
from lollms_modalities.errors import CallCancelled
from lollms_modalities.finding.manager import BindingManager
from lollms_modalities.settings.types import is_secret
from lollms_modalities.testing.contract import contract, drop_what_does_not_apply, guard
from lollms_modalities.testing.decoded import same_content
from lollms_modalities.testing.stopwatch import Stopwatch

SECRET = "sesame-4f1d7a"
HOSTILE = ("../{marker}", "..\\{marker}", "{marker}\0", "{marker}" * 400, "nul/../../{marker}", "-{marker}")


class Suite:
    """What the author of a binding declares.

    Attributes:
        binding: the class.
        settings: for a small model.
        sample: arguments of the main verb that give the same result each time (with a seed, where there is one).
        long_sample: arguments that differ for a call that takes a while, at best some seconds.
        stop_within: seconds in which a call stops when it is told to. May be raised; must be there.
        growth: bytes that many calls may leave in memory. May be raised.
        network: whether the engine is a service elsewhere.
        smoke_within: seconds in which the first call comes to its end, loading and fetching included.
        patience: seconds in which what has ended (a process, a thread, the time of a model) is gone.
        bindings_dir: an extra folder of distributions in which the binding lies, if it is not installed.
    """

    binding: ClassVar[type[LollmsBinding]]
    settings: ClassVar[Mapping[str, Any]] = {}
    sample: ClassVar[Mapping[str, Any]] = {}
    long_sample: ClassVar[Mapping[str, Any]] = {}
    stop_within: ClassVar[float] = 2.0
    growth: ClassVar[float] = 32e6
    network: ClassVar[bool] = False
    bindings_dir: ClassVar[str | Path | None] = None
    smoke_within: ClassVar[float] = 300.0
    patience: ClassVar[float] = 10.0

    # Of the modality.
    verb: ClassVar[str]
    stream_verb: ClassVar[str | None] = None
    default_sample: ClassVar[Mapping[str, Any]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        guard(cls)
        if hasattr(cls, "binding"):
            bound = cls.stop_within
            contract(
                isinstance(bound, (int, float)) and 0 < bound <= 120,
                f"{cls.__name__}.stop_within is a number of seconds, at most 120: a call that is told to stop does.",
                "stopping",
                bound,
            )
            drop_what_does_not_apply(cls)

    # -- what the tests use ------------------------------------------------------------------------------------------

    @pytest.fixture(scope="class")
    @classmethod
    def isolated(cls, request: pytest.FixtureRequest) -> bool:
        """Whether the binding is to run in another process, here or elsewhere."""
        given = request.config.getoption
        return bool(given("--lollms-isolated", default=False) or given("--lollms-place", default=None))

    @pytest.fixture(scope="class")
    @classmethod
    def maker(cls, isolated: bool, request: pytest.FixtureRequest) -> Callable[..., Any]:
        """Makes a binding, with settings besides the suite's; who asks for it closes it."""

        def make(**settings: Any) -> Any:
            given = {**cls.settings, **settings}
            place = request.config.getoption("--lollms-place", default=None)
            where: dict[str, Any] = {"place": place} if place else {"isolated": True} if isolated else {}
            return cls.manager().require_binding(cls.ref().name, **where, **given)

        return make

    @pytest.fixture
    def make(self, maker: Callable[..., Any]) -> Iterator[Callable[..., Any]]:
        """The same for one test, at whose end they are closed: each may hold a model, and a process."""
        with ExitStack() as made:
            yield lambda **settings: made.enter_context(closing(maker(**settings)))

    @classmethod
    def arguments(cls, **more: Any) -> dict[str, Any]:
        """The sample's arguments, with a seed where the binding has one."""
        seed = {"seed": 7} if cls.capabilities().seed else {}
        return {**cls.default_sample, **seed, **cls.sample, **more}

    @classmethod
    def call(cls, binding: Any, **more: Any) -> Any:
        """Call the main verb."""
        return getattr(binding, cls.verb)(**cls.arguments(**more))

    @classmethod
    def brief(cls, binding: Any, **more: Any) -> Any:
        """Call the main verb where nothing hangs on what it is asked for: with as little to do as there may be."""
        return cls.call(binding, **{**cls.little(), **more})

    @classmethod
    def little(cls) -> dict[str, Any]:
        """Of the modality: arguments that differ for a call that takes hardly any time."""
        return {}

    def long(self, **more: Any) -> dict[str, Any]:
        """Arguments for a call that takes a while."""
        return {**self.long_sample, **more}

    def variants(self) -> list[dict[str, Any]]:
        """Arguments that differ, for calls side by side."""
        raise NotImplementedError

    def check(self, result: Any) -> None:
        """Fail unless a result is what its modality promises."""
        raise NotImplementedError

    @staticmethod
    def same(a: Any, b: Any) -> bool:
        """Whether two results are equal, in their bytes or in what is seen and heard."""
        return same_content(a, b)

    @classmethod
    def capabilities(cls) -> Any:
        """Of the class where it declares them there, else of one instance that loads nothing."""
        declared = getattr(cls.binding, "capabilities", None)
        if not isinstance(declared, property):
            return declared
        if "_declared" not in cls.__dict__:
            with cls.binding(**cls.settings) as binding:
                cls._declared = binding.capabilities  # type: ignore[attr-defined]
        return cls._declared  # type: ignore[attr-defined]

    @classmethod
    def manager(cls) -> BindingManager[Any]:
        """The modality's manager."""
        modality = cls.binding.modality
        module = importlib.import_module("lollms_modalities.finding.managers")
        made: BindingManager[Any] = getattr(module, f"Lollms{modality.upper()}BindingManager")(cls.bindings_dir)
        return made

    @classmethod
    def ref(cls) -> BindingRef:
        """The entry point of the class."""
        target = f"{cls.binding.__module__}:{cls.binding.__qualname__}"
        refs = cls.manager().refs()
        for ref in refs:
            if ref.target == target or _is(ref, cls.binding):
                return ref
        contract(
            False,
            f"A binding has an entry point in the group lollms_client.{cls.binding.modality}_bindings of an installed "
            "distribution.",
            "discovery",
            [r.target for r in refs],
        )
        raise AssertionError

    @classmethod
    def secret_names(cls) -> list[str]:
        """Names of the settings that are secrets."""
        return [n for n, f in cls.binding.settings_class().model_fields.items() if is_secret(f)]

    @classmethod
    def secrets(cls) -> dict[str, Any]:
        """A value for each of them."""
        return dict.fromkeys(cls.secret_names(), SECRET)

    @classmethod
    def others(cls, bound: Any) -> dict[str, Any]:
        """Other values than the sample's, for those arguments of the binding that mean the same everywhere."""
        given, names = cls.arguments(), cls.option_names()
        other: dict[str, Any] = {}
        if "seed" in given:
            other["seed"] = given["seed"] + 1
        return other | {
            k: v for k, v in cls.other_values(bound, given).items() if k in names or k in given or k == "voice"
        }

    @classmethod
    def other_values(cls, bound: Any, given: Mapping[str, Any]) -> dict[str, Any]:
        """Of the modality: values other than those ``given``, by the name of the argument."""
        return {}

    @classmethod
    def option_names(cls) -> list[str]:
        """Names of the main verb's options."""
        return list(cls.binding.options_class().model_fields)

    @classmethod
    def stopped(cls, run: Callable[[], object], within: float | None = None) -> tuple[BaseException | None, float]:
        """What a call raised, None if nothing, and the seconds it took, without those that it waited for a processor;
        after ``within`` of any kind it is waited for no more."""
        caught: list[BaseException | None] = []

        def body() -> None:
            try:
                run()
                caught.append(None)
            except BaseException as exc:
                caught.append(exc)

        watch = Stopwatch()
        thread = threading.Thread(target=body, daemon=True)
        thread.start()
        thread.join(4 * cls.stop_within + 60 if within is None else within)
        taken = watch.seconds()
        return (caught[0] if caught else TimeoutError(f"It goes on after {taken:.0f} s.")), taken

    @staticmethod
    def quietly(run: Callable[[], object]) -> None:
        """Run what may be cancelled."""
        try:
            run()
        except CallCancelled:
            return


def _is(ref: BindingRef, cls: type) -> bool:
    module, _, attribute = ref.target.partition(":")
    if module.partition(".")[0] != cls.__module__.partition(".")[0]:
        return False
    found: Any = importlib.import_module(module)
    for part in attribute.split("."):
        found = getattr(found, part, None)
    return found is cls
