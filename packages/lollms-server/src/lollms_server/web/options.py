"""What a binding's verb can be asked for, by its description, and how JSON values become that.

No name, path or address that a caller sends is opened: where an option takes media it takes the bytes, and a voice is
one of the list.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping
from typing import Any

from lollms_modalities import MediaError, OptionError

from lollms_server.room.inputs import closed_settings
from lollms_server.web.bodies import read_json
from lollms_server.web.checking import kinds, of_type, refuse_unknown, type_of, types_of
from lollms_server.web.errors import Refused

# What a number may be at most, whatever the binding would take: what is made of it takes time and memory.
CEILINGS: Mapping[str, float] = {
    "n": 16, "width": 8192, "height": 8192, "num_frames": 2000, "fps": 240, "duration": 3600,
    "num_inference_steps": 1000, "beam_size": 64, "batch_size": 64, "best_of": 64, "num_speakers": 64, "num_beams": 64,
}  # fmt: skip
_RANGE = 2**63  # of any number else
_ITEMS = 10_000  # of a list or dict
_DEEPEST = 8
_HOLDERS = ("data", "url", "image_url", "b64_json")  # in which clients put media


class VerbOptions:
    """The options of one verb of one binding.

    Args:
        description: of the binding, as ``Room.describe`` gives it.
        verb: the verb's name.

    Raises:
        Refused: the binding has no such verb.
    """

    def __init__(self, description: Mapping[str, Any], verb: str) -> None:
        verbs = description["verbs"]
        if verb not in verbs:
            public = ", ".join(sorted(verbs))
            raise Refused(
                f"This model has no verb {verb!r:.100}.", status=404, code="verb_not_found", hint=f"It has: {public}."
            )
        self.spec: Mapping[str, Any] = verbs[verb]
        self.properties: Mapping[str, Any] = self.spec.get("options", description["options_schema"]).get(
            "properties", {}
        )
        self.content: str = self.spec["params"][0] if self.spec["params"] else ""
        # The documented arguments of a verb are options like any other.
        common = [*self.spec.get("common", ()), *(["output_format"] if self._makes_a_file() else [])]
        self.names = frozenset((*self.properties, *self.spec["params"][1:], *common))
        self.media = frozenset(self.spec.get("media", ()))
        # The settings that hold where an option is left out. Where things are on this machine is told nobody.
        rows = description["settings"]
        open_ = {row["name"] for row in rows} - closed_settings(rows)
        self._defaults = {
            name: (schema.get("default"), [setting for setting in (f"default_{name}", name) if setting in open_])
            for name, schema in self.properties.items()
        }

    def _makes_a_file(self) -> bool:
        return self.spec["returns"] in ("Audio", "Image", "Video") and not self.spec["stream"]

    def has(self, name: str) -> bool:
        """Whether there is such an option."""
        return name in self.names

    def parted(self, options: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
        """Those options that there are, and the names of the others, for clients whose own servers pass them over."""
        known = {name: value for name, value in options.items() if self.has(name)}
        return known, [name for name in options if name not in known]

    def whole(self, given: Mapping[str, Any], settings: Any) -> dict[str, Any]:
        """These options, and what holds for those that were not given: by the binding's settings, or by default."""
        held = {
            name: next((value for s in names if (value := getattr(settings, s, None)) is not None), default)
            for name, (default, names) in self._defaults.items()
        }
        return held | dict(given)

    def checked(
        self, options: Mapping[str, Any], *, also: Iterable[str] = (), what: str, strict: bool = False,
        form: bool = True,
    ) -> dict[str, Any]:  # fmt: skip
        """The options as the verb takes them.

        Args:
            options: JSON values, or lists of texts as a form has them.
            also: names of the surface's own fields, for the near miss.
            what: what is asked, for the error.
            strict: whether a value must be of a type that the option's schema names. Else what stands for one is taken,
                as the binding does.
            form: whether a list with one text may be a form's, and stand for that.

        Raises:
            OptionError: an option that is not known, a number beyond its ceiling.
        MediaError: media that are not base64.
        """
        refuse_unknown(options, {*self.names, *also}, what)
        given = {name: value for name, value in options.items() if value is not None}
        if strict:
            form = False
            for name, value in given.items():
                schema = self.properties.get(name, {})
                if name not in self.media and not of_type(value, schema):
                    raise OptionError(
                        f"The option {name!r} is {type_of(value)}, not {types_of(schema)}.", names=[name]
                    )  # fmt: skip
        return {name: self._value(name, value, form) for name, value in given.items()}

    def _value(self, name: str, value: Any, form: bool) -> Any:
        if name in self.media and isinstance(value, dict) and not value.keys() & set(_HOLDERS):
            return {str(key): decoded(name, held) for key, held in value.items()}  # one by each name
        if name in self.media:
            return [decoded(name, one) for one in value] if isinstance(value, list) else decoded(name, value)
        wanted = kinds(self.properties.get(name, {}))
        if form and isinstance(value, list) and len(value) == 1 and isinstance(value[0], str) and "array" not in wanted:
            value = value[0]
        if isinstance(value, str) and wanted & {"object", "array"} and value[:1] in ("{", "["):
            value = _parsed(name, value)
        check_numbers(name, value)
        return value


def _parsed(name: str, text: str) -> Any:
    try:
        return read_json(text, _DEEPEST + 1, name)
    except Refused as exc:
        raise OptionError(exc.message, hint=exc.hint, names=[name]) from None


def check_numbers(name: str, value: Any, depth: int = 0) -> None:
    """Refuse numbers beyond a ceiling, and lists and dicts of which there is no end.

    Raises:
        OptionError: there is one.
    """
    if isinstance(value, str) and (name in CEILINGS or name == "seed"):
        value = _number(value)  # a form's
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        ceiling = CEILINGS.get(name, _RANGE - 1)
        if not -_RANGE <= value <= ceiling:
            raise OptionError(f"The option {name!r} is {value!s:.40}.", hint=f"At most {ceiling:.0f}.", names=[name])
    elif isinstance(value, (list, dict)):
        if len(value) > _ITEMS or depth > _DEEPEST:
            raise OptionError(f"The option {name!r} holds too much.", names=[name])
        for held in value.values() if isinstance(value, dict) else value:
            check_numbers(name, held, depth + 1)


def _number(text: str) -> Any:
    try:
        return float(text)
    except ValueError:
        return text  # the binding says what is wrong with it


def decoded(name: str, value: Any) -> bytes:
    """Media that came as base64, in a data URL or alone.

    Raises:
        MediaError: a path, an address, or something else that is none.
    """
    if isinstance(value, dict):  # as in {"image_url": "data:..."}
        value = next((value[key] for key in _HOLDERS if key in value), value)
    text = value.strip() if isinstance(value, str) else ""
    if text[:5].lower() == "data:":
        head, _, text = text.partition(",")
        if not head.lower().endswith(";base64"):
            text = ""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        data = b""
    if not data:
        raise MediaError(
            f"{name!r} is no base64 and no data URL of it.",
            hint="A path or an address is never opened here: send the file's bytes.",
            names=[name],
        )
    return data
