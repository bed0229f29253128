"""How a word that no dictionary has is pronounced, guessed from its letters.

Rules in the manner of those that speech synthesis began with (H. S. Elovitz and others, "Automatic Translation of
English Text to Phonetics by Means of Letter-to-Sound Rules", NRL Report 7948, 1976), far fewer: an aligner needs to
know roughly how long a word is and what it begins with. Phones are those of the CMU dictionary, without stress.
"""

from __future__ import annotations

import re

# The first rule that fits at a place is taken. A rule's letters may end with $, the end of the word.
_RULES: tuple[tuple[str, str], ...] = tuple(
    (letters, phones)
    for rule in """
    tion:SH AH N|sion:ZH AH N|ture:CH ER|ough:AO|augh:AO|eigh:EY|igh:AY|tch:CH|dge:JH|sch:SH|cious:SH AH S|tious:SH AH S
    que$:K|gue$:G|ious:IY AH S|ous:AH S|ing$:IH NG|ism:IH Z AH M|ed$:D|es$:Z|le$:AH L|age$:IH JH
    ch:CH|sh:SH|th:TH|ph:F|wh:W|gh:G|kn:N|wr:R|ps:S|ck:K|qu:K W|ng:NG|nk:NG K|sc:S K|rh:R|gn:N
    ai:EY|ay:EY|au:AO|aw:AO|ar:AA R|ea:IY|ee:IY|ei:EY|eu:UW|ew:UW|ey:IY|er:ER|ie:IY|ir:ER|oa:OW|oe:OW|oi:OY|oo:UW|ou:AW
    ow:OW|oy:OY|or:AO R|ur:ER|ui:UW|ue:UW|ia:IY AH|io:IY OW
    bb:B|cc:K|dd:D|ff:F|gg:G|ll:L|mm:M|nn:N|pp:P|rr:R|ss:S|tt:T|zz:Z
    ce:S|ci:S IH|cy:S IY|ge$:JH|gi:JH IH|gy:JH IY|y$:IY|e$:|x:K S
    a:AE|b:B|c:K|d:D|e:EH|f:F|g:G|h:HH|i:IH|j:JH|k:K|l:L|m:M|n:N|o:AA|p:P|q:K|r:R|s:S|t:T|u:AH|v:V|w:W|y:IH|z:Z
    """.replace("\n", "|").split("|")
    for letters, colon, phones in [rule.strip().partition(":")]
    if colon
)
_MAGIC = re.compile(r"([aeiou])([bcdfgklmnprstvz])e$")  # as in "name": the vowel has its own name
_LONG = {"a": "EY", "e": "IY", "i": "AY", "o": "OW", "u": "UW"}
_VOICELESS = frozenset("P T K F TH".split())
_SIBILANT = frozenset("S Z SH ZH CH JH".split())
_SOUNDS = frozenset("AA AE AH AO AW AY EH ER EY IH IY OW OY UH UW".split())


def guessed(word: str) -> str:
    """The phones of a word of Latin letters, with blanks between them; "" for none."""
    letters = "".join(c for c in word.lower() if "a" <= c <= "z")
    phones: list[str] = []
    end = ""
    if (found := _MAGIC.search(letters)) is not None:
        end = f"{_LONG[found[1]]} {_spoken(found[2])}"
        letters = letters[: found.start()]
    at = 0
    while at < len(letters):
        for rule, said in _RULES:
            bare = rule.rstrip("$")
            if letters.startswith(bare, at) and (bare == rule or (not end and at + len(bare) == len(letters))):
                phones += said.split()
                at += len(bare)
                break
    phones += end.split()
    if word and (phones or at) and not _SOUNDS.intersection(phones):
        phones.append("AH")
    return " ".join(phones)


def _spoken(letter: str) -> str:
    return {"c": "S", "g": "JH", "s": "Z"}.get(letter) or next(said for rule, said in _RULES if rule == letter)


def possessive(phones: str) -> str:
    """The phones of a word with "'s"."""
    last = phones.split()[-1]
    return f"{phones} {'IH Z' if last in _SIBILANT else 'S' if last in _VOICELESS else 'Z'}"
