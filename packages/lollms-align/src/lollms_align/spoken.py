"""What is said for each word of a written English text: numbers, marks, abbreviations, letters one by one."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable
from itertools import product

from lollms_align.numbers import LARGEST, Words, cardinal, digits, ordinal, plural, ways

_MOST = 24  # ways to say one word
_PART = re.compile(
    r"(?P<letters>(?:[^\W\d_]\.){2,})|(?P<number>\d+(?:,\d{3})*(?:\.\d+)?)|(?P<word>[^\W\d_]+(?:['’][^\W\d_]+)*)|(?P<mark>\S)"
)
_ORDINAL = re.compile(r"(\d+)(?:st|nd|rd|th)", re.IGNORECASE)
_DECADE = re.compile(r"['’]?(\d+)['’]?s")
_NEGATIVE = re.compile(r"-\d")
_AROUND = "\"'“”‘’«»()[]{}<>…,;:!?"
_MONEY = re.compile(r"([$€£¥])(\d[\d,]*)(?:\.(\d\d))?")
_COINS = {"$": ("dollar", "cent"), "€": ("euro", "cent"), "£": ("pound", "penny"), "¥": ("yen", "sen")}


def _table(text: str) -> dict[str, list[Words]]:
    """What is said for a mark or a short word: ``mark one way|another``; "-" is nothing."""
    return {
        name: [[] if way == "-" else way.split() for way in says.split("|")]
        for entry in text.split(";")
        for name, _, says in [entry.strip().partition(" ")]
    }


_MARKS = _table("""
    & and; % percent|per cent; + plus|-; = equals|equal|-; @ at; # hash|number|-; ° degrees|degree; * star|asterisk|-;
    / slash|-; § section; × times; ÷ divided by; − minus; < less than|-; > greater than|-; ~ tilde|-; _ underscore|-;
    $ dollar|dollars; € euro|euros; £ pound|pounds; ½ one half|a half; © copyright
""")
_SHORT = _table("""
    dr doctor|drive; mr mister; mrs missus; ms miss; st saint|street; prof professor; jr junior; sr senior; vs versus;
    etc et cetera; no no|number; ave avenue; approx approximately; dept department; e.g for example; i.e that is;
    kg kilograms|kilogram; km kilometers|kilometer; cm centimeters|centimeter
""")


def ways_to_say(token: str, known: Callable[[str], bool]) -> list[Words]:
    """How a word with the marks around it may be said: lists of words in small letters. An empty list: not at all.

    Args:
        token: the word as it is written.
        known: whether the dictionary has a word.
    """
    text = _latin(token.strip())
    bare = text.strip(_AROUND).rstrip("-–—")
    bare = bare.lstrip("-–—") if not _NEGATIVE.match(bare) else bare
    short = _SHORT.get(bare.rstrip(".").lower())
    found: list[Words] = []
    if short is not None:
        found += short
    if (match := _ORDINAL.fullmatch(bare.rstrip("."))) and int(match[1]) <= LARGEST:
        return _distinct(ordinal(cardinal(int(match[1]), joint)) for joint in ("", "and"))
    if match := _DECADE.fullmatch(bare):
        return [plural(words) for words in ways(match[1])] + [plural(cardinal(int(match[1]))[-1:])]
    if match := _MONEY.fullmatch(bare.rstrip(".")):
        found += _money(match)
    found += _by_parts(bare, known)
    return _distinct(found)[:_MOST] or [[]]


def _latin(text: str) -> str:
    """Without accents, and with the digits of other scripts as ours."""
    parted = unicodedata.normalize("NFKD", text)
    kept = (c for c in parted if not unicodedata.combining(c))
    return "".join(str(unicodedata.digit(c)) if c.isdigit() else c for c in kept)


def _by_parts(text: str, known: Callable[[str], bool]) -> list[Words]:
    if known(text.lower()) and not any(map(str.isdigit, text)):
        return [[text.lower()]]
    choices: list[list[Words]] = []
    before = ""
    for part in _PART.finditer(text):
        if part["letters"]:
            choices.append([[c.lower() for c in part["letters"] if c != "."]])
        elif part["number"]:
            choices.append(_number(part["number"]))
        elif part["word"]:
            choices.append(_word(part["word"], known))
        elif part["mark"] == "-":
            numeric = text[part.end() : part.end() + 1].isdigit()
            choices.append([[], *([["minus"], ["negative"], ["to"], ["dash"]] if numeric else [])])
        elif part["mark"] == "." and before.isalnum() and text[part.end() : part.end() + 1].isalnum():
            choices.append([["dot"], ["point"], []])
        else:
            choices.append(_MARKS.get(part["mark"], [[]]))
        before = part[0][-1]
    if not choices:
        return []
    made: list[Words] = []
    for way in product(*(choice[:6] for choice in choices[:12])):
        made.append([word for words in way for word in words])
        if len(made) >= _MOST:
            break
    return made


def _word(word: str, known: Callable[[str], bool]) -> list[Words]:
    small = word.lower().replace("’", "'")
    if known(small):
        return [[small]]
    found: list[Words] = [[small]]
    if "'" not in small and len(small) <= 5 and (word.isupper() or not set(small) & set("aeiouy")):
        found.insert(0, list(small))
    return found


def _number(text: str) -> list[Words]:
    whole, _, part = text.replace(",", "").partition(".")
    if not part:
        return ways(whole)
    beginnings = [cardinal(int(whole))] if int(whole) <= LARGEST else [digits(whole)]
    endings = [digits(part), *([cardinal(int(part))] if len(part) < 4 and part[0] != "0" else [])]
    return [[*begin, "point", *end] for begin in beginnings for end in endings]


def _money(match: re.Match[str]) -> Iterable[Words]:
    coin, small_coin = _COINS[match[1]]
    number = int(match[2].replace(",", ""))
    for words in ways(str(number))[:2]:
        yield [coin, *words]
        names = [coin] if number == 1 or coin == "yen" else [coin + "s"]
        for name in names:
            if not match[3]:
                yield [*words, name]
                continue
            cents = cardinal(int(match[3]))
            yield [*words, name, *cents]
            yield [*words, name, "and", *cents, small_coin + "s" if small_coin == "cent" else small_coin]
            yield [coin, *words, "point", *digits(match[3])]


def _distinct(found: Iterable[Words]) -> list[Words]:
    return [list(words) for words in dict.fromkeys(map(tuple, found))]
