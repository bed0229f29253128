"""How the suite speaks: one sentence for each promise, what to write to keep it, and a guard over its own tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import pytest

from lollms_modalities.errors import LollmsError

_F = TypeVar("_F", bound=Callable[..., Any])
_PAGE = "conformance.md"
_SHOWN = 500  # characters of what was found
_write: list[str] = [""]  # what to write, where the test fails that runs now; tests run one after another


def begin(test: Callable[..., Any]) -> None:
    """A test begins: the first paragraph of its docstring says what an author writes to keep the promise."""
    _write[0] = " ".join((test.__doc__ or "").partition("\n\n")[0].split())


def contract(kept: object, sentence: str, page: str, found: object = None) -> None:
    """Fail unless ``kept``: ``sentence`` says what the contract wants, ``page`` is the heading that explains it."""
    __tracebackhide__ = True
    if not kept:
        raise AssertionError(_said(sentence, page, "" if found is None else repr(found)))


def _said(sentence: str, page: str, found: str) -> str:
    shown = found if len(found) <= _SHOWN else found[:_SHOWN] + "..."
    write = f" What to write: {_write[0]}" if _write[0] else ""
    return f"{sentence} (See docs/{_PAGE}#{page}.){f' Found: {shown}' if shown else ''}{write}"


def engine_fails(test: Any, exc: BaseException) -> BaseException:
    """For an error in one of the suite's tests that is none of the suite's own, one that says what is wanted."""
    if isinstance(exc, AssertionError) or not is_standard(test.name, test.function):
        return exc
    if not isinstance(exc, LollmsError):
        found = f"{type(exc).__name__}: {exc}"
        return AssertionError(_said("What a binding gives is of its kind, and can be looked at.", "results", found))
    return AssertionError(
        _said("The engine does what this test asks for.", "the-engine-fails", f"{type(exc).__name__}: {exc}")
    )


@contextmanager
def raises(errors: type[BaseException] | tuple[type[BaseException], ...], sentence: str, page: str) -> Iterator[Any]:
    """The block must raise one of ``errors``; gives a list that holds what was raised."""
    __tracebackhide__ = True
    caught: list[BaseException] = []
    try:
        yield caught
    except errors as exc:
        caught.append(exc)
    except (Exception, SystemExit) as exc:
        raise AssertionError(_said(sentence, page, f"{type(exc).__name__}: {exc}")) from exc
    else:
        raise AssertionError(_said(sentence, page, "no error"))


@contextmanager
def works(sentence: str, page: str) -> Iterator[None]:
    """The block must raise nothing."""
    __tracebackhide__ = True
    try:
        yield
    except AssertionError:
        raise
    except (Exception, SystemExit) as exc:
        raise AssertionError(_said(sentence, page, f"{type(exc).__name__}: {exc}")) from exc


def overrides(reason: str) -> Callable[[_F], _F]:
    """Say why a binding's own version takes the place of a standard test."""

    if not isinstance(reason, str) or len(reason.split()) < 3:
        raise TypeError("overrides() wants a reason, in words.")

    def mark(fn: _F) -> _F:
        fn.__lollms_reason__ = reason  # type: ignore[attr-defined]
        return fn

    return mark


def applies(when: Callable[[Any], object]) -> Callable[[_F], _F]:
    """A standard test that is only for bindings of which ``when(suite_class)`` is true."""

    def mark(fn: _F) -> _F:
        fn.__lollms_applies__ = when  # type: ignore[attr-defined]
        return fn

    return mark


def crosses(fn: _F) -> _F:
    """A standard test that shows what an engine's values do on their way to another process and back.

    ``pytest --lollms-isolated -m lollms_crosses`` runs these alone: what else the suite asks of an isolated binding is
    the machinery's, and alike for all.
    """
    marked: _F = pytest.mark.lollms_crosses(fn)
    return marked


def is_standard(name: str, value: object) -> bool:
    """Whether it is one of the suite's own tests."""
    module = getattr(value, "__module__", "") or ""
    return name.startswith("test_") and module.startswith("lollms_modalities.testing.")


def guard(cls: type) -> None:
    """Refuse a suite in which a standard test is removed, or overridden without a reason.

    Raises:
        TypeError: one is.
    """
    for base in cls.__mro__[1:]:
        for name, value in vars(base).items():
            if not is_standard(name, value):
                continue
            own = getattr(cls, name, None)
            if own is None:
                raise TypeError(_said(f"{cls.__name__} removes the standard test {name}.", "the-guard", ""))
            if not is_standard(name, own) and not hasattr(own, "__lollms_reason__"):
                raise TypeError(
                    _said(
                        f"{cls.__name__} overrides the standard test {name}: say why, with @overrides('...').",
                        "the-guard",
                        "",
                    )
                )


def drop_what_does_not_apply(cls: type) -> None:
    """Leave out the tests of what the binding does not declare."""
    for name in dir(cls):
        fn = getattr(cls, name)
        when = getattr(fn, "__lollms_applies__", None)
        if is_standard(name, fn) and when is not None and not when(cls):
            setattr(cls, name, None)
