"""The page's frame, and Speak: Chromium, a real server, Piper, and engines that write down what becomes of them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from browsing import Visit, barriers, visiting
from lollms_modalities import decode_audio, probe_audio
from lollms_shell import wait_until
from page_served import Keyed
from page_views import choose, result, speak
from playwright.sync_api import Browser, expect
from served import WAV
from serving import Server
from various_options import HOSTILE

LONG = " ".join(["The birch canoe slid on the smooth planks.", "Glue the sheet to the dark blue background."] * 4)

# What is on the page for a moment only is written down there: who looks from outside may come too late.
WATCH = """() => {
  window.states = [];
  window.lit = [];
  new MutationObserver(() => {
    const state = document.querySelector(".result")?.dataset.state;
    window.states.push(document.querySelector(".result [aria-label=Pause]") ? `${state}, sounds` : state);
    window.lit.push(...Array.from(document.querySelectorAll(".spoken .lit"), (word) => word.innerText));
  }).observe(document.querySelector("main"), { subtree: true, childList: true, attributes: true });
}"""


def test_sound_begins_before_all_of_it_is_made_and_its_words_light_up(visit: Visit, tmp_path: Path) -> None:
    page = visit.go("speak")
    choose(page, "piper")
    page.evaluate(WATCH)
    speak(page, LONG)
    result(page, "whole")
    assert "coming, sounds" in page.evaluate("window.states"), "it sounds, and more is being made"
    wait_until(lambda: page.evaluate("window.lit.length") > 0)
    words = page.locator(".spoken span").all_inner_texts()
    assert " ".join(words) == LONG
    assert len(words) == len(LONG.split()), "the engine gives the times of words, not of sentences"
    page.evaluate("window.lit.length = 0")
    page.locator(".spoken span", has_text="dark").last.click()
    wait_until(lambda: "dark" in page.evaluate("window.lit"))
    for kind in ("wav", "mp3", "flac", "opus"):
        with page.expect_download() as downloaded:
            page.get_by_role("button", name=f"Download {kind}", exact=True).click()
        file = tmp_path / f"x.{kind}"
        downloaded.value.save_as(file)
        assert downloaded.value.suggested_filename == f"The-birch-canoe-slid-on-the.{kind}"
        assert probe_audio(file)[3] in (kind, "ogg")
        sound = decode_audio(file, 16000)
        assert len(sound) / 16000 > 8
        assert float(np.abs(sound).max()) > 0.1


def test_stop_reaches_the_engine(visit: Visit, server: Server) -> None:
    page = visit.go("speak")
    choose(page, "mouth")
    before = server.counted.count("cancelled")
    speak(page, "work 2000 0.05")
    result(page, "coming")
    page.get_by_role("button", name="Stop", exact=True).click()
    result(page, "stopped")
    wait_until(lambda: server.counted.count("cancelled") > before)
    expect(page.get_by_role("button", name="Speak", exact=True)).to_be_enabled()


def test_any_option_of_a_binding_appears_and_reaches_it(visit: Visit, server: Server, tmp_path: Path) -> None:
    page = visit.go("speak")
    choose(page, "various")
    page.get_by_text("Options of various").click()
    page.get_by_role("spinbutton", name="Warmth").fill("0.25")
    page.get_by_label("Rounds").fill("7")
    page.get_by_label("Budget").fill("12")
    page.get_by_label("Bright").check()
    page.get_by_label("Maybe").select_option("no")
    page.get_by_label("Mood").select_option("merry")
    page.get_by_label("Accent").select_option("hard")
    page.get_by_label("Style").fill(HOSTILE)
    page.get_by_label("Words").fill("one\ntwo words\n")
    page.get_by_label("Weights").fill("1\n0.5")
    page.get_by_label("Extra").fill('{"a": 1}')
    page.get_by_label("Secret").fill("sesame")
    assert page.get_by_label("Secret").get_attribute("type") == "password"
    recording = tmp_path / "recording.wav"
    recording.write_bytes(WAV)
    page.get_by_label("Sample", exact=True).set_input_files(recording)
    page.get_by_label("Voice", exact=True).select_option(HOSTILE)
    speak(page, HOSTILE)
    result(page, "whole")
    given = json.loads(next(line for line in reversed(server.counted.lines()) if line.startswith("given "))[6:])
    assert given == {
        "warmth": 0.25, "rounds": 7, "budget": 12, "bright": True, "maybe": False, "mood": "merry", "accent": "hard",
        "style": HOSTILE, "words": ["one", "two words"], "weights": [1.0, 0.5], "extra": {"a": 1}, "secret": "sesame",
        "sample": len(WAV),
    }  # fmt: skip
    assert page.locator(".spoken").inner_text() == HOSTILE, "text is text"
    assert page.locator("main img").count() == 0
    assert page.title() == "Speak · lollms"


def test_a_wrong_value_and_a_failing_engine_are_told_with_the_mend(visit: Visit) -> None:
    visit.allow("status of 400", "status of 500")
    page = visit.go("speak")
    choose(page, "various")
    page.get_by_text("Options of various").click()
    page.get_by_label("Extra").fill("{")
    speak(page, "Hello.")
    expect(page.get_by_role("alert")).to_contain_text("Extra: that is no JSON.")
    page.get_by_label("Extra").fill("")
    page.get_by_label("Rounds").fill("0")
    speak(page, "Hello.")
    expect(page.get_by_role("alert")).to_contain_text("rounds")
    choose(page, "mouth")
    speak(page, "fail")
    expect(page.get_by_role("alert")).to_contain_text("failed in its engine")
    assert "private" not in page.locator("main").inner_text(), "what the engine says of the machine is masked"
    speak(page, "breaks")
    result(page, "failed")
    expect(page.get_by_role("button", name="Download wav")).to_be_visible()


@pytest.mark.full
def test_a_hundred_thousand_characters_are_text(visit: Visit) -> None:
    page = visit.go("speak")
    choose(page, "various")
    speak(
        page, HOSTILE + " a word" * 14_000 + HOSTILE
    )  # bidirectional marks all through it cost Chromium itself seconds
    result(page, "whole")
    assert page.locator("main img").count() == 0


def test_what_was_typed_survives_a_reload_and_is_the_tabs_own(visit: Visit) -> None:
    page = visit.go("speak")
    choose(page, "various")
    page.get_by_label("Text").fill("Kept.")
    page.get_by_text("Options of various").click()
    page.get_by_label("Rounds").fill("5")
    page.reload()
    expect(page.get_by_label("Text")).to_have_value("Kept.")
    expect(page.get_by_label("Model", exact=True)).to_have_value("various")
    page.get_by_text("Options of various").click()
    expect(page.get_by_label("Rounds")).to_have_value("5")
    other = visit.open()
    other.goto(f"{visit.address}/#speak")
    expect(other.get_by_label("Text")).to_have_value("")
    other.get_by_label("Text").fill("Another.")
    page.reload()
    expect(page.get_by_label("Text")).to_have_value("Kept.")


@pytest.mark.full
def test_a_sample_of_a_voice_is_heard(visit: Visit, server: Server) -> None:
    page = visit.go("speak")
    choose(page, "mouth")
    page.get_by_label("Voice", exact=True).select_option("two")
    page.get_by_role("button", name="Hear this voice").click()
    wait_until(lambda: any("Hello. This is what" in line and line.endswith(" two") for line in server.counted.lines()))


def test_the_keyboard_is_enough(visit: Visit) -> None:
    page = visit.go("speak")
    choose(page, "various")
    page.locator("body").press("Tab")
    expect(page.get_by_text("Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.get_by_label("Text")).to_be_focused()
    page.keyboard.type("Hello.")
    page.keyboard.press("Control+Enter")
    result(page, "whole")
    slider = page.get_by_role("slider", name="Sound")
    slider.focus()
    page.keyboard.press("End")
    expect(slider).to_have_attribute("aria-valuenow", "1.0")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_bars_anybody(browser: Browser, server: Server, scheme: str) -> None:
    with visiting(browser, server.address, color_scheme=scheme) as visit:
        page = visit.go("speak")
        choose(page, "various")
        page.get_by_text("Options of various").click()
        assert barriers(visit) == []
        speak(page, "Hello.")
        result(page, "whole")
        assert barriers(visit) == []


@pytest.mark.parametrize("width", [360, *(pytest.param(wide, marks=pytest.mark.full) for wide in (768, 1280, 2560))])
def test_nothing_is_wider_than_the_window(browser: Browser, server: Server, width: int) -> None:
    with visiting(browser, server.address, viewport={"width": width, "height": 800}) as visit:
        page = visit.go("speak")
        choose(page, "various")
        page.get_by_text("Options of various").click()
        speak(page, "word " * 30 + "x" * 300)
        result(page, "whole")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        outside = page.evaluate(
            "[...document.querySelectorAll('main *')].filter((e) => e.getBoundingClientRect().right > innerWidth + 1)"
            ".map((e) => e.outerHTML.slice(0, 100))"
        )
        assert outside == []


def test_what_is_sent_is_little_and_once(visit: Visit) -> None:
    session = visit.context.new_cdp_session(visit.page)
    session.send("Network.enable")
    sent: list[float] = []
    session.on("Network.loadingFinished", lambda event: sent.append(event["encodedDataLength"]))
    page = visit.go("speak")
    choose(page, "various")
    assert len(visit.requests) < 50
    assert sum(sent) < 90_000
    before = len(visit.requests)
    page.reload()
    choose(page, "various")
    again = [address for address in visit.requests[before:] if "/page/" not in address]
    assert len(again) < 8, again


def test_a_moving_waveform_draws_nothing_anew(visit: Visit) -> None:
    visit.context.add_init_script(
        "window.drawn = 0; const fill = CanvasRenderingContext2D.prototype.fill;"
        "CanvasRenderingContext2D.prototype.fill = function () { window.drawn++; return fill.call(this) };"
    )
    page = visit.go("speak")
    choose(page, "mouth")
    speak(page, "work 20 0.5")
    result(page, "whole")
    page.get_by_role("slider", name="Sound").focus()
    page.keyboard.press("Home")
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    drawn, added, moved = page.evaluate(
        """new Promise((done) => {
          const before = window.drawn, told = {childList: 0, attributes: 0};
          const watcher = new MutationObserver((all) => all.forEach((one) => told[one.type]++));
          watcher.observe(document.querySelector("main"), {subtree: true, childList: true, attributes: true});
          let frames = 0;
          const next = () => ++frames < 60 ? requestAnimationFrame(next)
            : done([window.drawn - before, told.childList, told.attributes / frames]);
          next();
        })"""
    )
    assert (drawn, added) == (0, 0)
    assert 0 < moved <= 3, "the line, and the word that lights up"


def test_text_from_right_to_left_is_laid_out_so(visit: Visit) -> None:
    page = visit.go("speak")
    choose(page, "various")
    speak(page, "שלום עולם")
    result(page, "whole")
    for selector in (".spoken", "textarea.big"):
        assert page.locator(selector).evaluate("(element) => getComputedStyle(element).direction") == "rtl"
    page.evaluate("document.documentElement.dir = 'rtl'")
    assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]  # type: ignore[index]
    brand, tools = (page.locator(name).bounding_box() for name in (".brand", ".tools"))
    assert brand is not None
    assert tools is not None
    assert brand["x"] > tools["x"], "the frame is turned, too"


@pytest.mark.full
def test_a_view_that_cannot_be_loaded_says_so_and_takes_no_other_along(visit: Visit) -> None:
    visit.allow("status of 404")
    page = visit.go("speak")
    choose(page, "various")
    gone = {"status": 404, "content_type": "text/javascript", "body": ""}
    visit.context.route("**/views/compare.js", lambda route: route.fulfill(**gone))
    page.get_by_role("link", name="Compare").click()
    expect(page.get_by_role("alert")).to_contain_text("could not be loaded")
    page.get_by_role("link", name="Speak").click()
    speak(page, "Hello.")
    result(page, "whole")


@pytest.mark.full
def test_the_switch_of_colours_is_every_tabs(visit: Visit) -> None:
    page = visit.go("speak")
    page.get_by_role("button", name="Colours: As the system").click()
    page.get_by_role("button", name="Colours: Light").click()
    expect(page.get_by_role("button", name="Colours: Dark")).to_be_visible()
    dark = page.evaluate("getComputedStyle(document.body.parentElement).backgroundColor")
    page.reload()
    expect(page.get_by_role("button", name="Colours: Dark")).to_be_visible()
    assert page.evaluate("getComputedStyle(document.body.parentElement).backgroundColor") == dark


def test_a_lost_connection_is_told_and_the_page_goes_on(visit: Visit) -> None:
    visit.allow("ERR_INTERNET_DISCONNECTED", "Failed to load resource")
    page = visit.go("speak")
    choose(page, "various")
    visit.context.set_offline(True)
    speak(page, "Hello.")
    expect(page.get_by_text("The server cannot be reached.")).to_be_visible()
    expect(page.get_by_role("alert")).to_contain_text("The connection to the server was lost.")
    visit.context.set_offline(False)
    expect(page.get_by_text("The server cannot be reached.")).to_be_hidden()
    expect(page.get_by_label("Text")).to_have_value("Hello.")
    page.get_by_role("button", name="Speak", exact=True).click()
    result(page, "whole")


def test_a_key_is_asked_for_and_never_in_an_address(browser: Browser, keyed: Keyed) -> None:
    key = keyed.user
    with visiting(browser, keyed.server.address) as visit:
        visit.allow("status of 401")
        page = visit.page
        page.goto(visit.address)
        dialog = page.get_by_role("dialog")
        expect(dialog).to_be_visible()
        assert barriers(visit) == []
        dialog.get_by_label("Key").fill("lollms-not-this")
        dialog.get_by_role("button", name="Use this key").click()
        expect(dialog).to_contain_text("is not taken")
        dialog.get_by_label("Key").fill(key)
        page.keyboard.press("Enter")
        expect(dialog).to_be_hidden()
        choose(page, "various")
        speak(page, "Hello.")
        result(page, "whole")
        page.reload()
        choose(page, "various")
        assert not any(key in address for address in visit.requests)
        assert key not in str(page.evaluate("JSON.stringify(localStorage) + document.cookie + location.href"))
        other = visit.open()
        other.goto(visit.address)
        expect(other.get_by_role("dialog")).to_be_visible()
