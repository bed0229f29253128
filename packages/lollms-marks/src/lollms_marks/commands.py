"""``lollms marks`` and ``lollms verify``."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

TABLE = ("plugins", "marks")


def verify_files(words: list[str]) -> int:
    """Run what the words after ``lollms verify`` say; the exit code."""
    from lollms_marks.verifying import run

    return run(words)


def marks(words: list[str]) -> int:
    """Run what the words after ``lollms marks`` say; the exit code."""
    parser = argparse.ArgumentParser("lollms marks", description="The marks of generated files.")
    asked = parser.add_subparsers(metavar="WORD", required=True)
    asked.add_parser("status", help="whether files are marked and signed").set_defaults(run=_status)
    asked.add_parser("on", help="mark what is generated (so it is where nothing was said)").set_defaults(run=_on)
    asked.add_parser("off", help="mark nothing").set_defaults(run=_off)
    new = asked.add_parser("new-certificate", help="make a certificate for trials")
    new.add_argument("name", help="who signs, as it will stand in files")
    new.add_argument("-d", "--folder", default=None, help="where it is written; else marks, beside the configuration")
    new.set_defaults(run=_new_certificate)
    given = parser.parse_args(words)
    code: int = given.run(given)
    return code


def _on(given: argparse.Namespace) -> int:
    return _switched(True)


def _off(given: argparse.Namespace) -> int:
    return _switched(False)


def _switched(on: bool) -> int:
    from lollms_modalities import change_configuration

    path = change_configuration((*TABLE, "enabled"), None if on else False)
    _out(f"Marks are {'on' if on else 'off'} ({path}).")
    if os.environ.get("LOLLMS_PLUGINS_MARKS_ENABLED"):
        _out("LOLLMS_PLUGINS_MARKS_ENABLED says what holds where it is set.")
    return 0


def _status(given: argparse.Namespace) -> int:
    from lollms_modalities import hooks

    from lollms_marks.settings import Settings

    given_settings = hooks.plugin_settings("marks")
    if given_settings is None:
        _out("Marks are off. Switch them on with: lollms marks on")
        return 0
    settings = Settings.of(given_settings)
    _out("Marks are on: generated files say so in their tags.")
    _out(f"Producer: {settings.producer or 'none is named'}.")
    refuses = settings.failure == "refuse"
    _out(
        f"What cannot be marked is {'not given (refuse)' if refuses else 'given all the same, with a warning (warn)'}."
    )
    code = 0
    for problem in settings.problems:
        _out(f"Wrong in [plugins.marks]: {problem}.")
        code = 1
    return _signing_status(settings) or code


def _signing_status(settings: object) -> int:
    from lollms_marks.settings import Settings

    assert isinstance(settings, Settings)
    if not settings.signs:
        _out("They are not signed: no certificate is set.")
        return 0
    try:
        from lollms_marks.signing import Signing, SigningError
    except ImportError:
        _out('They cannot be signed: pip install "lollms-marks[c2pa]>=2.0,<3".')
        return 1
    try:
        signing = Signing(settings, lambda problem: _out(f"{problem[:1].upper()}{problem[1:]}."))
    except SigningError as exc:
        _out(f"They cannot be signed: {exc}.")
        return 1
    _out(
        f"They are signed with {settings.certificate}, which ends on {signing.ends:%Y-%m-%d}; a trial signature holds."
    )
    return 0


def _new_certificate(given: argparse.Namespace) -> int:
    try:
        from lollms_marks.certificates import new_certificate
    except ImportError:
        sys.stderr.write('lollms: certificates are made with pip install "lollms-marks[c2pa]>=2.0,<3".\n')
        return 1
    from lollms_modalities import change_configuration, configuration_path

    folder = Path(os.path.expanduser(given.folder)) if given.folder else configuration_path().parent / "marks"
    try:
        certificate, key, trust = new_certificate(folder.absolute(), given.name)
    except ValueError as exc:
        sys.stderr.write(f"lollms: {exc}.\n")
        return 2
    except OSError as exc:
        sys.stderr.write(f"lollms: {exc.filename or folder} cannot be written: {exc.strerror}.\n")
        return 1
    change_configuration((*TABLE, "certificate"), str(certificate))
    path = change_configuration((*TABLE, "key"), str(key))
    _out(f"{certificate}\n{key}\n{trust}")
    _out(
        f"This certificate is for trials: nobody else knows who signed it. It ends in 90 days, and what it signed is "
        f"broken then. For what others are to believe, get one from an authority of C2PA's trust list.\n"
        f"Results are signed with it from now on ({path}). Check them with: lollms verify --trust {trust} FILE"
    )
    return 0


def _out(text: str) -> None:
    sys.stdout.write(f"{text}\n")
