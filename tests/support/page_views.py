"""What is done on the page again and again, for its tests."""

from __future__ import annotations

from playwright.sync_api import Locator, Page


def seen(page: Page, selector: str) -> Locator:
    """Of the view that is shown."""
    return page.locator(f"main > div:not([hidden]) {selector}")


def choose(page: Page, model: str) -> None:
    """Choose a model, and wait for what it takes."""
    seen(page, "aside select").first.select_option(model)
    about = seen(page, "aside")
    about.get_by_text(f"Options of {model}").or_(about.get_by_text(f"{model} has no further options")).wait_for()


def speak(page: Page, text: str) -> None:
    """Let Speak speak."""
    page.get_by_label("Text").fill(text)
    page.get_by_role("button", name="Speak", exact=True).click()


def give(page: Page, file: object) -> None:
    """Choose a file in the view that is shown."""
    seen(page, "input[type=file]").first.set_input_files(file)  # type: ignore[arg-type]


def ask(page: Page, prompt: str, button: str) -> None:
    """Have something made of a prompt."""
    seen(page, "textarea.big").fill(prompt)
    seen(page, ".work").get_by_role("button", name=button, exact=True).first.click()


def result(page: Page, state: str, number: int = 0) -> None:
    """Wait for a result in a state; one that failed instead is said."""
    ended = seen(page, f".result[data-state={state}]").or_(seen(page, ".result[data-state=failed]")).nth(number)
    ended.wait_for()
    assert ended.get_attribute("data-state") == state, ended.inner_text()


def content(page: Page, kind: str) -> bytes:
    """What the newest result of the gallery holds."""
    with page.expect_download() as downloaded:
        seen(page, ".gallery li").first.get_by_role("button", name=kind, exact=True).click()
    return downloaded.value.path().read_bytes()
