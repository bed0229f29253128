"""English numbers as they are said; several ways where people and engines differ."""

from __future__ import annotations

_ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
).split()
_TENS = "zero ten twenty thirty forty fifty sixty seventy eighty ninety".split()
_GROUPS = ("", "thousand", "million", "billion", "trillion", "quadrillion")
_ORDINAL = {
    "one": "first", "two": "second", "three": "third", "five": "fifth", "eight": "eighth", "nine": "ninth",
    "twelve": "twelfth",
}  # fmt: skip
LARGEST = 1000 ** len(_GROUPS) - 1

Words = list[str]


def cardinal(number: int, joint: str = "") -> Words:
    """A number up to ``LARGEST``; ``joint`` stands between hundreds and what follows them ("and")."""
    if number < 1000:
        return _below_thousand(number, joint)
    words: Words = []
    for n in range(len(_GROUPS) - 1, -1, -1):
        group = number // 1000**n % 1000
        if group:
            if words and joint and n == 0 and group < 100:
                words.append(joint)
            words += [*_below_thousand(group, joint), *filter(None, (_GROUPS[n],))]
    return words


def _below_thousand(number: int, joint: str) -> Words:
    if number < 20:
        return [_ONES[number]]
    if number < 100:
        return [_TENS[number // 10], *([_ONES[number % 10]] if number % 10 else [])]
    rest = number % 100
    return [_ONES[number // 100], "hundred", *([*filter(None, (joint,)), *_below_thousand(rest, "")] if rest else [])]


def ordinal(words: Words) -> Words:
    """The ordinal of a cardinal number."""
    last = words[-1]
    made = _ORDINAL.get(last) or (last[:-1] + "ieth" if last.endswith("y") else last + "th")
    return [*words[:-1], made]


def plural(words: Words) -> Words:
    """As in "the nineties"."""
    last = words[-1]
    return [*words[:-1], last[:-1] + "ies" if last.endswith("y") else last + ("es" if last.endswith("x") else "s")]


def digits(text: str) -> Words:
    """One digit after the other."""
    return [_ONES[int(digit)] for digit in text]


def ways(text: str) -> list[Words]:
    """How a row of digits is said: as a number, as a year, as a telephone number."""
    number = int(text)
    found = [digits(text), [w if w != "zero" else "oh" for w in digits(text)]]
    if number <= LARGEST and (text == "0" or text[0] != "0"):
        found = [cardinal(number), cardinal(number, "and"), *found]
    if len(text) == 4 and text[0] != "0":
        high, low = divmod(number, 100)
        if low:
            tens = [*(["oh"] if low < 10 else []), *cardinal(low)]
            found += [[*cardinal(high), *tens]]
            if high % 10:
                found += [
                    [*cardinal(high), "hundred", *cardinal(low)],
                    [*cardinal(high), "hundred", "and", *cardinal(low)],
                ]
        elif high % 10:
            found.append([*cardinal(high), "hundred"])
    return found
