"""Forms of schemas that no binding of ours has."""

from __future__ import annotations

import json
from typing import Any

import pytest
from browsing import Visit
from page_views import choose, seen, speak
from serving import Server
from various_options import HOSTILE

RING = {"type": "array", "items": {"$ref": "#/$defs/Ring"}}
TREE = {"anyOf": [{"$ref": "#/$defs/Tree"}, {"type": "array", "items": {"$ref": "#/$defs/Tree"}}, {"type": "null"}]}
ODD: dict[str, Any] = {
    "no_title": {"type": "string"},
    "mixed": {"enum": [1, "two", None, 2.5, True, {"a": [1]}]},
    "nested": {"type": "array", "items": {"type": "array", "items": {"type": "integer"}}},
    "pair": {"type": "array", "prefixItems": [{"type": "number"}, {"type": "string"}]},
    "ring": {"$ref": "#/$defs/Ring"},
    "tree": {"$ref": "#/$defs/Tree"},
    "loop": {"$ref": "#/$defs/Loop"},
    "wide": {"anyOf": [{"$ref": "#/$defs/Tree"}] * 60},
    "nowhere": {"$ref": "#/$defs/nothing/here"},
    "escaped": {"$ref": "#/$defs/a~1b%20c"},
    "several": {"allOf": [{"type": "integer"}, {"minimum": 3}]},
    "of_lists": {"type": ["array", "object"]},
    "title_of_another_kind": {"title": {"a": 1}, "description": [3], "type": "string", "default": {"b": 2}},
    "limits": {"type": "number", "minimum": "none", "maximum": None, "multipleOf": -1, "maxLength": "x"},
    "always": True,
    "never": False,
    "nothing": None,
    "list": [],
    "constant": {"const": [1, 2]},
    "many": {"enum": [f"choice {n}" for n in range(10_000)]},
    "__proto__": {"type": "integer"},
    "constructor": {"type": "integer"},
    HOSTILE: {"type": "boolean", "title": HOSTILE, "description": HOSTILE},
}
SCHEMA = {
    "properties": ODD,
    "required": "no list",
    "$defs": {"Ring": RING, "Tree": TREE, "Loop": {"$ref": "#/$defs/Loop"}, "a/b c": {"type": "integer"}},
}
ENDS = 'data: {"type": "done", "provenance": null}\n\n'


def given(visit: Visit, server: Server, schema: dict[str, Any]) -> list[dict[str, Any]]:
    """Let the model `various` have that schema; what it is asked for comes into the list, and is answered with nothing."""
    told = server.ask("GET", "/lollms/v2/bindings/tts/various").json | {"options_schema": schema}
    # Python's JSON keeps "__proto__" as the plain name that it is.
    visit.context.route("**/bindings/tts/various", lambda route: route.fulfill(json=told))
    asked: list[dict[str, Any]] = []

    def take(route: Any) -> None:
        asked.append(json.loads(route.request.post_data)["arguments"])
        route.fulfill(content_type="text/event-stream", body=ENDS)

    visit.context.route("**/verbs/stream_audio", take)
    return asked


def test_odd_schemas_become_forms_that_can_be_filled_in(visit: Visit, server: Server) -> None:
    asked = given(visit, server, SCHEMA)
    page = visit.go("speak")
    choose(page, "various")
    page.get_by_text("Options of various").click()
    fields = seen(page, ".fields")
    fields.get_by_label("No title", exact=True).fill("x")
    fields.get_by_label("Mixed").select_option('{"a":[1]}')
    fields.get_by_label("Nested").fill("[[1, 2], []]")
    fields.get_by_label("Pair").fill('[1, "a"]')
    fields.get_by_label("Ring").fill("[[], [[]]]")
    fields.get_by_label("Tree").fill("[null]")
    fields.get_by_label("Escaped").fill("4")
    fields.get_by_label("Several").fill("7")
    fields.get_by_label("Many").select_option("choice 9999")
    fields.get_by_label("Proto").fill("5")
    fields.get_by_label("Constructor", exact=True).fill("6")
    assert fields.locator(".field").count() == len(ODD)
    speak(page, "Hello.")
    seen(page, ".result[data-state=whole]").wait_for()
    assert asked == [
        {
            "text": "Hello.", "no_title": "x", "mixed": {"a": [1]}, "nested": [[1, 2], []], "pair": [1, "a"],
            "ring": [[], [[]]], "tree": [None], "escaped": 4, "several": 7, "many": "choice 9999", "__proto__": 5,
            "constructor": 6,
        }
    ]  # fmt: skip
    assert page.locator("main img").count() == 0
    assert page.title() == "Speak · lollms"
    assert page.evaluate("({}).polluted === undefined && Object.keys(Object.prototype).length === 0")


@pytest.mark.full
def test_of_ten_thousand_options_those_are_shown_that_are_sought(visit: Visit, server: Server) -> None:
    schema = {"properties": {f"option_{n}": {"type": "integer"} for n in range(10_000)}}
    asked = given(visit, server, schema)
    page = visit.go("speak")
    choose(page, "various")
    page.get_by_text("Options of various").click()
    page.get_by_label("Find an option").fill("option 7777")
    page.get_by_label("Option 7777").fill("3")
    page.get_by_text("1 of 10000 are shown.").wait_for()
    page.get_by_label("Find an option").fill("")
    speak(page, "Hello.")
    seen(page, ".result[data-state=whole]").wait_for()
    assert asked == [{"text": "Hello.", "option_7777": 3}]


@pytest.mark.full
@pytest.mark.parametrize("kept", ["7", "null", "[]", '{"rounds": {"a": 1}, "mood": "gone", "bright": "x"}', "{"])
def test_what_another_version_kept_is_no_hindrance(visit: Visit, server: Server, kept: str) -> None:
    visit.context.add_init_script(
        f"for (const name of ['text', 'voice.various', 'options.various', 'light'])"
        f" sessionStorage.setItem(`lollms.speak.${{name}}`, {json.dumps(kept)})"
    )
    visit.allow("status of 400")
    page = visit.go("speak")
    choose(page, "various")
    page.get_by_text("Options of various").click()
    page.get_by_label("Rounds").fill("3")
    speak(page, "Hello.")
    seen(page, ".result[data-state=whole]").wait_for()


def test_a_limit_that_nobody_meets_is_not_told(visit: Visit, server: Server) -> None:
    limits = {"few": 7, "most": 2**31 - 1, "format": 2**63 - 1}
    given(
        visit, server, {"properties": {n: {"type": "integer", "minimum": 1, "maximum": m} for n, m in limits.items()}}
    )
    page = visit.go("speak")
    choose(page, "various")
    page.get_by_text("Options of various").click()
    fields = seen(page, ".fields")
    fields.get_by_role("spinbutton", name="Few").wait_for()
    told = fields.inner_text()
    assert "1 to 7" in told
    assert "2147483647" not in told
    assert "922337" not in told
