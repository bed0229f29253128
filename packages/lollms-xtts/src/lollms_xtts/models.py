"""Which models there are, where their files lie, under which licence, and which voices they bring.

A model is a folder with ``config.json``, ``model.pth``, ``vocab.json`` and, where it has voices of its own,
``speakers_xtts.pth``.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from lollms_modalities import LicenseNotAcceptedError, ModelNotFoundError
from lollms_modalities.kit.hub import explain_loading, find_model, list_models

XTTS_V2 = "tts_models/multilingual/multi-dataset/xtts_v2"
# Names of coqui-tts, and the repositories that it fetches them from.
REPOSITORIES = {
    XTTS_V2: "tts-hub/XTTS-v2",
    "tts_models/multilingual/multi-dataset/xtts_v1.1": "tts-hub/XTTS-v1",
}
LANGUAGES = tuple("en es fr de it pt pl tr ru nl cs ar zh-cn hu ko ja hi".split())
# Voices that XTTS v2 brings, in its order.
SPEAKERS = tuple(
    "Claribel Dervla,Daisy Studious,Gracie Wise,Tammie Ema,Alison Dietlinde,Ana Florence,Annmarie Nele,Asya Anara,"
    "Brenda Stern,Gitta Nikolina,Henriette Usha,Sofia Hellen,Tammy Grit,Tanja Adelina,Vjollca Johnnie,Andrew Chipper,"
    "Badr Odhiambo,Dionisio Schuyler,Royston Min,Viktor Eka,Abrahan Mack,Adde Michal,Baldur Sanjin,Craig Gutsy,"
    "Damien Black,Gilberto Mathias,Ilkin Urbano,Kazuhiko Atallah,Ludvig Milivoj,Suad Qasim,Torcull Diarmuid,"
    "Viktor Menelaos,Zacharie Aimilios,Nova Hogarth,Maja Ruoho,Uta Obando,Lidiya Szekeres,Chandra MacFarland,"
    "Szofi Granger,Camilla Holmström,Lilya Stainthorpe,Zofija Kendrick,Narelle Moon,Barbora MacLean,"
    "Alexandra Hisakawa,Alma María,Rosemary Okafor,Ige Behringer,Filip Traverse,Damjan Chapman,Wulf Carlevaro,"
    "Aaron Dreschner,Kumar Dahl,Eugenio Mataracı,Ferran Simen,Xavier Hayasaka,Luis Moray,Marcos Rudaski".split(",")
)
WHAT = "XTTS model"
_MARK = "model.pth"
_FILES = ("config.json", _MARK, "vocab.json", "speakers_xtts.pth")
_LICENCE = "https://tts-hub.github.io/cpml"


def known_models(models_path: Path | None) -> list[str]:
    """The folders of models in ``models_path``, and the names that coqui-tts knows."""
    return [*list_models(_folders(models_path), [_MARK]), *REPOSITORIES]


def locate(name: str | Path, models_path: Path | None) -> Path | str:
    """The folder of a model, or the repository that it is fetched from.

    Raises:
        ModelNotFoundError: there is no such folder, and it is no name of a repository.
    """
    if str(name) in REPOSITORIES:
        return REPOSITORIES[str(name)]
    return find_model(name, folders=_folders(models_path), marks=[_MARK], what=WHAT)


def check_licence(name: str | Path, accepted: bool) -> None:
    """Refuse a model that is named, until its licence is accepted: by a setting or by COQUI_TOS_AGREED=1.

    Raises:
        LicenseNotAcceptedError: it is not.
    """
    if accepted or os.environ.get("COQUI_TOS_AGREED") == "1":
        return
    raise LicenseNotAcceptedError(
        f"The model {str(name)!r} stands under the Coqui Public Model License (CPML), which allows only non-commercial "
        f"use, of the model and of what it speaks: {_LICENCE}.",
        hint="Read it; if you agree, set accept_license=True, or COQUI_TOS_AGREED=1 in the environment. "
        "A model of your own, given by its path, is not asked about.",
    )


def fetch(repository: str, *, local_files_only: bool) -> Path:
    """The folder of a repository's files; fetched from the hub unless they are here.

    Raises:
        ModelNotFoundError: there is no such repository, or it cannot be reached.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.utils import tqdm  # type: ignore[attr-defined, unused-ignore]

    class Silent(tqdm):  # type: ignore[misc, unused-ignore]
        """No bar: a library prints nothing."""

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **{**kwargs, "disable": True})  # type: ignore[no-untyped-call, unused-ignore]

    with explain_loading(repository, WHAT, mark=_MARK, local_files_only=local_files_only):
        folder = snapshot_download(
            repository, allow_patterns=list(_FILES), local_files_only=local_files_only, tqdm_class=Silent
        )
    return Path(folder)


def read_config(folder: Path) -> dict[str, Any]:
    """The model's ``config.json``.

    Raises:
        ModelNotFoundError: it is missing, or not of XTTS.
    """
    with explain_loading(folder, WHAT):
        config: Any = json.loads((folder / "config.json").read_text("utf-8"))
    found = config.get("model") if isinstance(config, dict) else None
    if found != "xtts":
        raise ModelNotFoundError(
            f"The model in {str(folder)!r} is {found!r}, not 'xtts'.", hint="Give the folder of an XTTS model."
        )
    return config  # type: ignore[no-any-return]


def languages(model: Path | str) -> tuple[str, ...]:
    """Codes of the languages that a model speaks; of one that is not here, those of XTTS v2."""
    return tuple(read_config(model).get("languages") or LANGUAGES) if isinstance(model, Path) else LANGUAGES


def speakers(model: Path | str) -> list[str]:
    """Names of the voices that a model brings; none where that is not known before it is here."""
    if isinstance(model, str):
        return list(SPEAKERS) if model == REPOSITORIES[XTTS_V2] else []
    path = model / "speakers_xtts.pth"
    if not path.is_file():
        return []
    import torch

    with explain_loading(path, "file of speakers"):
        return list(torch.load(path, map_location="cpu", weights_only=True, mmap=True))


def _folders(models_path: Path | None) -> list[Path]:
    return [] if models_path is None else [models_path]
