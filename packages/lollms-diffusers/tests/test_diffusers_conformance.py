"""The bindings keep the contract, on tiny models."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from lollms_diffusers import DiffusersTTIBinding_Impl, DiffusersTTMBinding, DiffusersTTVBinding
from lollms_modalities.testing import TTIBindingSuite, TTMBindingSuite, TTVBindingSuite

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # of torch and diffusers among themselves
    pytest.mark.filterwarnings("ignore:The prompt has"),  # CLIP reads 77 tokens
    pytest.mark.filterwarnings("ignore:.*weight_norm:FutureWarning"),  # of the autoencoder of sound
]


class TestImages(TTIBindingSuite):
    binding = DiffusersTTIBinding_Impl
    long_sample = {"num_inference_steps": 300}
    enlarges = False  # this model draws; test_diffusers_enlarging.py has others

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def _model(cls, model: Callable[[str], Path]) -> None:
        cls.settings = {"model_id_or_path": str(model("sd")), "num_inference_steps": 2, "n_threads": 1}


class TestVideos(TTVBindingSuite):
    binding = DiffusersTTVBinding
    sample = {"prompt": "a ball that falls", "width": 32, "height": 32, "num_frames": 9}
    long_sample = {"num_inference_steps": 500}

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def _model(cls, model: Callable[[str], Path]) -> None:
        cls.settings = {"model_id_or_path": str(model("ltx")), "num_inference_steps": 2, "n_threads": 1}


class TestFilms(TTVBindingSuite):
    """The same with sound."""

    binding = DiffusersTTVBinding
    sample = {"prompt": "a ball that falls", "width": 32, "height": 32, "num_frames": 9}
    long_sample = {"num_inference_steps": 500}

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def _model(cls, model: Callable[[str], Path]) -> None:
        cls.settings = {"model_id_or_path": str(model("ltx2")), "num_inference_steps": 2, "n_threads": 1}


class TestMusic(TTMBindingSuite):
    binding = DiffusersTTMBinding
    sample = {"prompt": "a slow waltz", "duration": 1.0}
    long_sample = {"num_inference_steps": 300}

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def _model(cls, model: Callable[[str], Path]) -> None:
        cls.settings = {"model_id_or_path": str(model("ace_step")), "num_inference_steps": 2, "n_threads": 1}
