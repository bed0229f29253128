"""Draw, Compose, Film and Server on the page: Chromium, a real server, the examples, and engines that write things down."""

from __future__ import annotations

import io
import re

import numpy as np
import pytest
from browsing import Visit, barriers, visiting
from lollms_shell import wait_until
from page_served import Keyed
from page_views import ask, choose, content, give, seen
from PIL import Image
from playwright.sync_api import Browser, expect
from serving import Server

HOSTILE = "A <img src=x onerror=alert(1)> lighthouse \u202e{{in}} a storm"


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
    drew, before = (server.counted.count(word) for word in ("drew", "cancelled"))
    ask(page, "work 2000 0.05", "Draw")
    wait_until(lambda: server.counted.count("drew") > drew)
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


@pytest.mark.full
def test_a_film_goes_on_when_the_page_is_loaded_anew_and_can_be_stopped(visit: Visit, server: Server) -> None:
    page = visit.go("film")
    choose(page, "films")
    filmed = server.counted.count("filmed")
    ask(page, "work 100000", "Film")
    wait_until(lambda: server.counted.count("filmed") > filmed)
    assert len(running(server)) == 1
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


def test_the_server_is_watched_loaded_and_its_jobs_taken_away(browser: Browser, keyed: Keyed) -> None:
    server, key = keyed.server, keyed.admin
    headers = {"Authorization": f"Bearer {key}"}
    with visiting(browser, server.address) as visit:
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


def test_an_image_is_seen_while_it_comes_unless_that_is_not_wanted(visit: Visit) -> None:
    page = visit.go("draw")
    choose(page, "eyes")
    ask(page, "work 100000", "Draw")
    preview = seen(page, "img[alt='What it looks like so far']")
    preview.wait_for()
    assert preview.evaluate("(image) => image.decode().then(() => image.naturalWidth)") == 32
    stop = seen(page, ".work").get_by_role("button", name="Stop", exact=True)
    stop.click()
    seen(page, ".result[data-state=stopped]").wait_for()
    expect(preview).to_have_count(0)
    seen(page, "aside").get_by_label("Previews").uncheck()
    ask(page, "work 100000", "Draw")
    expect(seen(page, ".result")).to_contain_text("100 %")
    expect(preview).to_have_count(0)
    stop.click()
    seen(page, ".result[data-state=stopped]").wait_for()


def test_the_time_that_is_left_is_none_that_the_engine_cannot_keep(visit: Visit) -> None:
    page = visit.go("film")
    choose(page, "films")
    steps, step = 100_000, 0.01  # seconds, that each takes at least
    ask(page, f"work {steps}", "Film")
    told = seen(page, ".result").get_by_text(re.compile(r"^about .* left$")).last
    told.wait_for()

    def can_be_kept() -> bool:
        *hours, minutes, seconds = (int(part) for part in told.inner_text().split(" ")[1].split(":"))
        left = sum(hours) * 3600 + minutes * 60 + seconds
        done = float(seen(page, "progress").get_attribute("value") or 0)
        return left >= (1 - done) * steps * step * 0.9

    wait_until(can_be_kept)  # the first reports may come late, and then the next ones close behind them
    seen(page, ".work").get_by_role("button", name="Stop", exact=True).click()
    seen(page, ".result[data-state=stopped]").wait_for()


def test_the_pace_is_that_of_late_and_of_one_stage(visit: Visit) -> None:
    page = visit.go("film")
    told = page.evaluate(
        """async () => {
          const { Pace } = await import(new URL("lib/pace.js", document.querySelector("script[src]").src));
          let now = 0;
          const pace = new Pace(() => now);
          const at = (seconds, stage, fraction) => { now = seconds * 1000; return pace.left(stage, fraction) };
          const even = [0, 1, 2, 3, 4].map((n) => at(n, "draw", n / 10));
          const slower = [10, 20, 30, 40].map((n, i) => at(n, "draw", (5 + i) / 10)).at(-1);
          const other = [41, 42, 43].map((n, i) => at(n, "decode", i / 10));
          const back = at(44, "decode", 0.05);
          const unknown = at(45, "decode", null);
          return { even, slower, other, back, unknown };
        }"""
    )
    assert told["even"][:2] == [None, None]
    assert told["even"][2:] == pytest.approx([8, 7, 6])
    assert told["slower"] == pytest.approx(20), "the last steps took ten seconds each"
    assert told["other"][:2] == [None, None]
    assert told["other"][2] == pytest.approx(8)
    assert told["back"] is None
    assert told["unknown"] is None


def test_an_image_is_enlarged_and_cut_out_where_the_model_can(visit: Visit) -> None:
    page = visit.go("draw")
    choose(page, "blocks")
    buffer = io.BytesIO()
    picture = Image.new("RGB", (40, 20), "#ffffff")
    picture.paste("#aa0000", (10, 5, 30, 15))
    picture.save(buffer, "PNG")
    given = {"name": "a <b>red</b> field.png", "mimeType": "image/png", "buffer": buffer.getvalue()}
    give(page, given)
    page.get_by_text("Enlarge", exact=True).click()
    expect(seen(page, "textarea.big")).to_have_count(0)
    expect(seen(page, ".mask canvas")).to_have_count(0)
    seen(page, "aside").get_by_label("Scale").first.fill("3")
    seen(page, ".work").get_by_role("button", name="Enlarge it").click()
    expect(seen(page, ".gallery li")).to_have_count(1)
    expect(seen(page, ".gallery .title")).to_have_text("a <b>red</b> field.png, enlarged")
    assert Image.open(io.BytesIO(content(page, "png"))).size == (120, 60)
    page.get_by_text("Cut out", exact=True).click()
    seen(page, ".work").get_by_role("button", name="Cut it out").click()
    expect(seen(page, ".gallery li")).to_have_count(2)
    made = Image.open(io.BytesIO(content(page, "png")))
    assert (made.size, made.mode) == ((40, 20), "RGBA")
    assert made.getpixel((0, 0))[3] == 0  # type: ignore[index]
    assert made.getpixel((20, 10)) == (170, 0, 0, 255)
    expect(seen(page, ".gallery").get_by_role("button", name="Again")).to_have_count(0)
    choose(page, "eyes")
    expect(seen(page, ".kinds")).to_have_count(0)
    expect(seen(page, ".work").get_by_role("button", name="Change it", exact=True).first).to_be_visible()
    assert barriers(visit) == []
