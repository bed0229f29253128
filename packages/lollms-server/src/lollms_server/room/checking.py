"""What is asked of a served model beside its calls: that settings change, that arguments are only looked at."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from lollms_modalities import wire

from lollms_server.room.asked import Asked
from lollms_server.room.callers import Caller
from lollms_server.room.describing import listed
from lollms_server.room.inputs import LISTS, check_settings
from lollms_server.room.models import Chosen
from lollms_server.room.recorded import RecordedVoices
from lollms_server.room.residency import Residency
from lollms_server.room.resident import Resident


async def check_call(
    residency: Residency, chosen: Chosen, caller: Caller, recorded: RecordedVoices, verb: str, args: tuple[Any, ...],
    options: dict[str, Any],
) -> None:  # fmt: skip
    """As ``Room.check``."""
    resident = await residency.of(chosen)
    binding = await residency.look(resident, lambda binding: binding)
    assert resident.description is not None
    described = resident.description["verbs"].get(verb, {"stream": False, "params": []})
    asked = Asked(verb, args, options, described["stream"])
    await asked.check(resident, binding, chosen, caller, recorded)
    given = {**dict(zip(described["params"], args, strict=False)), **asked.options}
    await residency.look(resident, lambda binding: wire.check_arguments(binding, verb, given))


async def change_settings(
    residency: Residency, resident: Resident, rows: Iterable[Mapping[str, Any]] | Mapping[str, Any]
) -> None:
    """As ``Room.set_settings``, for who may."""
    changes = dict(rows) if isinstance(rows, Mapping) else {str(row["name"]): row["value"] for row in rows}
    form = await residency.look(resident, lambda binding: binding.get_settings())
    check_settings(changes, form, {name: await listed(residency, resident, kind) for kind, name in LISTS.items()})
    await residency.look(resident, lambda binding: binding.set_settings(changes))
    resident.changes.update(changes)
