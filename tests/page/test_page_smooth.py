"""How much of the processor a waveform takes that moves, by Chromium's own trace."""

from __future__ import annotations

import pytest
from browsing import Visit
from page_views import choose, result, speak
from playwright.sync_api import Browser, expect
from traced import traced

TASK, SCRIPT = 50.0, 4.0  # milliseconds: of a task, and of scripts in a frame
SECOND = "new Promise((done) => setTimeout(done, 1000))"
# About as much work as a task of 50 ms is on an ordinary machine; where it is more, so may everything be.
CONTROL = """() => new Promise((done) => requestAnimationFrame(() => {
  let sum = 0;
  for (let n = 0; n < 2e7; n++) sum = (sum + n * n) % 1000003;
  done(sum);
}))"""
GREEDY = """() => { window.greedy = () => { const end = performance.now() + 12; while (performance.now() < end);
  if (window.greedy) requestAnimationFrame(window.greedy) }; window.greedy() }"""


@pytest.mark.full
def test_a_waveform_that_moves_leaves_the_page_its_time(browser: Browser, visit: Visit) -> None:
    page = visit.go("speak")
    choose(page, "mouth")
    speak(page, "work 60 10")  # it sounds for longer than the busiest machine takes for what follows
    result(page, "whole")
    control = max(traced(browser, page, CONTROL).tasks)
    longest, most = max(TASK, control), SCRIPT * max(1.0, control / TASK)
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    moving = traced(browser, page, SECOND)
    assert len(moving.frames) >= 10
    assert max(moving.tasks) < longest, control
    frames = sorted(moving.frames)
    assert frames[int(len(frames) * 0.95)] < most, control
    assert sum(frames) / len(frames) < most / 2
    page.evaluate(GREEDY)
    greedy = traced(browser, page, SECOND)
    page.evaluate("() => { window.greedy = null }")
    assert sum(greedy.frames) / len(greedy.frames) > 2 * sum(frames) / len(frames), "a script that takes more is seen"
