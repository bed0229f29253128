"""Draw, Compose, Film and Server on the page: Chromium, a real server, the examples, and engines that write things down."""

from __future__ import annotations

import io
from collections.abc import Iterator

import numpy as np
import pytest
from browsing import Visit, barriers, chromium, visiting
from lollms_server.room.keys import Keys
from lollms_shell import wait_until
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, expect
from serving import Server, serving

CONFIGURATION = """
[serve]
keys_file = KEYS
[models.blocks]
binding = "example"
modality = "tti"
isolated = false
[models.eyes]
binding = "counting"
modality = "tti"
isolated = false
[models.chord]
binding = "example"
modality = "ttm"
isolated = false
[models.films]
binding = "counting"
modality = "ttv"
isolated = false
[models.flicker]
binding = "example"
modality = "ttv"
isolated = false
"""
HOSTILE = "A <img src=x onerror=alert(1)> lighthouse \u202e{{in}} a storm"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("server"), CONFIGURATION) as running:
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture
def visit(browser: Browser, server: Server) -> Iterator[Visit]:
    with visiting(browser, server.address) as made:
        yield made


def seen(page: Page, selector: str) -> Locator:
    """Of the view that is shown."""
    return page.locator(f"main > div:not([hidden]) {selector}")


def choose(page: Page, model: str) -> None:
    seen(page, "aside select").first.select_option(model)
    seen(page, "aside").get_by_text(f"ptions of {model}").or_(
        seen(page, "aside").get_by_text(f"{model} has no further")
    ).wait_for()


def ask(page: Page, prompt: str, button: str) -> None:
    seen(page, "textarea.big").fill(prompt)
    seen(page, ".work").get_by_role("button", name=button, exact=True).first.click()


def content(page: Page, kind: str) -> bytes:
    """What the newest result of the gallery holds."""
    with page.expect_download() as downloaded:
        seen(page, ".gallery li").first.get_by_role("button", name=kind, exact=True).click()
    return downloaded.value.path().read_bytes()


def running(server: Server) -> list[str]:
    jobs = server.ask("GET", "/lollms/v2/jobs").json["data"]
    return [job["id"] for job in jobs if job["status"] in ("queued", "in_progress")]


def test_an_image_is_drawn_kept_and_drawn_again_from_its_seed(visit: Visit) -> None:
    page = visit.go("draw")
    choose(page, "blocks")
    seen(page, "aside").get_by_label("Width").first.fill("64")
    seen(page, "aside").get_by_label("Height").first.fill("48")
    ask(page, HOSTILE, "Draw")
    row = seen(page, ".gallery li")
    expect(row).to_have_count(1)
    expect(row.locator(".title")).to_have_text(HOSTILE)
    assert page.locator("main img[src='x']").count() == 0, "text is text"
    first = content(page, "png")
    assert Image.open(io.BytesIO(first)).size == (64, 48)
    row.get_by_text("How it was made").click()
    expect(row.locator("dl")).to_contain_text("64")
    page.reload()
    page.wait_for_selector("main h1:visible")
    expect(seen(page, ".gallery li")).to_have_count(1)
    expect(seen(page, "textarea.big")).to_have_value(HOSTILE)
    seen(page, ".gallery li").get_by_role("button", name="Again with the same seed").click()
    assert seen(page, "aside").get_by_label("Seed").first.input_value() != ""
    ask(page, HOSTILE, "Draw")
    expect(seen(page, ".gallery li")).to_have_count(2)
    again = content(page, "png")
    assert np.array_equal(Image.open(io.BytesIO(first)), Image.open(io.BytesIO(again)))
    assert barriers(visit) == []
    seen(page, "").get_by_role("button", name="Forget all", exact=True).click()
    seen(page, "").get_by_role("button", name="Forget all that this browser keeps").click()
    expect(seen(page, ".gallery li")).to_have_count(0)


def test_an_image_is_changed_where_it_is_painted_over(visit: Visit) -> None:
    page = visit.go("draw")
    choose(page, "blocks")
    buffer = io.BytesIO()
    Image.new("RGB", (128, 128), "#808080").save(buffer, "PNG")
    picture = {"name": "grey.png", "mimeType": "image/png", "buffer": buffer.getvalue()}
    seen(page, "input[type=file]").first.set_input_files(picture)  # type: ignore[arg-type]
    canvas = seen(page, ".mask canvas")
    canvas.wait_for()
    box = canvas.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 5, box["y"] + box["height"] / 4)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] - 5, box["y"] + box["height"] / 4)
    page.mouse.up()
    ask(page, "a veil", "Change it")
    expect(seen(page, ".gallery li")).to_have_count(1)
    made = np.asarray(Image.open(io.BytesIO(content(page, "png"))).convert("RGB"), np.int16)
    changed = np.abs(made - 128).max(axis=2) > 8
    assert changed[30:34].mean() > 0.5, "where it was painted"
    assert not changed[100:].any(), "and nowhere else"
    assert barriers(visit) == []


def test_stop_reaches_the_engine_that_draws(visit: Visit, server: Server) -> None:
    page = visit.go("draw")
    choose(page, "eyes")
    before = server.counted.count("cancelled")
    ask(page, "work 2000 0.05", "Draw")
    seen(page, "progress").wait_for()
    seen(page, ".work").get_by_role("button", name="Stop", exact=True).click()
    expect(seen(page, ".result[data-state=stopped]")).to_be_visible()
    wait_until(lambda: server.counted.count("cancelled") > before)


def test_music_is_composed(visit: Visit) -> None:
    page = visit.go("compose")
    seen(page, "aside").get_by_label("Duration").first.fill("0.5")
    ask(page, "a slow waltz", "Compose")
    expect(seen(page, ".gallery audio")).to_have_count(1)
    assert content(page, "wav")[:4] == b"RIFF"
    assert barriers(visit) == []


def test_a_film_goes_on_when_the_page_is_loaded_anew_and_can_be_stopped(visit: Visit, server: Server) -> None:
    page = visit.go("film")
    choose(page, "films")
    ask(page, "work 100000", "Film")
    wait_until(lambda: len(running(server)) == 1)
    page.reload()
    page.wait_for_selector("main h1:visible")
    expect(seen(page, "progress")).to_be_visible()
    assert len(running(server)) == 1, "it is not asked for once more"
    before = server.counted.count("cancelled")
    seen(page, ".work").get_by_role("button", name="Stop", exact=True).click()
    wait_until(lambda: server.counted.count("cancelled") > before)
    expect(seen(page, ".result[data-state=stopped]")).to_be_visible()
    choose(page, "flicker")
    ask(page, "a boat", "Film")
    expect(seen(page, ".gallery video")).to_have_count(1)
    assert content(page, "mp4")[4:8] == b"ftyp"
    assert barriers(visit) == []


def test_a_failing_engine_is_told_and_nothing_is_kept(visit: Visit) -> None:
    visit.allow("status of 500", "status of 400")
    page = visit.go("film")
    choose(page, "films")
    ask(page, "fail", "Film")
    expect(seen(page, ".problem").first).to_be_visible()
    expect(seen(page, ".gallery li")).to_have_count(0)


def test_the_server_is_watched_loaded_and_its_jobs_taken_away(
    browser: Browser, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("keyed")
    key = Keys(folder / "keys.json").add("boss", role="admin")
    headers = {"Authorization": f"Bearer {key}"}
    with serving(folder, CONFIGURATION) as server, visiting(browser, server.address) as visit:
        visit.allow("status of 401")
        page = visit.page
        page.goto(f"{server.address}/#server")
        page.get_by_label("Key", exact=True).fill(key)
        page.get_by_role("button", name="Use this key").click()
        row = seen(page, "[data-model=blocks]")
        row.get_by_role("button", name="Load", exact=True).click()
        expect(row.get_by_role("button", name="Unload")).to_be_visible()
        told = server.ask("GET", "/lollms/v2/bindings", headers=headers).json["data"]
        assert next(one for one in told if one["name"] == "blocks")["loaded"]
        row.get_by_role("button", name="Settings").click()
        row.get_by_label("Keep alive").fill("77")
        row.get_by_role("button", name="Set", exact=True).click()
        expect(row.get_by_label("Keep alive")).to_have_attribute("placeholder", "77 if left empty")
        prompt = {"arguments": {"prompt": "work 100000"}}
        path = "/lollms/v2/bindings/ttv/films/verbs/generate_video"
        job = server.ask("POST", path, prompt, {**headers, "Prefer": "respond-async"}).json
        line = seen(page, "li[data-status=in_progress]")
        line.wait_for()
        assert barriers(visit) == []
        line.get_by_role("button", name="Stop").click()
        line = seen(page, "li[data-status=cancelled]")
        line.wait_for()
        assert server.ask("GET", f"/lollms/v2/jobs/{job['id']}", headers=headers).json["status"] == "cancelled"
        line.get_by_role("button", name="Delete").click()
        expect(line).to_have_count(0)
        assert server.ask("GET", f"/lollms/v2/jobs/{job['id']}", headers=headers).status == 404


@pytest.mark.full
@pytest.mark.parametrize("width", [360, 2560])
def test_nothing_is_wider_than_the_screen(browser: Browser, server: Server, width: int) -> None:
    with visiting(browser, server.address, viewport={"width": width, "height": 800}) as visit:
        for view in ("draw", "compose", "film", "server"):
            page = visit.go(view)
            assert page.evaluate("document.documentElement.scrollWidth") <= width, view
