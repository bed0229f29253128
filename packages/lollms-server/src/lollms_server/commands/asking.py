"""``lollms serve ps``, ``load``, ``unload``, ``cancel``: a server that runs, asked over its Unix socket."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from typing import Any

from lollms_server.commands.output import out, say
from lollms_server.room.terminal import ask

Run = Callable[[argparse.Namespace], int]


def ps(given: argparse.Namespace) -> int:
    """Which models are loaded, and which calls are under way."""
    state = _ask(given, act="ps")
    if given.json:
        out(json.dumps(state, indent=2))
        return 0
    for model in state["models"]:
        facts = ["loaded" if model["loaded"] else "not loaded"]
        if model["memory"]:
            facts.append(f"{model['memory'] / 1e6:.0f} MB")
        if model["at_work"] or model["waiting"]:
            facts.append(f"{model['at_work']} at work, {model['waiting']} waiting")
        elif model["loaded"] and model["idle"] is not None:
            facts.append(f"idle for {model['idle']:.0f} s")
        out(f"{model['modality']}:{model['name']}  {', '.join(facts)}")
    for call in state["calls"]:
        what = f"{call['model']} {call['verb']} of {call['caller']}"
        out(f"{call['id']}  {what}, {call['state']}, {call['seconds']:.0f} s")
    return 0


def change(given: argparse.Namespace) -> int:
    """Load or unload a model, cancel a call."""
    named = {"call": given.call} if given.act == "cancel" else {"model": given.model}
    done = _ask(given, act=given.act, **named)
    if not done:
        say(f"{given.model} is at work and stays loaded.")
    return 0 if done else 1


def _ask(given: argparse.Namespace, **asked: Any) -> Any:
    from lollms_server.commands.arguments import configured

    return ask(configured(given).serve.socket_path(), **asked)
