"""Listen and Compare: Chromium with a microphone that Piper speaks into, faster-whisper, and engines that write down
what becomes of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import srt
import webvtt
from browsing import Visit, barriers, visiting
from page_served import SENTENCE
from page_views import choose, give, result
from playwright.sync_api import Browser, Page, expect
from serving import Server
from various_options import HOSTILE
from waiting import wait_until


def save(page: Page, kind: str, folder: Path) -> str:
    with page.expect_download() as downloaded:
        page.get_by_role("button", name=f"Download {kind}", exact=True).click()
    downloaded.value.save_as(folder / kind)
    return (folder / kind).read_text("utf-8")


def heard(text: str) -> int:
    return len({word.strip(".,").lower() for word in text.split()} & {"glue", "sheet", "dark", "blue", "background"})


def test_a_file_is_written_down_heard_word_by_word_mended_and_saved(
    visit: Visit, recording: Path, tmp_path: Path
) -> None:
    page = visit.go("listen")
    choose(page, "ears")
    give(page, recording)
    result(page, "whole")
    words = page.locator(".word")
    assert heard(" ".join(words.all_inner_texts())) >= 4
    dark = page.locator(".word", has_text="dark")
    start = float(dark.get_attribute("data-start") or 0)
    assert start > 0.5
    dark.click()
    expect(page.locator(".word.lit").last).to_be_visible()
    assert page.evaluate("document.querySelector('audio').currentTime") >= start
    page.get_by_role("button", name="Edit the part at 0:00").click()
    mended = " ".join(words.all_inner_texts()) or SENTENCE
    page.get_by_label("What was said").fill(f"{SENTENCE} --> <b>{HOSTILE}")
    page.keyboard.press("Control+Enter")
    assert page.locator(".transcript p").last.inner_text() == f"{SENTENCE} --> <b>{HOSTILE}", mended
    assert page.locator(".transcript b, .transcript img").count() == 0
    assert SENTENCE in save(page, "txt", tmp_path)
    (cue,) = srt.parse(save(page, "srt", tmp_path))
    assert cue.content.startswith(SENTENCE)
    save(page, "vtt", tmp_path)
    (caption,) = webvtt.read(tmp_path / "vtt").captions
    assert caption.text.startswith(f"{SENTENCE} --")
    assert caption.end > "00:00:01.000"
    told = json.loads(save(page, "json", tmp_path))
    assert told["segments"][0]["text"].startswith(SENTENCE)
    assert told["recording"] == "glue sheet.wav"
    page.reload()
    assert SENTENCE in page.locator(".transcript").inner_text()
    expect(page.get_by_text("choose it again to hear it")).to_be_visible()


def test_what_is_said_into_the_microphone_is_written_down(visit: Visit) -> None:
    page = visit.go("listen")
    choose(page, "ears")
    page.get_by_role("button", name="Record", exact=True).click()
    # Chromium gives the whole file to the microphone from its beginning; Whisper needs a sentence of it.
    expect(page.get_by_role("timer")).to_have_text("0:04", timeout=30_000)
    page.get_by_role("button", name="Stop, and write it down").click()
    result(page, "whole")
    assert heard(page.locator(".transcript").inner_text()) >= 3
    assert 2 < page.evaluate("document.querySelector('audio').duration") < 60


def test_what_is_said_is_written_down_while_it_is_said(visit: Visit) -> None:
    page = visit.go("listen")
    choose(page, "counting")
    page.get_by_text("Options of counting").click()
    page.get_by_role("textbox", name="Said").fill(HOSTILE)
    page.get_by_role("button", name="Record", exact=True).click()
    expect(page.locator(".heard")).to_contain_text(HOSTILE)
    expect(page.get_by_role("timer")).to_be_visible()
    assert page.locator("main img").count() == 0, "text is text"
    assert barriers(visit) == []
    page.get_by_role("button", name="Stop, and write it down").click()
    result(page, "whole")
    expect(page.get_by_role("log")).to_have_count(0)


@pytest.mark.full
def test_a_whisper_writes_down_what_is_said_while_it_is_said(visit: Visit) -> None:
    page = visit.go("listen")
    choose(page, "ears")
    page.get_by_role("button", name="Record", exact=True).click()
    live = page.locator(".heard")
    # On a busy machine a Whisper lags behind.
    wait_until(lambda: live.count() == 1 and heard(live.inner_text()) >= 3, 180)
    expect(page.get_by_role("timer")).to_be_visible()
    page.get_by_role("button", name="Stop, and write it down").click()
    result(page, "whole")
    assert heard(page.locator(".transcript").inner_text()) >= 3


@pytest.mark.full
def test_without_a_way_to_write_it_down_live_it_is_recorded(visit: Visit) -> None:
    visit.allow("WebSocket", "written down live")
    visit.context.add_init_script("window.WebSocket = class { constructor() { throw new Error('shut') } }")
    page = visit.go("listen")
    choose(page, "counting")
    page.get_by_role("button", name="Record", exact=True).click()
    expect(page.get_by_role("timer")).not_to_have_text("0:00")
    expect(page.get_by_role("log")).to_have_count(0)
    page.get_by_role("button", name="Stop, and write it down").click()
    result(page, "whole")


def test_without_https_the_page_says_why_there_is_no_microphone(browser: Browser, server: Server) -> None:
    with visiting(browser, server.address) as visit:
        visit.context.add_init_script("Object.defineProperty(window, 'isSecureContext', {value: false})")
        page = visit.go("listen")
        choose(page, "counting")
        page.get_by_role("button", name="Record", exact=True).click()
        expect(page.get_by_role("alert")).to_contain_text("on https or on localhost only")


@pytest.mark.full
def test_a_recording_is_dropped_or_pasted(visit: Visit, server: Server, recording: Path) -> None:
    page = visit.go("listen")
    choose(page, "counting")
    for event, field in (("drop", "dataTransfer"), ("paste", "clipboardData")):
        before = server.counted.count("heard")
        held = page.evaluate_handle(
            "async () => { const held = new DataTransfer(); held.items.add(new File([new Uint8Array([...'x'.repeat(10)])], 'x.txt', {type: 'text/plain'})); return held }"
        )
        page.evaluate(
            f"(held) => dispatchEvent(Object.assign(new Event('{event}', {{cancelable: true}}), {{{field}: held}}))",
            held,
        )
        expect(page.get_by_role("alert")).to_contain_text("That is no recording.")
        bytes_ = list(recording.read_bytes())
        held = page.evaluate_handle(
            "(bytes) => { const held = new DataTransfer(); held.items.add(new File([new Uint8Array(bytes)], 'x.wav', {type: 'audio/wav'})); return held }",
            bytes_,
        )
        page.evaluate(
            f"(held) => dispatchEvent(Object.assign(new Event('{event}', {{cancelable: true}}), {{{field}: held}}))",
            held,
        )
        result(page, "whole")
        expect(page.get_by_role("alert")).to_have_count(0)
        assert server.counted.count("heard") == before + 1
        page.get_by_role("button", name="Write it down again").wait_for()


@pytest.mark.full
def test_segments_of_a_long_recording_are_text_and_stay_quick(visit: Visit, recording: Path) -> None:
    page = visit.go("listen")
    choose(page, "counting")
    page.get_by_text("Options of counting").click()
    page.get_by_label("Said").fill("|".join([HOSTILE, *(f"part {n} of many" for n in range(2000))]))
    give(page, recording)
    result(page, "whole")
    assert page.locator(".transcript li").count() == 2001
    assert page.locator(".transcript li").first.locator(".said p").inner_text() == HOSTILE
    assert page.locator("main img").count() == 0
    row = page.locator(".transcript li").nth(1980)
    row.scroll_into_view_if_needed()
    row.locator(".time").click()
    row.locator(".edit").click()
    row.locator("textarea").fill("mended")
    page.keyboard.press("Control+Enter")
    expect(row.locator(".said")).to_have_text("mended")


@pytest.mark.full
def test_each_part_has_its_speaker_where_that_is_asked_for(visit: Visit, recording: Path) -> None:
    page = visit.go("listen")
    choose(page, "ears")
    page.get_by_label("Tell who speaks").check()
    give(page, recording)
    result(page, "whole")
    expect(page.locator(".speaker")).to_have_text("speaker_1")
    words = page.locator(".word").all_inner_texts()
    page.reload()
    page.locator(".word").first.wait_for()
    assert page.locator(".word").all_inner_texts() == words


@pytest.mark.full
def test_words_are_walked_with_arrow_keys(visit: Visit, recording: Path) -> None:
    page = visit.go("listen")
    choose(page, "ears")
    give(page, recording)
    result(page, "whole")
    words = page.locator(".word")
    words.first.focus()
    page.keyboard.press("ArrowRight")
    expect(words.nth(1)).to_be_focused()
    page.keyboard.press("Enter")
    expect(words.nth(1)).to_have_class("word lit")


def test_two_models_take_turns_at_the_same_request(visit: Visit, server: Server) -> None:
    page = visit.go("compare")
    page.get_by_role("group", name="First model").get_by_role("combobox").select_option("mouth")
    page.get_by_role("group", name="Second model").get_by_role("combobox").select_option("various")
    page.get_by_label("The request").fill("work 4 0.1")
    before = len(server.counted.lines())
    page.get_by_role("button", name="Compare").click()
    result(page, "whole", 1)
    for name in ("First sound", "All of it", "Pace"):
        assert page.get_by_text(name, exact=True).count() == 2
    lines = [line.split(" ")[0] for line in server.counted.lines()[before:]]
    assert lines[lines.index("began") :][:3] == ["began", "ended", "given"], (
        "the second begins when the first has ended"
    )
    assert barriers(visit) == []


@pytest.mark.full
def test_a_comparison_is_stopped_in_the_engine(visit: Visit, server: Server) -> None:
    page = visit.go("compare")
    page.get_by_role("group", name="First model").get_by_role("combobox").select_option("mouth")
    page.get_by_role("group", name="Second model").get_by_role("combobox").select_option("various")
    page.get_by_label("The request").fill("work 2000 0.05")
    given, cancelled = server.counted.count("given"), server.counted.count("cancelled")
    page.get_by_role("button", name="Compare").click()
    result(page, "coming")
    page.get_by_role("button", name="Stop", exact=True).click()
    result(page, "stopped", 1)
    wait_until(lambda: server.counted.count("cancelled") == cancelled + 1)
    assert server.counted.count("given") == given, "the second was never asked"


@pytest.mark.full
def test_words_that_differ_are_marked_and_pictures_are_shown(visit: Visit, recording: Path) -> None:
    page = visit.go("compare")
    page.get_by_text("Transcription").click()
    give(page, recording)
    page.get_by_role("group", name="First model").get_by_role("combobox").first.select_option("ears")
    page.get_by_role("group", name="Second model").get_by_role("combobox").first.select_option("counting")
    second = page.get_by_role("group", name="Second model")
    second.get_by_text("Options of counting").click()
    second.get_by_label("Said").fill("Glue the sheep to the dark blue background.")
    page.get_by_role("button", name="Compare").click()
    result(page, "whole", 1)
    assert "sheep" in page.locator("mark").all_inner_texts()
    page.get_by_text("Images").click()
    page.get_by_label("The request").fill("a house")
    for which in ("First model", "Second model"):
        page.get_by_role("group", name=which).get_by_role("combobox").first.select_option("blocks")
    page.get_by_text("Options of blocks").nth(1).wait_for()
    page.get_by_role("button", name="Compare").click()
    page.locator("img.made").nth(1).wait_for()
    assert page.evaluate("[...document.querySelectorAll('img.made')].map((img) => img.naturalWidth)") == [512, 512]


@pytest.mark.parametrize("scheme", ["light", pytest.param("dark", marks=pytest.mark.full)])
def test_nothing_bars_anybody(browser: Browser, server: Server, recording: Path, scheme: str) -> None:
    with visiting(browser, server.address, color_scheme=scheme) as visit:
        page = visit.go("listen")
        choose(page, "counting")
        page.get_by_text("Options of counting").click()
        assert barriers(visit) == []
        give(page, recording)
        result(page, "whole")
        assert barriers(visit) == []


@pytest.mark.parametrize("view", ["listen", "compare"])
@pytest.mark.parametrize("width", [360, pytest.param(2560, marks=pytest.mark.full)])
def test_nothing_is_wider_than_the_window(
    browser: Browser, server: Server, recording: Path, view: str, width: int
) -> None:
    with visiting(browser, server.address, viewport={"width": width, "height": 800}) as visit:
        page = visit.go(view)
        if view == "listen":
            choose(page, "counting")
            page.get_by_text("Options of counting").click()
            page.get_by_label("Said").fill("x" * 300 + "|" + HOSTILE)
            give(page, recording)
            result(page, "whole")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
