"""A client as the configuration file says: ``LollmsClient.from_config``."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from lollms_modalities.configuration import read_configuration
from lollms_modalities.entry_points.groups import MODALITIES
from lollms_modalities.errors import SettingsError
from lollms_modalities.finding.bindings import candidates, find_bindings

from lollms_client.cli.choice import known_name
from lollms_client.cli.configuration import Configuration, configured

_C = TypeVar("_C")


def made_by_configuration(cls: type[_C], path: str | Path | None, keywords: Mapping[str, Any]) -> _C:
    """Make a client; arguments and errors as of ``LollmsClient.from_config``."""
    file = configured(read_configuration(None if path is None else Path(os.path.expanduser(path))))
    given = dict(keywords)
    tables: dict[str, str] = {}
    for modality in MODALITIES:
        variable = os.environ.get(f"LOLLMS_{modality.upper()}_BINDING", "").strip()
        chain = [known_name(modality, name) for name in ([variable] if variable else file.bindings(modality))]
        if not chain or f"{modality}_binding_name" in keywords:
            continue
        configs = {}
        for name in chain:
            names = {n: None for ref in candidates(find_bindings(modality), name) for n in ref.names} or {name: None}
            configs[name] = {**file.settings(modality, *names), **file.runs_in(modality, name, *names)}
            tables |= {key: f"{modality}.{n}" for n in names for key in file.tables.get(modality, {}).get(n, {})}
        more = keywords.get(f"{modality}_binding_config") or {}
        several = len(chain) > 1
        given[f"{modality}_binding_name"] = chain if several else chain[0]
        given[f"{modality}_binding_config"] = (
            {name: {**config, **more.get(name, {})} for name, config in configs.items()}
            if several
            else {**configs[chain[0]], **more}
        )
    try:
        return cls(**given)
    except SettingsError as exc:
        wrong = [key for key in getattr(exc, "names", ()) if key in tables]
        if not wrong:
            raise
        raise SettingsError(_at(file, tables[wrong[0]], wrong[0], exc), hint=exc.hint, names=wrong) from exc


def _at(file: Configuration, table: str, key: str, exc: SettingsError) -> str:
    return f"{file.where(*table.split('.'), key)}: {exc.message}"
