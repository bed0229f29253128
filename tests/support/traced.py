"""What Chromium's own trace says of a page: how long its tasks are, and how much of a frame its scripts take."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from playwright.sync_api import Browser, Page

CATEGORIES = ["toplevel", "devtools.timeline", "disabled-by-default-devtools.timeline"]
_SCRIPTS = {"FireAnimationFrame", "FunctionCall", "EvaluateScript", "TimerFire", "EventDispatch", "RunMicrotasks"}


class Trace(NamedTuple):
    """Milliseconds of the processor, which a busy machine makes no longer.

    Attributes:
        tasks: of each task of the page's main thread.
        frames: of scripts, in each frame in which an animation's step ran.
    """

    tasks: list[float]
    frames: list[float]


def traced(browser: Browser, page: Page, act: str) -> Trace:
    """What is traced of a page while the JavaScript `act` runs, which may give a promise."""
    browser.start_tracing(page=page, categories=CATEGORIES)
    page.evaluate(act)
    events: list[dict[str, Any]] = json.loads(browser.stop_tracing())["traceEvents"]
    frames = [one for one in events if one["name"] == "FireAnimationFrame" and one.get("ph") == "X"]
    assert frames, "no frame of an animation was traced"
    place = frames[0]["pid"], frames[0]["tid"]
    mine = [one for one in events if (one["pid"], one["tid"]) == place and one.get("ph") == "X"]
    assert all("tdur" in one for one in frames), "this Chromium tells no time of the processor"
    tasks = [one["tdur"] / 1000 for one in mine if one["name"].endswith("RunTask") and "tdur" in one]
    scripts = _outermost([one for one in mine if one["name"] in _SCRIPTS and "tdur" in one])
    begins = [one for one in events if (one["pid"], one["tid"], one["name"]) == (*place, "AnimationFrame")]
    marks = sorted(one["ts"] for one in begins if one["ph"] == "b")
    of_frames: dict[int, float] = {}
    for one in scripts:
        number = sum(mark <= one["ts"] for mark in marks)
        of_frames[number] = of_frames.get(number, 0) + one["tdur"] / 1000
    return Trace(tasks, list(of_frames.values()))


def _outermost(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    end = 0.0
    for one in sorted(events, key=lambda one: (one["ts"], -one["dur"])):
        if one["ts"] >= end:
            found.append(one)
            end = one["ts"] + one["dur"]
    return found
