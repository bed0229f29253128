"""What is asked of every view: barriers in the dark, the keyboard, texts from right to left; and what only some have:
a note that is longer than a Whisper hears at once, who waits, secrets of settings."""

from __future__ import annotations

import io
import re
from pathlib import Path

import numpy as np
import pytest
import srt
from browsing import Visit, barriers, visiting
from harvard import HARVARD, spoken, word_error_rate
from lollms_server.room.keys import Keys
from page_served import SENTENCE
from page_views import ask, choose, content, give, result, seen, speak
from PIL import Image
from playwright.sync_api import Browser, expect
from serving import SERVE, Server, serving
from waiting import wait_until

HALF_A_MINUTE = " ".join(HARVARD.split(". ")[:17]) + "."
SERVED = {"compare": "Compare", "draw": "Draw", "compose": "Compose", "film": "Film", "server": "Server"}
SECRET = "sk-quite-secret-and-nobodys-business"


@pytest.mark.full
def test_nothing_bars_anybody_in_the_dark(browser: Browser, server: Server) -> None:
    with visiting(browser, server.address, color_scheme="dark", viewport={"width": 360, "height": 800}) as visit:
        for view, title in SERVED.items():
            page = visit.go(view)
            expect(page.get_by_role("heading", name=title, exact=True)).to_be_visible()
            assert barriers(visit) == [], view
            if view == "draw":
                choose(page, "blocks")
                ask(page, "a house", "Draw")
                expect(seen(page, ".gallery li")).to_have_count(1)
                assert barriers(visit) == [], "with a result"


@pytest.mark.full
def test_an_image_is_drawn_and_painted_over_with_the_keyboard(visit: Visit) -> None:
    page = visit.go("draw")
    choose(page, "blocks")
    seen(page, "textarea.big").focus()
    page.keyboard.type("a house")
    page.keyboard.press("Control+Enter")
    expect(seen(page, ".gallery li")).to_have_count(1)
    before = np.asarray(Image.open(io.BytesIO(content(page, "png"))).convert("RGB"), np.int16)
    change = seen(page, ".gallery li").get_by_role("button", name="Change it")
    change.focus()
    page.keyboard.press("Enter")
    seen(page, ".mask canvas").focus()
    for _ in range(6):
        page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("Space")
    seen(page, "textarea.big").focus()
    page.keyboard.type(" in snow")
    page.keyboard.press("Control+Enter")
    expect(seen(page, ".gallery li")).to_have_count(2)
    after = np.asarray(Image.open(io.BytesIO(content(page, "png"))).convert("RGB"), np.int16)
    changed = np.abs(after - before).max(axis=2) > 8
    height, width = changed.shape
    assert changed[height // 2 - 5 : height // 2 + 5, width // 2 : width * 3 // 4].mean() > 0.5, "where it was painted"
    assert not changed[: height // 4].any(), "and nowhere else"


@pytest.mark.full
@pytest.mark.parametrize(("view", "model", "made"), [("compose", "chord", "audio"), ("film", "flicker", "video")])
def test_the_keyboard_is_enough_to_compose_and_to_film(visit: Visit, view: str, model: str, made: str) -> None:
    page = visit.go(view)
    choose(page, model)
    page.locator("body").press("Tab")
    page.keyboard.press("Enter")  # skip to the content
    page.keyboard.press("Tab")
    expect(seen(page, "textarea.big")).to_be_focused()
    page.keyboard.type("a slow waltz")
    page.keyboard.press("Control+Enter")
    expect(seen(page, f".gallery {made}")).to_have_count(1)
    forget = seen(page, "").get_by_role("button", name="Forget all", exact=True)
    forget.focus()
    page.keyboard.press("Enter")
    seen(page, "").get_by_role("button", name="Forget all that this browser keeps").focus()
    page.keyboard.press("Enter")
    expect(seen(page, ".gallery li")).to_have_count(0)


@pytest.mark.full
def test_what_is_heard_and_drawn_is_laid_out_from_right_to_left(visit: Visit, recording: Path) -> None:
    page = visit.go("listen")
    choose(page, "counting")
    page.get_by_text("Options of counting").click()
    page.get_by_label("Said").fill("שלום עולם|hello")
    give(page, recording)
    result(page, "whole")
    direction = "(element) => getComputedStyle(element).direction"
    said = page.locator(".transcript .said p")
    assert [said.nth(n).evaluate(direction) for n in range(2)] == ["rtl", "ltr"]
    page = visit.go("draw")
    choose(page, "blocks")
    ask(page, "בית בשלג", "Draw")
    title = seen(page, ".gallery .title")
    expect(title).to_have_text("בית בשלג")
    assert title.evaluate(direction) == seen(page, "textarea.big").evaluate(direction) == "rtl"


@pytest.mark.full
def test_a_note_that_is_longer_than_is_heard_at_once_is_written_down_to_its_end(visit: Visit, tmp_path: Path) -> None:
    note = spoken(HALF_A_MINUTE)
    assert 31 < note.duration < 60
    page = visit.go("listen")
    choose(page, "ears")
    give(page, note.convert("mp3").save(tmp_path / "note.mp3"))
    result(page, "whole")
    words = page.locator(".word")
    assert word_error_rate(HALF_A_MINUTE, " ".join(words.all_inner_texts())) < 0.35
    starts = [float(start) for start in words.evaluate_all("(all) => all.map((word) => word.dataset.start)")]
    assert starts == sorted(starts)
    assert note.duration - 2 < starts[-1] < note.duration
    words.last.click()
    wait_until(lambda: page.evaluate("document.querySelector('audio').currentTime") >= starts[-1])
    with page.expect_download() as downloaded:
        page.get_by_role("button", name="Download srt", exact=True).click()
    assert list(srt.parse(downloaded.value.path().read_text("utf-8")))[-1].end.total_seconds() > starts[-1]


@pytest.mark.full
def test_half_a_minute_into_the_microphone_is_written_down_to_its_end(visit: Visit) -> None:
    page = visit.go("listen")
    choose(page, "ears")
    page.get_by_role("button", name="Record", exact=True).click()
    expect(page.get_by_role("timer")).to_have_text("0:35", timeout=120_000)
    page.get_by_role("button", name="Stop, and write it down").click()
    result(page, "whole")
    assert page.evaluate("document.querySelector('audio').duration") > 33
    words = page.locator(".word")
    assert float(words.last.get_attribute("data-start") or 0) > 29
    last = " ".join(words.all_inner_texts()[-2 * len(SENTENCE.split()) :]).lower()
    assert any(word in last for word in ("glue", "sheet", "dark", "blue", "background")), last


@pytest.mark.full
def test_who_works_and_waits_is_seen_and_stopped(visit: Visit, server: Server) -> None:
    began, cancelled = (server.counted.count(word) for word in ("began", "cancelled"))
    tabs = [visit.page, visit.open()]
    for tab in tabs:
        tab.goto(f"{visit.address}/#speak")
        choose(tab, "mouth")
        speak(tab, "work 20000 0.01")
    wait_until(lambda: server.counted.count("began") > began)
    watcher = visit.open()
    watcher.goto(f"{visit.address}/#server")
    row = seen(watcher, "[data-model=mouth]")
    expect(row).to_contain_text("1 at work")
    expect(row).to_contain_text("1 waiting")
    calls = seen(watcher, ".lines li:not([data-status])").filter(has_text="mouth")
    for left in (2, 1):
        expect(calls).to_have_count(left)
        calls.first.get_by_role("button", name="Stop").click()
    expect(calls).to_have_count(0)
    wait_until(lambda: server.counted.count("cancelled") > cancelled)


@pytest.mark.full
def test_an_admin_sees_memory_but_no_secret_and_loads_with_the_keyboard(browser: Browser, tmp_path: Path) -> None:
    mouth = '[models.mouth]\nbinding = "counting"\nmodality = "tts"\n'  # in a process of its own
    far = f'[models.far]\nbinding = "dalle"\nmodality = "tti"\nsettings = {{ api_key = "{SECRET}" }}\n'
    key = Keys(tmp_path / "keys.json").add("boss", role="admin")
    with serving(tmp_path, SERVE + mouth + far) as server, visiting(browser, server.address) as visit:
        visit.allow("status of 401")
        told: list[str] = []
        visit.context.on("response", lambda answer: told.append(answer.text() if "/lollms/v2/" in answer.url else ""))
        page = visit.page
        page.goto(f"{server.address}/#server")
        page.get_by_label("Key", exact=True).fill(key)
        page.get_by_role("button", name="Use this key").click()
        row = seen(page, "[data-model=mouth]")
        row.get_by_role("button", name="Load", exact=True).focus()
        page.keyboard.press("Enter")
        expect(row.get_by_role("button", name="Unload")).to_be_visible()
        expect(row).to_contain_text(re.compile(r"· [1-9]\d* MB"))
        row.get_by_role("button", name="Unload").focus()
        page.keyboard.press("Enter")
        expect(row.get_by_role("button", name="Load", exact=True)).to_be_visible()
        row = seen(page, "[data-model=far]")
        row.get_by_role("button", name="Settings").click()
        field = row.get_by_label("Api key")
        expect(field).to_have_attribute("type", "password")
        assert field.input_value() == ""
        assert SECRET not in page.content()
        assert any("api_key" in text for text in told)
        assert not any(SECRET in text for text in told)


@pytest.mark.full
def test_what_is_not_to_be_seen_reaches_the_model(visit: Visit) -> None:
    page = visit.go("draw")
    choose(page, "blocks")
    for name in ("Width", "Height", "Seed"):
        seen(page, "aside").get_by_label(name).first.fill("64")
    made = []
    for number, unwanted in enumerate(("", "fog"), start=1):
        seen(page, ".work").get_by_label("What is not to be in it").fill(unwanted)
        ask(page, "a house", "Draw")
        expect(seen(page, ".gallery li")).to_have_count(number)
        made.append(np.asarray(Image.open(io.BytesIO(content(page, "png")))))
    assert not np.array_equal(*made)


@pytest.mark.full
def test_the_keyboard_is_enough_to_compare(visit: Visit) -> None:
    page = visit.go("compare")
    for name, letter in (("First model", "m"), ("Second model", "v")):
        page.get_by_role("group", name=name).get_by_role("combobox").focus()
        page.keyboard.type(letter)
    page.get_by_label("The request").focus()
    page.keyboard.type("work 2 0.1")
    expect(page.get_by_role("button", name="Compare")).to_be_enabled()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    result(page, "whole", 1)
    assert page.get_by_text("First sound", exact=True).count() == 2
