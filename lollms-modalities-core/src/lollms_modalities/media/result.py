"""What every result has: its provenance, and a place of its own on disk where it was asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Self

from lollms_modalities.errors import OptionError
from lollms_modalities.media.files import check_folder as check_folder
from lollms_modalities.media.files import write_whole as write_whole
from lollms_modalities.media.files import written_whole as written_whole


@dataclass(frozen=True)
class Provenance:
    """How a result was made.

    Attributes:
        binding, modality: which binding, by its canonical name.
        distribution, distribution_version: where the binding comes from; "" where it is not installed.
        engine, engine_version: what did the work.
        model: the model's name or path.
        settings: of the binding, secrets masked.
        options: of the call, with the defaults filled in.
        seed: what repeats the result, where there is such a thing.
        started: Unix time in seconds.
        elapsed: seconds.
        usage: what a service counted, such as tokens.
        extra: what else the binding told.
    """

    binding: str = ""
    modality: str = ""
    distribution: str = ""
    distribution_version: str = ""
    engine: str = ""
    engine_version: str = ""
    model: str = ""
    settings: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    seed: int | None = None
    started: float = 0.0
    elapsed: float = 0.0
    usage: dict[str, Any] = field(default_factory=dict)
    extra: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The provenance as JSON values."""
        return dict(self.__dict__)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Provenance:
        """The provenance that ``to_json`` described; what a newer version added is left out."""
        return cls(**{name: data[name] for name in _PROVENANCE if name in data})


_PROVENANCE = tuple(f.name for f in fields(Provenance))


class Result:
    """Mixed into each result type: ``provenance``, and copies and pickles that keep what the result knows."""

    _provenance: Provenance | Callable[[], Provenance] | None = None

    @property
    def provenance(self) -> Provenance | None:
        """How this was made; None where it does not come from a binding."""
        made = self._provenance
        if callable(made):
            # Most results are never asked: the work is left to the first one who does.
            made = self._provenance = made()
        return made

    def with_provenance(self, provenance: Provenance | None) -> Self:
        """The same object, which from now on says that it was made like that."""
        self._provenance = provenance
        return self

    def __getstate__(self) -> dict[str, Any]:
        state = dict(self.__dict__)
        state["_provenance"] = self.provenance
        return state


def suffix_format(path: Path, suffixes: Mapping[str, str]) -> str:
    """The format that a file name stands for.

    Raises:
        OptionError: it is not in ``suffixes``.
    """
    found = suffixes.get(path.suffix.lower())
    if found is None:
        raise OptionError(
            f"{path.name!r} has the suffix {path.suffix!r}, which stands for no format that can be written.",
            hint=f"Known ones: {', '.join(suffixes)}.",
        )
    return found
