"""Languages of three letters (ISO 639-3), which that API takes beside those of two, and tells."""

from __future__ import annotations

_CODES = """
afr af amh am ara ar asm as aze az bak ba bel be ben bn bod bo bos bs bre br bul bg cat ca ces cs cym cy dan da deu de
ell el eng en est et eus eu fao fo fas fa fin fi fra fr glg gl guj gu hat ht hau ha haw haw heb he hin hi hrv hr hun hu
hye hy ind id isl is ita it jav jw jpn ja kan kn kat ka kaz kk khm km kor ko lao lo lat la lav lv lin ln lit lt ltz lb
mal ml mar mr mkd mk mlg mg mlt mt mon mn mri mi msa ms mya my nep ne nld nl nno nn nor no oci oc pan pa pol pl por pt
pus ps ron ro rus ru san sa sin si slk sk slv sl sna sn snd sd som so spa es sqi sq srp sr sun su swa sw swe sv tam ta
tat tt tel te tgk tg tgl tl tha th tuk tk tur tr ukr uk urd ur uzb uz vie vi yid yi yor yo yue yue zho zh
""".split()
_TWO = dict(zip(_CODES[::2], _CODES[1::2], strict=True))
_THREE = {two: three for three, two in _TWO.items()}


def tag_of(code: str) -> str:
    """The tag that bindings take: two letters for three, where there are such."""
    return _TWO.get(code.lower(), code)


def code_of(tag: str | None) -> str:
    """Three letters for the tag of a transcript; the tag where that is not known."""
    first = (tag or "und").partition("-")[0].lower()
    return _THREE.get(first, first)
