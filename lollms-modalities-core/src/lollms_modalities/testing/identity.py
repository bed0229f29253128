"""Who the binding is: its entry point, its import, its settings."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from lollms_modalities.errors import LollmsError, SettingsError
from lollms_modalities.masking import MASK
from lollms_modalities.settings.kinds import KINDS
from lollms_modalities.testing.contract import applies, contract, crosses, raises
from lollms_modalities.testing.suite import SECRET, Suite

_IMPORT = """
import json, logging, os, random, signal, socket, sys, threading, warnings
happened, opened = [], [""]
def hook(event, args):
    if event in ("socket.connect", "socket.getaddrinfo", "subprocess.Popen", "os.system", "urllib.Request"):
        happened.append(event)
    if event != "open":
        return
    if not isinstance(args[0], int):  # else the file that was opened last, by os.open
        opened[0] = str(args[0])
    if isinstance(args[1], str) and set(args[1]) & set("wax+") and "__pycache__" not in opened[0]:
        happened.append(f"open {opened[0]} for writing")
sys.path[:0] = json.loads(sys.argv[2])
import lollms_modalities.settings
sys.addaudithook(hook)
threads, handlers, level = threading.active_count(), list(logging.root.handlers), logging.root.level
def state():
    return {
        "the environment": dict(os.environ), "the current directory": os.getcwd(), "random numbers": random.getstate(),
        "the signal handlers": [signal.getsignal(s) for s in signal.Signals], "sys.excepthook": sys.excepthook,
        "the time limit of sockets": socket.getdefaulttimeout(),
    }
before = state()
__import__(sys.argv[1])
happened += [f"{name} was changed" for name, now in state().items() if now != before[name]]
if threading.active_count() > threads: happened.append("a thread was started")
if logging.root.handlers != handlers or logging.root.level != level: happened.append("logging was set up")
sys.stdout.flush()
print("@@" + json.dumps(happened))
"""


@cache
def _imported(module: str, directory: str | None) -> subprocess.CompletedProcess[str]:
    """What comes of importing a module in a process that has done nothing else; once for all bindings in it."""
    command = [sys.executable, "-W", "error", "-c", _IMPORT, module, json.dumps([directory] if directory else [])]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=_first_environment())


def _first_environment() -> dict[str, str]:
    """The variables that there were before this process, which has imported the module, could set any."""
    try:
        first = {entry.partition(b"=")[0] for entry in Path("/proc/self/environ").read_bytes().split(b"\0")}
    except OSError:
        return dict(os.environ)
    return {n: value for n, value in os.environ.items() if os.fsencode(n) in first or n.startswith("PYTHON")}


class IdentityTests(Suite):
    """Discovery and construction."""

    def test_it_has_an_entry_point(self) -> None:
        """Write it under ``[project.entry-points."lollms_client.tts_bindings"]`` (or the modality's), and install
        again."""
        ref = self.ref()
        name = ref.name
        contract(
            name == name.lower() and name.replace("_", "").isalnum(),
            "A binding's name is lower case: letters, digits and underscores.",
            "discovery",
            name,
        )
        contract(ref.distribution and ref.version, "A binding's distribution has a name and a version.", "discovery")
        contract(
            self.manager().load_class(name) is self.binding,
            "The entry point names the class that is tested.",
            "discovery",
            ref.target,
        )

    def test_aliases_mean_the_same_class(self) -> None:
        """Let all entry points of the binding name the same class."""
        for name in self.ref().names:
            contract(
                self.manager().load_class(name) is self.binding,
                "Each name of a binding means the same class.",
                "discovery",
                name,
            )

    def test_it_describes_itself(self) -> None:
        """Begin the class with a docstring of one sentence, and give each setting a ``description``."""
        described = self.binding.describe()
        json.dumps(described)
        contract(
            len(described["description"].split()) >= 3,
            "A binding's docstring begins with a sentence that says what it is.",
            "discovery",
            described["description"],
        )
        silent = [n for n, f in self.binding.settings_class().model_fields.items() if not f.description]
        contract(not silent, "Each setting has a description, for forms and help.", "settings", silent)

    def test_its_import_has_no_side_effects(self) -> None:
        """Import the engine in ``load_model``, and do nothing else at the top of a module."""
        module = self.ref().target.partition(":")[0]
        done = _imported(module, None if self.bindings_dir is None else str(self.bindings_dir))
        sentence = "Importing a binding prints nothing and starts, writes, fetches or sets up nothing."
        said, _, told = done.stdout.rpartition("@@")
        contract(done.returncode == 0, sentence, "discovery", done.stderr)
        contract(not said and not done.stderr, sentence, "discovery", said + done.stderr)
        contract(json.loads(told) == [], sentence, "discovery", told)

    def test_an_unknown_setting_is_refused(self, make: Callable[..., Any]) -> None:
        """Derive ``Settings`` from ``BindingSettings``, which forbids what it does not know, and leave ``__init__``
        to it."""
        known = next(iter(self.binding.settings_class().model_fields))
        sentence = "An unknown setting is a SettingsError that names the nearest known one."
        with raises(SettingsError, sentence, "settings") as caught:
            make(**{known + "x": 1})
        contract(known in str(caught[0]), sentence, "settings", str(caught[0]))

    def test_a_setting_of_a_wrong_type_is_refused(self, make: Callable[..., Any]) -> None:
        """Give each setting a type and bounds; ``Any`` takes everything."""
        for name in self.binding.settings_class().model_fields:
            with raises(
                SettingsError, f"A wrong value of the setting {name!r} is a SettingsError.", "settings"
            ) as caught:
                make(**{name: [[{"not": "a value"}]]})
            contract(name in str(caught[0]), "A SettingsError names the setting.", "settings", str(caught[0]))

    @crosses
    def test_settings_come_and_go_as_a_list(self, make: Callable[..., Any]) -> None:
        """Keep in settings what JSON can hold, and leave ``get_settings`` and ``set_settings`` to the core."""
        binding = make()
        rows = binding.get_settings()
        json.dumps(rows)
        for row in rows:
            contract(
                {"name", "type", "value", "description"} <= row.keys(),
                "get_settings gives rows with name, type, value and description.",
                "settings",
                row,
            )
            contract(
                row.get("kind", "plain") in KINDS and callable(getattr(binding, row.get("choices_from", "close"))),
                "A setting's kind is one that there is, and what lists its values is a method of the binding.",
                "settings",
                row,
            )
        contract(
            binding.set_settings(rows) is True, "set_settings takes what get_settings gives, and says True.", "settings"
        )
        contract(binding.get_settings() == rows, "Settings that come back unchanged change nothing.", "settings")

    @crosses
    def test_options_are_told_as_a_list(self, make: Callable[..., Any]) -> None:
        """Keep in options what JSON can hold, and leave ``get_options`` to the core."""
        binding = make()
        for verb in binding.verbs():
            rows = binding.get_options(verb)
            json.dumps(rows)
            names = {row["name"] for row in rows}
            options = binding.verbs()[verb].options or binding.options_class()
            contract(
                names >= options.model_fields.keys() and all(row["kind"] in KINDS for row in rows),
                "get_options gives a row for each option of a verb.",
                "options",
                (verb, rows),
            )

    def test_settings_change_all_or_not_at_all(self, make: Callable[..., Any]) -> None:
        """Leave ``set_settings`` to the core; what depends on settings is made again with ``reload=True``."""
        binding = make()
        before = binding.get_settings()
        sentence = "set_settings with one wrong name changes nothing."
        with raises(SettingsError, sentence, "settings"):
            binding.set_settings({"keep_alive": 12.5, "no_such_setting": 1})
        contract(binding.get_settings() == before, sentence, "settings", binding.get_settings())
        binding.set_settings({"keep_alive": 12.5})
        contract(binding.settings.keep_alive == 12.5, "set_settings changes the settings.", "settings")

    @crosses
    @applies(lambda suite: suite.secret_names())
    def test_secrets_are_shown_nowhere(
        self, make: Callable[..., Any], caplog: pytest.LogCaptureFixture, tmp_path: Path
    ) -> None:
        """Declare keys as ``SecretStr``, and take their value at the moment it is sent: into no log, record, repr or
        error."""
        caplog.set_level(logging.DEBUG)
        binding = make(**self.secrets())
        told = [repr(binding), repr(binding.settings), str(binding.settings), repr(vars(binding.settings).keys())]
        told.append(json.dumps(binding.get_settings()))
        for wrong in ({"no_such_option": SECRET[:3]}, {"timeout": -1}):
            with raises(LollmsError, "A wrong option is a typed error.", "options") as caught:
                self.call(binding, **wrong)
            told.append(str(caught[0]) + repr(vars(caught[0])))
        try:
            result = self.call(binding)
            told.append(json.dumps(result.provenance.to_json()))
        except LollmsError as exc:
            told += [str(exc), repr(vars(exc)), str(exc.__cause__)]
        with raises(SettingsError, "A wrong setting is a SettingsError.", "settings") as caught:
            make(**self.secrets(), no_such_setting=1)
        told += [str(caught[0]), caplog.text]
        leaks = [text for text in told if SECRET in text]
        contract(
            not leaks,
            "A secret is shown nowhere: not in repr, errors, settings, provenance or logs.",
            "settings",
            leaks,
        )

    @applies(lambda suite: suite.secret_names())
    def test_a_masked_secret_that_comes_back_changes_nothing(self, make: Callable[..., Any]) -> None:
        """Leave ``set_settings`` to the core. One that overrides it drops values that are the mask."""
        binding = make(**self.secrets())
        name = self.secret_names()[0]
        rows = binding.get_settings()
        masked = {row["name"]: row["value"] for row in rows}[name]
        contract(masked == MASK, "A secret's value in get_settings is the mask.", "settings", masked)
        binding.set_settings(rows)
        kept = getattr(binding.settings, name).get_secret_value()
        contract(kept == SECRET, "A masked secret that comes back leaves the secret as it was.", "settings", kept)
