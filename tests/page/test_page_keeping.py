"""What the page keeps in the browser, for how long, and that it works where nothing can be kept."""

from __future__ import annotations

import pytest
from browsing import Visit, visiting
from page_views import ask, choose, give, result, seen, speak
from playwright.sync_api import Browser, Page, expect
from serving import Server

SHUT = """
for (const name of ["sessionStorage", "localStorage", "indexedDB", "caches"])
  Object.defineProperty(window, name, { get() { throw new DOMException("shut", "SecurityError") } });
"""
FULL = """
Storage.prototype.setItem = () => { throw new DOMException("full", "QuotaExceededError") };
IDBObjectStore.prototype.add = () => { throw new DOMException("full", "QuotaExceededError") };
"""
ROWS = """async (rows) => {
  const { keepResult, results } = await import(new URL("lib/gallery.js", document.querySelector("script[src]").src));
  const told = [];
  for (const [title, size] of rows) {
    const blob = new Blob([new Uint8Array(size)], { type: "image/png" });
    told.push(await keepResult({ modality: "tti", name: "blocks", verb: "generate_image", title, args: {}, blob, at: Date.now() }));
  }
  const kept = await results(["tti"]);
  return [told, kept.map((row) => row.title), kept.reduce((sum, row) => sum + (row.id > 0 ? row.blob.size : 0), 0)];
}"""
ALL_OF_IT = """async () => {
  const stores = [];
  for (const { name } of await indexedDB.databases()) {
    const db = await new Promise((have) => { const asked = indexedDB.open(name); asked.onsuccess = () => have(asked.result) });
    for (const store of db.objectStoreNames)
      stores.push(...await new Promise((have) => { const asked = db.transaction(store).objectStore(store).getAll(); asked.onsuccess = () => have(asked.result) }));
    db.close();
  }
  return [stores.length, Object.entries(localStorage).length, (await caches.keys()).length, document.cookie, JSON.stringify(sessionStorage)];
}"""


@pytest.mark.parametrize("script", [pytest.param(SHUT, marks=pytest.mark.full), FULL], ids=["shut", "full"])
def test_where_nothing_can_be_kept_the_page_works_and_shows_what_was_made(
    browser: Browser, server: Server, script: str
) -> None:
    with visiting(browser, server.address) as visit:
        visit.context.add_init_script(script)
        page = visit.go("speak")
        choose(page, "various")
        speak(page, "Hello.")
        result(page, "whole")
        page.get_by_role("link", name="Draw").click()
        choose(page, "blocks")
        ask(page, "a house", "Draw")
        expect(seen(page, ".gallery li")).to_have_count(1)
        expect(page.get_by_text("This browser keeps nothing: download it now.")).to_be_visible()
        page.get_by_role("button", name="Colours: As the system").click()
        seen(page, "").get_by_role("button", name="Forget all", exact=True).click()
        seen(page, "").get_by_role("button", name="Forget all that this browser keeps").click()
        expect(seen(page, ".gallery li")).to_have_count(0)


@pytest.mark.full
def test_the_oldest_go_beyond_two_hundred_megabytes_and_forgetting_is_every_tabs(visit: Visit) -> None:
    page = visit.go("draw")
    rows = [["first", 80_000_000], ["second", 80_000_000], ["third", 50_000_000], ["fourth", 1], ["huge", 200_000_001]]
    told, kept, size = page.evaluate(ROWS, rows)
    assert [(one["gone"], one["why"]) for one in told] == [(0, None), (0, None), (1, None), (0, None), (0, "large")]
    assert kept == ["huge", "fourth", "third", "second"]
    assert size <= 200_000_000
    other = visit.open()
    other.goto(f"{visit.address}/#draw")
    expect(seen(other, ".gallery li")).to_have_count(3)
    seen(other, "").get_by_role("button", name="Forget all", exact=True).click()
    seen(other, "").get_by_role("button", name="Forget all that this browser keeps").click()
    expect(seen(other, ".gallery li")).to_have_count(0)
    expect(seen(page, ".gallery li")).to_have_count(1), "what is another tab's own stays there"
    assert page.evaluate(ALL_OF_IT)[0] == 0


def said(page: Page) -> str:
    return page.get_by_label("Text").input_value()


def test_two_tabs_do_not_disturb_each_other(visit: Visit, server: Server) -> None:
    page, other = visit.go("speak"), visit.open()
    other.goto(f"{visit.address}/#speak")
    for tab, model in ((page, "mouth"), (other, "various")):
        choose(tab, model)
    speak(page, "work 2000 0.05")
    result(page, "coming")
    speak(other, "Hello.")
    result(other, "whole")
    assert page.locator(".result").get_attribute("data-state") == "coming", "the other's call is not this one's"
    before = server.counted.count("cancelled")
    other.close()
    assert page.locator(".result").get_attribute("data-state") == "coming"
    assert server.counted.count("cancelled") == before
    page.get_by_role("button", name="Stop", exact=True).click()
    result(page, "stopped")
    page.reload()
    assert said(page) == "work 2000 0.05"
    expect(page.get_by_label("Model", exact=True)).to_have_value("mouth")


def test_nothing_of_the_microphone_is_kept_unless_it_is_saved(visit: Visit) -> None:
    page = visit.go("listen")
    choose(page, "counting")
    page.get_by_text("Options of counting").click()
    page.get_by_label("Said").fill("what was said")
    page.get_by_role("button", name="Record", exact=True).click()
    expect(page.get_by_role("timer")).not_to_have_text("0:00")
    page.get_by_role("button", name="Stop, and write it down").click()
    result(page, "whole")
    rows, local, caches, cookies, session = page.evaluate(ALL_OF_IT)
    assert (rows, local, caches, cookies) == (0, 0, 0, "")
    assert len(session) < 2000, "the words, not the sound"
    with page.expect_download() as saved:
        page.get_by_role("button", name="Save the recording").click()
    assert saved.value.suggested_filename == "recording.webm"
    assert saved.value.path().read_bytes()[:4] == b"\x1aE\xdf\xa3"
    page.reload()
    expect(page.get_by_text("choose it again to hear it")).to_be_visible()
    expect(page.locator("audio")).to_have_count(0)


@pytest.mark.full
def test_a_clock_that_is_set_changes_neither_order_nor_times(visit: Visit) -> None:
    visit.context.add_init_script(
        "let ahead = 0; const now = Date.now; Date.now = () => now() + (ahead -= 86_400_000);"
    )
    page = visit.go("draw")
    choose(page, "blocks")
    for number, prompt in enumerate(("one", "two"), start=1):
        ask(page, prompt, "Draw")
        expect(seen(page, ".gallery li")).to_have_count(number)
    assert seen(page, ".gallery .title").all_inner_texts() == ["two", "one"]


@pytest.mark.full
def test_a_recording_that_is_given_is_not_offered_to_be_saved(visit: Visit, recording: object) -> None:
    page = visit.go("listen")
    choose(page, "counting")
    give(page, recording)
    result(page, "whole")
    expect(page.get_by_role("button", name="Save the recording")).to_have_count(0)
