"""The plug-in: every result of every binding is marked, and signed where a certificate is set."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lollms_modalities import EncodedText, PluginRefused, StreamHead, hookimpl

from lollms_marks.making import is_marked, mark_of
from lollms_marks.settings import Settings
from lollms_marks.writing import marks_in, put

if TYPE_CHECKING:
    from lollms_marks.mark import Mark
    from lollms_marks.signing import Signing

_log = logging.getLogger("lollms_marks")


class Marks:
    """Puts a mark into what is encoded. What bears one is left as it is.

    Args:
        settings: the table ``[plugins.marks]``.
    """

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self.settings = Settings.of(settings)
        self._lock = threading.Lock()
        self._signing: Signing | None = None
        self._told: set[str] = set()
        for problem in self.settings.problems:
            self._tell(f"[plugins.marks] {problem}")

    @property
    def required_hooks(self) -> tuple[str, ...]:
        """Without which nothing is to pass."""
        return ("lollms_result_encoded",) if self.settings.failure == "refuse" else ()

    @hookimpl(trylast=True)
    def lollms_result_encoded(self, binding: Any, call: Any, media: Any, sources: Any, target: Path | None) -> Any:
        """Mark what is encoded. After all other plug-ins, which may change what is seen or heard."""
        try:
            return self._marked(binding, call, media, sources, target)
        except Exception as exc:
            what = (
                f"a result of {getattr(call, 'verb', None) or 'a conversion'} in {media.format or 'an unknown format'}"
            )
            problem = f"{what} is not marked: {exc}"
            if self.settings.failure == "refuse":
                raise PluginRefused(
                    f"{problem[0].upper()}{problem[1:]}.",
                    hint='Ask for another format, mend the cause, or set failure = "warn" in [plugins.marks].',
                ) from exc
            self._tell(problem)
            return (
                None if isinstance(media, StreamHead | EncodedText) else self._with_note(media, {"problem": str(exc)})
            )

    def _marked(self, binding: Any, call: Any, media: Any, sources: Any, target: Path | None) -> Any:
        if self.settings.problems and self.settings.failure == "refuse":
            raise ValueError(f"[plugins.marks] {self.settings.problems[0]}")
        if not media:
            return None  # there is nothing of it
        if isinstance(media, EncodedText):
            self._sign_text(media, target)
            return None
        held = not len(media) and isinstance(getattr(media, "path", None), Path)
        content: bytes | Path = media.path if held else media
        texts, signed = marks_in(content)
        kept = is_marked(texts)
        signs = self.settings.signs and not isinstance(media, StreamHead)
        if signed or (kept and not signs):
            return None
        inputs = (media, *sources) if kept else tuple(sources)
        mark = mark_of(binding, call, media.provenance, inputs, self.settings)
        if mark is None:
            return None
        made = None if kept else put(content, mark)
        note: dict[str, Any] = {"source_type": mark.source_type, "id": mark.id, "plain": not kept}
        if signs:
            made, note["signed"] = self._signed(content if made is None else made, media, mark, inputs, target, call)
        return made if isinstance(media, StreamHead) else self._with_note(media, note, made)

    def _signed(
        self, content: bytes | Path, media: Any, mark: Mark, inputs: tuple[Any, ...], target: Path | None, call: Any
    ) -> tuple[bytes | None, bool | str]:
        """The bytes (None of a file, which is changed), and whether they are signed: "sidecar" says where."""
        signing = self._signer()
        action = "edited" if getattr(call, "sources", None) else "transcoded" if inputs[:1] != (media,) else "published"
        if signing.embeds(media.format):
            return signing.embed(content, media.format, mark, inputs, action), True
        made = content if isinstance(content, bytes) else None
        if target is None or not self.settings.sidecar:
            return made, False
        data = content.read_bytes() if isinstance(content, Path) else content
        signing.write_sidecar(target, data, mark, inputs, action)
        return made, "sidecar"

    def _sign_text(self, text: EncodedText, target: Path | None) -> None:
        """A text has no place for a mark, and says itself what it is; signed it is beside."""
        if not self.settings.signs or not self.settings.sidecar or target is None:
            return
        mark = mark_of(None, None, text.provenance, (), self.settings)
        if mark is not None:
            self._signer().write_sidecar(target, text, mark, (), "created")

    def _signer(self) -> Signing:
        with self._lock:
            if self._signing is None:
                from lollms_marks.signing import Signing

                self._signing = Signing(self.settings, self._tell)
            return self._signing

    def _with_note(self, media: Any, note: Mapping[str, Any], made: bytes | None = None) -> Any:
        """The media with what was done in their provenance."""
        provenance = media.provenance
        if made is not None:
            other = type(media)(made)
            other.__dict__.update({name: value for name, value in media.__dict__.items() if name != "path"})
            media = other
        if provenance is not None and note:
            media.with_provenance(replace(provenance, extra={**provenance.extra, "marks": dict(note)}))
        return media

    def _tell(self, problem: str) -> None:
        """Once each."""
        if problem in self._told or len(self._told) > 1000:
            return
        self._told.add(problem)
        _log.warning("%s", problem)
