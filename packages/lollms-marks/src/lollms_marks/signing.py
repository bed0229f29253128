"""Content credentials (C2PA) for what is made, with c2pa's own library (the extra ``c2pa``)."""

from __future__ import annotations

import contextlib
import io
import json
import os
import secrets
import shutil
import struct
import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from importlib import import_module
from pathlib import Path
from typing import Any

import c2pa
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from lollms_marks.credentials import MIME_TYPES, OTHER, context, found
from lollms_marks.formats import format_of
from lollms_marks.mark import SOURCE_TYPES, Mark
from lollms_marks.settings import Settings
from lollms_marks.view import View

_DAYS = 30  # before a certificate ends there is a warning
_PAUSE = 60.0  # seconds for which a time-stamp server that failed is not asked
_CURVES = {256: "es256", 384: "es384", 521: "es512"}


class SigningError(ValueError):
    """Results cannot be signed: a certificate, a key, or c2pa's library is not as it should be."""


class Signing:
    """Signs with one certificate. Safe for threads.

    Args:
        settings: which certificate and key.
        tell: is told what does not keep anything from being signed.

    Raises:
        SigningError: what is set cannot sign, or signs what nobody would believe: tried out on a file of silence.
    """

    def __init__(self, settings: Settings, tell: Callable[[str], object]) -> None:
        self._settings = settings
        self._tell = tell
        self._resting = 0.0
        try:
            chain = Path(os.path.expanduser(settings.certificate)).read_bytes()
            certificates = x509.load_pem_x509_certificates(chain)
        except (OSError, ValueError) as exc:
            raise SigningError(f"the certificate {settings.certificate!r} cannot be read: {exc}") from exc
        self.certificate = certificates[0]
        self.ends = self.certificate.not_valid_after_utc
        self._chain = chain
        self._algorithm = settings.algorithm.lower() or _algorithm_of(self.certificate)
        self._plain = self._made(None)
        self._stamped = self._made(settings.time_stamp) if settings.time_stamp else None
        self._test()
        left = (self.ends.timestamp() - time.time()) / 86400
        if left < _DAYS:
            tell(f"the certificate ends in {left:.0f} days; what was signed without a time-stamp is broken then")

    def _made(self, stamps: str | None) -> Any:
        try:
            if self._settings.signer:
                module, _, name = self._settings.signer.partition(":")
                sign = getattr(import_module(module), name)
                algorithm = c2pa.C2paSigningAlg[self._algorithm.upper()]
                return c2pa.Signer.from_callback(sign, algorithm, self._chain.decode("ascii"), stamps)
            key = Path(os.path.expanduser(self._settings.key)).read_bytes()
            info = c2pa.C2paSignerInfo(self._algorithm.encode(), self._chain, key, stamps.encode() if stamps else None)
            return c2pa.Signer.from_info(info)
        except (OSError, ValueError, ImportError, AttributeError, KeyError, c2pa.C2paError) as exc:
            raise SigningError(f"the key cannot be used: {exc}") from exc

    def _test(self) -> None:
        silence = struct.pack("<4sI8sIHHIIHH4sI", b"RIFF", 136, b"WAVEfmt ", 16, 1, 1, 8000, 16000, 2, 16, b"data", 100)
        out = io.BytesIO()
        try:
            self._builder(Mark(), [], "created").sign(self._plain, "audio/wav", io.BytesIO(silence + bytes(100)), out)
            with c2pa.Reader("audio/wav", out, None, context()) as reader:
                finding = found(json.loads(reader.json()), reader.get_validation_state() or "", "embedded")
        except c2pa.C2paError as exc:
            raise SigningError(f"the certificate or its key cannot sign: {exc}") from exc
        if not finding.whole:
            raise SigningError(f"what the key signs does not fit the certificate: {finding.says}")

    @staticmethod
    def embeds(name: str) -> bool:
        """Whether a format can hold credentials."""
        return name in MIME_TYPES

    def embed(self, content: bytes | Path, name: str, mark: Mark, inputs: Iterable[Any], action: str) -> bytes | None:
        """The signed bytes; a file is changed.

        Args:
            content: media with their plain mark, or the file that holds them.
            name: its format.
            mark: what is said.
            inputs: what it was made of: bytes, paths, results.
            action: what was done to these, as C2PA calls it: "edited", "transcoded", "published".
        """
        kind = MIME_TYPES[name]
        if isinstance(content, bytes):
            out = io.BytesIO()
            self._sign(mark, inputs, action, kind, lambda: io.BytesIO(content), out)
            return out.getvalue()
        with tempfile.TemporaryFile() as signed:
            self._sign(mark, inputs, action, kind, lambda: content.open("rb"), signed)
            signed.seek(0)
            with content.open("r+b") as file:
                shutil.copyfileobj(signed, file, 1 << 20)
                file.truncate()
        return None

    def write_sidecar(self, target: Path, data: bytes, mark: Mark, inputs: Iterable[Any], action: str) -> Path:
        """Write the credentials of a file beside its place, as ``NAME.c2pa``; gives that path."""
        manifest = self._sign(mark, inputs, action, OTHER, lambda: io.BytesIO(data), io.BytesIO(), beside=True)
        path = target.with_name(target.name + ".c2pa")
        part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
        try:
            part.write_bytes(manifest)
            put_in_place(part, path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
        return path

    def _sign(
        self, mark: Mark, inputs: Iterable[Any], action: str, kind: str, source: Callable[[], Any], out: Any,
        *, beside: bool = False,
    ) -> bytes:  # fmt: skip
        ingredients = list(_ingredients(inputs))

        def sign(signer: Any, into: Any) -> bytes:
            builder = self._builder(mark, ingredients, action)
            if beside:
                builder.set_no_embed()
            with contextlib.closing(source()) as opened:
                made: bytes = builder.sign(signer, kind, opened, into)
            return made

        try:
            if self._stamped is not None and time.monotonic() >= self._resting:
                manifest = self._with_stamp(lambda into: sign(self._stamped, into), out)
                if manifest is not None:
                    return manifest
            return sign(self._plain, out)
        except c2pa.C2paError as exc:
            raise SigningError(f"it cannot be signed: {str(exc)[:300]}") from exc

    def _with_stamp(self, sign: Callable[[Any], bytes], out: Any) -> bytes | None:
        """Sign with a time-stamp into ``out``; None where the server does not give one in time."""
        got: list[bytes] = []
        failed: list[BaseException] = []

        def run() -> None:
            with tempfile.TemporaryFile() as into:  # of its own: it may go on when nobody waits any more
                try:
                    manifest = sign(into)
                    into.seek(0)
                    got.extend([manifest, into.read()])
                except BaseException as exc:
                    failed.append(exc)

        thread = threading.Thread(target=run, name="lollms-time-stamp", daemon=True)
        thread.start()
        thread.join(self._settings.time_stamp_timeout)
        if len(got) == 2:
            out.write(got[1])
            return got[0]
        self._resting = time.monotonic() + _PAUSE
        why = str(failed[0])[:200] if failed else f"no answer in {self._settings.time_stamp_timeout:g} s"
        self._tell(f"no time-stamp ({why}): results are signed without one, and are broken when the certificate ends")
        return None

    def _builder(self, mark: Mark, ingredients: list[tuple[str, Any]], action: str) -> Any:
        agent: dict[str, Any] = {"name": mark.engine or mark.distribution or "lollms"}
        source = SOURCE_TYPES + mark.source_type
        actions: list[dict[str, Any]] = []
        if ingredients:
            actions.append({"action": "c2pa.opened", "parameters": {"ingredientIds": ["input-0"]}})
            actions.append({"action": f"c2pa.{action}", "softwareAgent": agent, "digitalSourceType": source})
        else:
            actions.append({"action": "c2pa.created", "softwareAgent": agent, "digitalSourceType": source})
        if mark.time:
            actions[-1]["when"] = mark.time
        from lollms_marks import __version__

        manifest: dict[str, Any] = {
            "claim_generator_info": [{"name": "lollms-marks", "version": __version__}],
            "assertions": [{"label": "c2pa.actions.v2", "data": {"actions": actions}}],
        }
        own = {k: v for k, v in mark.to_json().items() if k not in ("source_type", "time")}
        if own:
            manifest["assertions"].append({"label": "org.lollms.mark", "data": own})
        builder = c2pa.Builder(json.dumps(manifest), context())
        for n, (kind, stream) in enumerate(ingredients):
            told = {"title": f"input {n + 1}", "relationship": "inputTo" if n else "parentOf", "label": f"input-{n}"}
            stream.seek(0)
            builder.add_ingredient(json.dumps(told), kind, stream)
        return builder


def put_in_place(part: Path, path: Path) -> None:
    """Give a file that is whole its name."""
    os.replace(part, path)


def _ingredients(inputs: Iterable[Any]) -> Iterable[tuple[str, Any]]:
    """Kind and content of those that c2pa can look into."""
    for media in inputs:
        path = media if isinstance(media, Path) else getattr(media, "path", None) if not len(media) else None
        stream: Any = io.BytesIO(path.read_bytes()) if isinstance(path, Path) else io.BytesIO(media)
        kind = MIME_TYPES.get(format_of(View(stream)))
        if kind is not None:
            yield kind, stream


def _algorithm_of(certificate: x509.Certificate) -> str:
    key = certificate.public_key()
    if isinstance(key, ec.EllipticCurvePublicKey) and key.key_size in _CURVES:
        return _CURVES[key.key_size]
    if isinstance(key, ed25519.Ed25519PublicKey):
        return "ed25519"
    if isinstance(key, rsa.RSAPublicKey):
        return "ps256"
    raise SigningError(f"the certificate has a key of a kind that does not sign credentials ({type(key).__name__})")
