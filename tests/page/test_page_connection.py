"""The page where its server is lost in the middle of something, is another one afterwards, is slow, or makes no sense."""

from __future__ import annotations

import json
from typing import Any

import pytest
from browsing import Visit, visiting
from cable import cable
from lollms_shell import wait_until
from page_views import ask, choose, result, seen, speak
from playwright.sync_api import Browser, Route, expect
from serving import Server

LOST = "The server cannot be reached."
COMPLAINTS = "ERR_", "Failed to load resource", "makes no sense", "TypeError", "SyntaxError", "Error:"


def fulfilled(visit: Visit, address: str, answer: Any) -> None:
    """Let a request be answered so, whatever the server would say."""
    body = answer if isinstance(answer, str) else json.dumps(answer)
    kind = "text/event-stream" if body.startswith("data:") else "application/json"
    visit.context.route(address, lambda route: route.fulfill(status=200, content_type=kind, body=body))


def lose(route: Route) -> None:
    """Let the server do what it is asked for, and lose its answer."""
    route.fetch()
    route.abort("connectionreset")


def test_a_connection_that_is_cut_in_a_stream_is_told_and_what_came_is_kept(browser: Browser, server: Server) -> None:
    with cable(server.port) as line, visiting(browser, line.address) as visit:
        visit.allow(*COMPLAINTS)
        page = visit.go("speak")
        choose(page, "mouth")
        before = server.counted.count("cancelled")
        speak(page, "work 2000 0.05")
        page.locator(".spoken span").nth(3).wait_for()
        line.cut()
        expect(page.get_by_text(LOST)).to_be_visible()
        seen(page, ".result[data-state=failed]").wait_for()
        expect(page.get_by_role("alert")).to_contain_text("The connection to the server was lost.")
        wait_until(lambda: server.counted.count("cancelled") > before)
        assert page.locator(".spoken span").count() > 3
        expect(page.get_by_role("button", name="Download wav")).to_be_enabled()
        expect(page.get_by_label("Text")).to_have_value("work 2000 0.05")
        line.mend()
        expect(page.get_by_text(LOST)).to_be_hidden()
        speak(page, "Hello.")
        result(page, "whole")


def test_a_film_goes_on_where_its_connection_is_lost(browser: Browser, server: Server) -> None:
    with cable(server.port) as line, visiting(browser, line.address) as visit:
        visit.allow(*COMPLAINTS)
        page = visit.go("film")
        choose(page, "films")
        began, ended = (server.counted.count(word) for word in ("filmed", "ended"))
        ask(page, "work 150", "Film")
        wait_until(lambda: server.counted.count("filmed") > began)
        line.cut()
        expect(page.get_by_text(LOST)).to_be_visible()
        wait_until(lambda: server.counted.count("ended") > ended)
        expect(seen(page, "progress")).to_be_visible()
        line.mend()
        expect(page.get_by_text(LOST)).to_be_hidden()
        expect(seen(page, ".gallery video")).to_have_count(1)
        assert server.counted.count("ended") == ended + 1, "it is not made twice"


def test_a_film_whose_request_and_download_are_not_answered_is_made_once(visit: Visit, server: Server) -> None:
    visit.allow(*COMPLAINTS)
    visit.context.route("**/verbs/generate_video", lose, times=1)
    visit.context.route("**/content?file=0", lose, times=1)
    page = visit.go("film")
    choose(page, "films")
    before = server.counted.count("ended")
    ask(page, "work 3", "Film")
    expect(seen(page, ".gallery video")).to_have_count(1)
    assert server.counted.count("ended") == before + 1


def test_a_film_whose_request_is_not_answered_is_stopped(visit: Visit, server: Server) -> None:
    visit.allow(*COMPLAINTS)
    visit.context.route("**/verbs/generate_video", lose, times=1)
    visit.context.route("**/health", lambda route: route.abort())
    page = visit.go("film")
    choose(page, "films")
    filmed, before = (server.counted.count(word) for word in ("filmed", "cancelled"))
    ask(page, "work 100000", "Film")
    expect(page.get_by_text(LOST)).to_be_visible()
    wait_until(lambda: server.counted.count("filmed") > filmed)
    seen(page, ".work").get_by_role("button", name="Stop", exact=True).click()
    seen(page, ".result[data-state=stopped]").wait_for()
    visit.context.unroute("**/health")
    wait_until(lambda: page.evaluate("1") == 1 and server.counted.count("cancelled") > before)


def test_a_stop_that_could_not_be_told_is_told_when_the_server_is_back(browser: Browser, server: Server) -> None:
    with cable(server.port) as line, visiting(browser, line.address) as visit:
        visit.allow(*COMPLAINTS)
        page = visit.go("film")
        choose(page, "films")
        began = server.counted.count("filmed")
        ask(page, "work 100000", "Film")
        wait_until(lambda: server.counted.count("filmed") > began)
        line.cut()
        expect(page.get_by_text(LOST)).to_be_visible()
        before = server.counted.count("cancelled")
        seen(page, ".work").get_by_role("button", name="Stop", exact=True).click()
        seen(page, ".result[data-state=stopped]").wait_for()
        line.mend()
        wait_until(lambda: server.counted.count("cancelled") > before)


@pytest.mark.full
def test_a_server_with_other_models_is_followed_in_the_middle_of_a_form(visit: Visit) -> None:
    visit.allow("status of 404")
    page = visit.go("speak")
    choose(page, "various")
    page.get_by_text("Options of various").click()
    page.get_by_label("Rounds").fill("5")
    page.get_by_label("Text").fill("Kept.")
    rows = [{"name": "mouth", "modality": "tts", "binding": "counting"}]
    fulfilled(visit, "**/lollms/v2/bindings", {"data": rows})
    gone = {"error": {"message": "There is no model 'various'.", "code": "model_not_found"}}
    visit.context.route("**/verbs/stream_audio", lambda route: route.fulfill(status=404, json=gone), times=1)
    page.get_by_role("button", name="Speak", exact=True).click()
    expect(page.get_by_text("various is not served any more.")).to_be_visible()
    expect(page.get_by_label("Model", exact=True)).to_have_value("mouth")
    expect(page.get_by_label("Text")).to_have_value("Kept.")
    page.get_by_role("button", name="Speak", exact=True).click()
    result(page, "whole")
    visit.context.unroute("**/lollms/v2/bindings")
    page.reload()
    choose(page, "various")
    page.get_by_text("Options of various").click()
    expect(page.get_by_label("Rounds")).to_have_value("5"), "what was typed is the model's"


NONSENSE: list[tuple[str, Any]] = [
    ("**/lollms/v2/bindings", "<html>a proxy's page</html>"),
    ("**/lollms/v2/bindings", []),
    ("**/lollms/v2/bindings", {"data": {"tts": 1}}),
    ("**/lollms/v2/bindings", {"data": [None, 3, {"name": 5, "modality": None}]}),
    ("**/bindings/tts/various", "null"),
    ("**/bindings/tts/various", {"verbs": [], "capabilities": 3, "options_schema": {"properties": 7}}),
    ("**/bindings/tts/various/voices", {"data": [None, {"id": 3}, {"id": "x", "name": {"a": 1}, "language": 7}]}),
]


@pytest.mark.full
def test_an_answer_that_makes_no_sense_breaks_no_view(visit: Visit) -> None:
    visit.allow(*COMPLAINTS)
    for address, answer in NONSENSE:
        fulfilled(visit, address, answer)
        page = visit.go("speak")
        page.reload()
        expect(page.get_by_label("Text")).to_be_visible()
        if "various" in address:
            page.get_by_label("Model", exact=True).select_option("various")
        if not isinstance(answer, dict) or answer.get("data") == {"tts": 1}:
            expect(page.get_by_role("alert").first).to_contain_text("makes no sense")
        page.get_by_role("link", name="Server").click()
        expect(page.get_by_role("heading", name="Server")).to_be_visible()
        expect(page.get_by_text("This part of the page failed.")).to_have_count(0)
        visit.context.unroute(address)


ITEM, PROGRESS = '{"type": "item", "value": %s}', '{"type": "progress", "done": "x", "total": {}, "stage": [1]}'
EVENTS = [
    ("data: nonsense\n\n", "makes no sense"),
    ("data: " + ITEM % '{"payload": 3}' + "\n\n", "makes no sense"),
    ('data: {"type": "payload", "number": 0, "data": "%%%"}\n\n', "makes no sense"),
    (f"data: {PROGRESS}\n\ndata: {ITEM % 'null'}\n\n", "makes no sense"),
    ('data: {"type": "surprise"}\n\n', "ended the answer before it was whole"),
]


@pytest.mark.full
def test_events_that_make_no_sense_end_in_words(visit: Visit) -> None:
    visit.allow(*COMPLAINTS, "InvalidCharacterError")
    page = visit.go("speak")
    choose(page, "mouth")
    for events, words in EVENTS:
        fulfilled(visit, "**/verbs/stream_audio", events)
        speak(page, "Hello.")
        expect(page.get_by_role("alert")).to_contain_text(words)
        visit.context.unroute("**/verbs/stream_audio")
        page.get_by_role("button", name="Speak", exact=True).click()
        result(page, "whole")


@pytest.mark.full
def test_a_slow_network_is_waited_for(visit: Visit) -> None:
    page = visit.go("speak")
    choose(page, "mouth")
    held: list[Route] = []
    visit.context.route("**/bindings/tts/various**", lambda route: held.append(route))
    page.get_by_label("Model", exact=True).select_option("various")
    expect(page.get_by_role("button", name="Speak", exact=True)).to_be_disabled()
    page.get_by_label("Text").fill("Hello.")
    wait_until(
        lambda: page.evaluate("1") == 1 and len(held) == 2
    )  # Playwright hears of them while it is asked something
    page.get_by_label("Model", exact=True).select_option("mouth")
    page.get_by_text("Options of mouth").wait_for()
    for route in held:
        route.continue_()
    expect(page.get_by_text("Options of various")).to_have_count(0), "what comes too late is not shown"
    expect(page.get_by_role("button", name="Speak", exact=True)).to_be_enabled()
