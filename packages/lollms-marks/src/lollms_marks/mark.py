"""What a plain mark says, and how it is written down: three names with texts, and the same as XMP."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from html import escape, unescape
from typing import Any, Self

SOURCE_TYPES = "http://cv.iptc.org/newscodes/digitalsourcetype/"
GENERATED = "trainedAlgorithmicMedia"
COMPOSITE = "compositeWithTrainedAlgorithmicMedia"
# Of IPTC's terms (https://cv.iptc.org/newscodes/digitalsourcetype/) those of which a model is a part.
MADE_BY_MODELS = frozenset({GENERATED, COMPOSITE, "algorithmicallyEnhanced", "compositeSynthetic", "algorithmicMedia"})

SOURCE_TYPE, AIGC, OWN = "DIGITALSOURCETYPE", "AIGC", "LOLLMS_MARK"  # the names in formats that have names with texts
NAMES = (SOURCE_TYPE, AIGC, OWN)
_LONGEST = 65536  # characters of one text that is looked into
_NAMESPACES = {
    "Iptc4xmpExt": "http://iptc.org/std/Iptc4xmpExt/2008-02-29/",
    "TC260": "http://www.tc260.org.cn/ns/AIGC/1.0/",
    "lollms": "urn:lollms:marks:1",
}
_OWN_DESCRIPTION = re.compile(
    rb'<rdf:Description rdf:about="" xmlns:Iptc4xmpExt="[^"]{1,99}" xmlns:TC260="[^"]{1,99}" xmlns:lollms="[^"]{1,99}">'
    rb"(?:<[\w:]{1,40}>[^<]*</[\w:]{1,40}>)*</rdf:Description>"
)


@dataclass(frozen=True)
class Mark:
    """What is said of a file.

    Attributes:
        source_type: one of IPTC's terms for digital sources, such as "trainedAlgorithmicMedia".
        id: random, of this result.
        time: when it was made, as "2026-11-27T10:00:00Z".
        engine, distribution: with their versions, as "piper-tts 1.3.0".
        model: its base name.
        producer: who answers for it, where that was configured.
        inputs: the ids of the marks of what it was made of.
        more: what was named in the setting ``include``.
    """

    source_type: str = GENERATED
    id: str = ""
    time: str = ""
    engine: str = ""
    distribution: str = ""
    model: str = ""
    producer: str = ""
    inputs: tuple[str, ...] = ()
    more: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """As JSON values; what is empty is left out."""
        known = {name: value for name, value in vars(self).items() if value}
        return known | ({"inputs": list(self.inputs)} if self.inputs else {})

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The mark that ``to_json`` described; what is of another kind or not known is left out."""
        texts = {n: v for n, v in data.items() if n in cls.__dataclass_fields__ and isinstance(v, str)}
        mark = cls(**texts)  # type: ignore[arg-type]
        inputs, more = data.get("inputs"), data.get("more")
        if isinstance(inputs, list):
            mark = replace(mark, inputs=tuple(each for each in inputs if isinstance(each, str)))
        return replace(mark, more=more) if isinstance(more, dict) else mark

    def texts(self) -> dict[str, str]:
        """For formats that have names with texts. ``AIGC`` is that of GB 45438-2025 (label 1: generated)."""
        label = {"Label": "1", "ContentProducer": self.producer or "lollms", "ProduceID": self.id}
        return {
            SOURCE_TYPE: SOURCE_TYPES + self.source_type,
            AIGC: json.dumps(label, ensure_ascii=False, separators=(",", ":")),
            OWN: json.dumps(self.to_json(), ensure_ascii=False, separators=(",", ":")),
        }

    def description(self) -> str:
        """The same as one ``rdf:Description`` of XMP."""
        names = {SOURCE_TYPE: "Iptc4xmpExt:DigitalSourceType", AIGC: "TC260:AIGC", OWN: "lollms:Mark"}
        spaces = "".join(f' xmlns:{prefix}="{uri}"' for prefix, uri in _NAMESPACES.items())
        said = "".join(f"<{names[n]}>{escape(text, quote=False)}</{names[n]}>" for n, text in self.texts().items())
        return f'<rdf:Description rdf:about=""{spaces}>{said}</rdf:Description>'

    def packet(self, before: bytes = b"") -> bytes:
        """A packet of XMP with the mark; what another packet says is kept, but for a mark of ours."""
        before = _OWN_DESCRIPTION.sub(b"", before)
        end = before.rfind(b"</rdf:RDF>")
        if end >= 0 and b"\0" not in before:
            return before[:end] + self.description().encode() + before[end:]
        return (
            '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
            f'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">{self.description()}</rdf:RDF>'
            '</x:xmpmeta><?xpacket end="r"?>'
        ).encode()


def texts_of_packet(packet: bytes) -> dict[str, str]:
    """What a packet of XMP says of these three, without parsing it: a hostile one costs no more than any other."""
    found = {}
    text = packet[: 4 * _LONGEST].decode("utf-8", "replace")
    for name, written in (
        (SOURCE_TYPE, r"[\w-]{1,40}:DigitalSourceType"), (AIGC, r"[\w-]{1,40}:AIGC"), (OWN, "lollms:Mark"),
    ):  # fmt: skip
        element = re.search(
            rf"<{written}(?:\s[^<>]{{0,500}})?>(?:\s{{0,100}}<!\[CDATA\[)?([^<]{{1,{_LONGEST}}})<", text
        )
        attribute = re.search(rf"\s{written}\s?=\s?(?:\"([^\"<]{{1,{_LONGEST}}})\"|'([^'<]{{1,{_LONGEST}}})')", text)
        resource = re.search(rf"<{written}\s[^<>]{{0,300}}?resource\s?=\s?[\"']([^\"'<]{{1,500}})[\"']", text)
        for match in (element, attribute, resource):
            if match is not None and (value := next((g for g in match.groups() if g), "").strip()):
                found[name] = unescape(value.removesuffix("]]>"))
                break
    return found


def label_in(data: bytes) -> str:
    """The label ``AIGC`` in what Exif or a comment holds, where others write it, in whatever letters; "" for none."""
    match = re.search(rb"AIGC\W{0,8}(\{[^{}]{1,4000}\})", data[: 2 * _LONGEST].replace(b"\0", b""))
    return "" if match is None else match[1].decode("utf-8", "replace")


def parsed(text: str) -> Any:
    """The JSON value that a text is; None where it is none, or too long to be looked into."""
    if len(text) > _LONGEST:
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def term_of(text: str) -> str:
    """IPTC's term of a source type that is written as an address."""
    return text.strip().rstrip("/").rpartition("/")[2][:100]
