"""The languages that Whisper knows, by the codes and the names that people give them."""

from __future__ import annotations

from collections.abc import Iterable

from lollms_modalities.errors import OptionError

# Whisper's codes (https://github.com/openai/whisper) and the languages' English names, some of which have several.
_NAMES = """
af afrikaans, am amharic, ar arabic, as assamese, az azerbaijani, ba bashkir, be belarusian, bg bulgarian,
bn bengali/bangla, bo tibetan, br breton, bs bosnian, ca catalan/valencian, cs czech, cy welsh, da danish, de german,
el greek, en english, es spanish/castilian, et estonian, eu basque, fa persian/farsi, fi finnish, fo faroese, fr french,
gl galician, gu gujarati, ha hausa, haw hawaiian, he hebrew, hi hindi, hr croatian, ht haitian creole/haitian,
hu hungarian, hy armenian, id indonesian, is icelandic, it italian, ja japanese, jw javanese, ka georgian, kk kazakh,
km khmer, kn kannada, ko korean, la latin, lb luxembourgish/letzeburgesch, ln lingala, lo lao, lt lithuanian,
lv latvian,
mg malagasy, mi maori, mk macedonian, ml malayalam, mn mongolian, mr marathi, ms malay, mt maltese, my myanmar/burmese,
ne nepali, nl dutch/flemish, nn nynorsk, no norwegian/bokmal, oc occitan, pa punjabi/panjabi, pl polish,
ps pashto/pushto,
pt portuguese, ro romanian/moldavian/moldovan, ru russian, sa sanskrit, sd sindhi, si sinhala/sinhalese, sk slovak,
sl slovenian, sn shona, so somali, sq albanian, sr serbian, su sundanese, sv swedish, sw swahili, ta tamil, te telugu,
tg tajik, th thai, tk turkmen, tl tagalog/filipino, tr turkish, tt tatar, uk ukrainian, ur urdu, uz uzbek,
vi vietnamese, yi yiddish, yo yoruba, yue cantonese, zh chinese/mandarin
"""
WHISPER_LANGUAGES: dict[str, tuple[str, ...]] = {
    code: tuple(names.split("/"))
    for code, _, names in (item.strip().partition(" ") for item in _NAMES.replace("\n", " ").split(","))
}
_CODES = {name: code for code, names in WHISPER_LANGUAGES.items() for name in names}
# What the standards call otherwise, or called so once, and the codes of three letters in films.
_CODES |= {"nb": "no", "jv": "jw", "iw": "he", "in": "id", "ji": "yi", "fil": "tl", "cmn": "zh", "mo": "ro"}
_CODES |= dict(
    pair.split(":")
    for pair in (
        "eng:en deu:de ger:de fra:fr fre:fr spa:es ita:it por:pt nld:nl dut:nl rus:ru pol:pl ces:cs cze:cs slk:sk "
        "slo:sk dan:da swe:sv nor:no nob:no nno:nn fin:fi hun:hu ron:ro rum:ro bul:bg ell:el gre:el tur:tr ara:ar "
        "heb:he hin:hi jpn:ja kor:ko zho:zh chi:zh ukr:uk hrv:hr srp:sr slv:sl cat:ca vie:vi tha:th ind:id"
    ).split()
)


def language_code(tag: str | None) -> str | None:
    """The code of a language, such as ``en``, of its tag or its English name; of what is neither, its first part.

    None where the language is to be heard out: for None, "" and "auto".
    """
    # By spaces alone: a line break is a mistake somewhere, and no part of a name.
    name = " ".join(filter(None, (tag or "").replace("_", "-").lower().split(" ")))
    if name in ("", "auto"):
        return None
    code = _CODES.get(name, name.split("-")[0])
    return _CODES.get(code, code)


def whisper_language(tag: str | None, known: Iterable[str], model: str) -> str | None:
    """Whisper's code for a language: its tag (``en``, ``en-GB``, ``EN_us``, ``eng``) or its English name.

    Args:
        tag: what the caller gave. None, "" and "auto" mean that it is to be heard out, for which the answer is None.
        known: codes of the languages that the model has.
        model: its name, for the error.

    Raises:
        OptionError: the model does not have it.
    """
    code = language_code(tag)
    if code is None:
        return None
    codes = list(known)
    if code in codes:
        return code
    from lollms_modalities.settings.checking import near_miss

    raise OptionError(
        f"option 'language': the model {model} does not know {tag!r}.",
        hint="It knows English only." if codes == ["en"] else near_miss(code, codes, "languages"),
        names=["language"],
    )
