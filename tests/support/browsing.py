"""Debian's Chromium, for tests of the page: it sees the server of the test and nobody else, and whatever it complains of
is written down."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from npm_package import npm_package
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, expect, sync_playwright

AXE = "axe-core@4.14.1", "e6b0ce02b84d892e2e33e403485e7f3d6c29e2be6df65daf44d89ba564139745"
"""Checks of accessibility, MPL-2.0; for tests alone."""
PATIENCE = 150_000  # milliseconds
expect.set_options(timeout=PATIENCE)
_VIOLATIONS = """
addEventListener("securitypolicyviolation", (event) =>
  console.error(`CSP ${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber}`));
"""


@contextmanager
def chromium(*, microphone: Path | None = None) -> Iterator[Browser]:
    """The browser.

    Args:
        microphone: a WAV file that is spoken into its microphone again and again.
    """
    program = shutil.which("chromium")
    assert program is not None, "Chromium is needed: apt-get install chromium"
    arguments = ["--no-sandbox", "--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream", "--mute-audio"]
    arguments.append("--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1")  # without a hand in each request
    if microphone is not None:
        arguments.append(f"--use-file-for-fake-audio-capture={microphone}")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=arguments)
        try:
            yield browser
        finally:
            browser.close()


class Visit:
    """Somebody who looks at the page of a server.

    Attributes:
        page: Playwright's.
        complaints: what the browser said against the page: violations of its policy, errors, requests to others.
        requests: addresses that were asked for, in order.
    """

    def __init__(self, browser: Browser, address: str, **options: Any) -> None:
        self.address = address
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.expected: tuple[str, ...] = ()
        self.context: BrowserContext = browser.new_context(**{"reduced_motion": "reduce", **options})
        self.context.set_default_timeout(PATIENCE)
        self.context.add_init_script(_VIOLATIONS)
        self.context.on("request", self._pass)
        self.page = self.open()

    def open(self) -> Page:
        """Another tab."""
        page = self.context.new_page()
        page.on("console", self._hear)
        page.on("pageerror", lambda error: self.complaints.append(f"error: {error}"))
        return page

    def go(self, view: str = "") -> Page:
        """Show a view."""
        self.page.goto(f"{self.address}/{f'#{view}' if view else ''}")
        self.page.wait_for_selector("main h1:visible")
        return self.page

    def _pass(self, request: Request) -> None:
        self.requests.append(request.url)
        own = urlsplit(request.url).netloc == urlsplit(self.address).netloc
        if not own and not request.url.startswith(("blob:", "data:")):
            self.complaints.append(f"asks another host: {request.url}")

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not any(text in message.text for text in self.expected):
            self.complaints.append(f"{message.type}: {message.text}")

    def allow(self, *texts: str) -> None:
        """What the browser will complain of, and rightly: such as an answer with an error's status."""
        self.expected = texts


@contextmanager
def visiting(browser: Browser, address: str, **options: Any) -> Iterator[Visit]:
    """A visit, at whose end nothing was complained of."""
    visit = Visit(browser, address, **options)
    try:
        yield visit
        assert visit.complaints == [], visit.complaints
    finally:
        visit.context.close()


def barriers(visit: Visit) -> list[str]:
    """What axe finds serious or critical on the page as it is, in an isolated world that the page's policy is not for."""
    source = (npm_package(*AXE) / "axe.min.js").read_text("utf-8")
    session = visit.context.new_cdp_session(visit.page)
    frame = session.send("Page.getFrameTree")["frameTree"]["frame"]["id"]
    world = session.send("Page.createIsolatedWorld", {"frameId": frame, "worldName": "axe"})["executionContextId"]
    session.send("Runtime.evaluate", {"expression": f"{source};0", "contextId": world})
    told = session.send(
        "Runtime.evaluate",
        {
            "expression": "axe.run(document, {resultTypes: ['violations']}).then((found) => found.violations"
            ".filter((one) => ['serious', 'critical'].includes(one.impact))"
            ".map((one) => `${one.id}: ${one.nodes.map((node) => node.html).join(' | ')}`))",
            "contextId": world,
            "awaitPromise": True,
            "returnByValue": True,
        },
    )
    session.detach()
    assert "exceptionDetails" not in told, told
    found: list[str] = told["result"]["value"]
    return found
