"""The whole surface, asked what its own document allows and what it does not: schemathesis over real sockets."""

from __future__ import annotations

import itertools
from contextlib import suppress
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.specs.openapi import checks
from serving import SERVE, Server, models, server_of

CONFIGURATION = f"""
{SERVE}
surfaces = ["openai", "lollms", "lollms-modern", "lollms-classic", "automatic1111"]
{models(counting="tts", ears="stt", eyes="tti", films="ttv")}
{models("example", chord="ttm")}
"""
# What is tried is the same in every run.
TRIED = settings(
    max_examples=25, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)
VERBS = {"tts": ("counting", "generate_audio"), "stt": ("ears", "transcribe_audio")}


server = server_of(CONFIGURATION, body_rate=1)


@pytest.mark.full
def test_every_answer_is_one_that_the_document_tells_of(server: Server) -> None:
    schema = schemathesis.openapi.from_url(f"{server.address}/openapi.json")
    tried: dict[str, int] = {}
    operations = [found.ok() for found in schema.get_all_operations()]
    for operation, mode in itertools.product(operations, schemathesis.GenerationMode):

        @TRIED
        @given(case=operation.as_strategy(generation_mode=mode))
        def asked(case: Any) -> None:
            named = case.path_parameters or {}
            left_out = [checks.positive_data_acceptance]  # which texts can be spoken no schema says
            if "modality" in named:  # a name that is served is not found by chance
                left_out.append(checks.negative_data_rejection)
                modality = sorted(VERBS)[len(str(named["name"])) % 2]
                named |= {"modality": modality, "name": VERBS[modality][0]}
                if "verb" in named:
                    named["verb"] = VERBS[modality][1]
            case.call_and_validate(timeout=60, excluded_checks=left_out)
            label = f"{case.method} {case.path}"
            tried[label] = tried.get(label, 0) + 1

        # Where there is nothing to give nothing wrong can be given.
        with suppress(*[Unsatisfiable] if mode is schemathesis.GenerationMode.NEGATIVE else []):
            asked()
        assert server.process.poll() is None
    assert tried.keys() == {operation.label for operation in operations}
