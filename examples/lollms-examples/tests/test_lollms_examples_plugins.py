"""The two plug-ins, in a program and switched on by an entry point."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lollms_examples.call_metrics import CallMetrics
from lollms_examples.speech_cache import SpeechCache
from lollms_examples.tts import ToneTTSBinding
from lollms_modalities import Audio, GenerationError, LollmsTTSBindingManager, OptionError, VoiceNotFoundError, hooks
from prometheus_client import CollectorRegistry


class Counted(ToneTTSBinding):
    """Says how often its engine was asked."""

    asked = 0

    def generate_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Audio:
        self.asked += 1
        return super().generate_audio(text, voice, **kwargs)


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[SpeechCache]:
    plugin = SpeechCache(tmp_path / "speech")
    hooks.register(plugin)
    yield plugin
    hooks.unregister(plugin)


@pytest.fixture
def metrics() -> Iterator[CollectorRegistry]:
    registry = CollectorRegistry()
    plugin = CallMetrics(registry)
    hooks.register(plugin)
    yield registry
    hooks.unregister(plugin)


def test_the_same_is_spoken_once(cache: SpeechCache) -> None:
    tone = Counted()
    first = tone.generate_audio("one two")
    again = tone.generate_audio("one two")
    assert (bytes(again), tone.asked) == (bytes(first), 1)
    assert again.provenance == first.provenance, "it says when it was really made"
    assert tone.generate_audio("one two", "low") == first, "the default voice by its name"
    assert tone.asked == 1
    other = Counted()
    assert other.generate_audio("one two") == first
    assert other.asked == 0


@pytest.mark.parametrize(
    "change", [{"text": "one three"}, {"voice": "high"}, {"speed": 2.0}, {"output_format": "flac"}, {"settings": 0.2}]
)
def test_anything_else_is_spoken_anew(cache: SpeechCache, change: dict[str, Any]) -> None:
    Counted().generate_audio("one two")
    tone = Counted(**({"loudness": change.pop("settings")} if "settings" in change else {}))
    tone.generate_audio(**{"text": "one two", **change})
    assert tone.asked == 1


def test_what_is_kept_goes_into_a_file(cache: SpeechCache, tmp_path: Path) -> None:
    tone = Counted()
    made = [tone.generate_audio("one two", output_path=tmp_path / name) for name in ("a.flac", "b.flac")]
    assert tone.asked == 1
    assert [audio.path for audio in made] == [tmp_path / "a.flac", tmp_path / "b.flac"]
    assert (tmp_path / "a.flac").read_bytes() == (tmp_path / "b.flac").read_bytes()


def test_failures_are_not_kept(cache: SpeechCache) -> None:
    for _ in range(2):
        with pytest.raises(VoiceNotFoundError):
            Counted().generate_audio("one two", "nobody")
    assert not cache.folder.exists()


def test_a_damaged_file_is_made_anew(cache: SpeechCache) -> None:
    tone = Counted()
    first = tone.generate_audio("one two")
    (kept,) = cache.folder.glob("*.json")
    kept.write_text("{")
    assert tone.generate_audio("one two") == first
    assert tone.asked == 2


def test_the_oldest_goes_when_there_is_no_room(tmp_path: Path) -> None:
    plugin = SpeechCache(tmp_path, limit=20_000)
    hooks.register(plugin)
    try:
        tone = Counted()
        sizes = []
        for n, text in enumerate(("first text", "second text", "third text")):
            sizes.append(len(tone.generate_audio(text)))
            for file in tmp_path.glob("*.audio"):
                os.utime(file, (file.stat().st_atime, min(file.stat().st_mtime, 1000 + n)))
        assert sum(sizes) > 20_000
        assert sum(f.stat().st_size for f in tmp_path.glob("*.audio")) <= 20_000
        assert len(list(tmp_path.glob("*.json"))) == len(list(tmp_path.glob("*.audio")))
        tone.generate_audio("third text")
        assert tone.asked == 3
    finally:
        hooks.unregister(plugin)


def test_isolated_bindings_are_served_too(cache: SpeechCache) -> None:
    with LollmsTTSBindingManager().require_binding("example", isolated=True) as tone:
        first, again = (tone.generate_audio("one two", speed=2.0) for _ in range(2))
        assert again.provenance == first.provenance
        assert tone.generate_audio("one two", speed=1.0).provenance != first.provenance
        assert not isinstance(tone.generate_audio("one two", output_format="flac"), type(None))


def test_calls_are_counted(metrics: CollectorRegistry) -> None:
    def value(name: str, verb: str = "generate_audio", **more: str) -> float:
        labels = {"modality": "tts", "binding": "example", **({"verb": verb} if verb else {}), **more}
        return metrics.get_sample_value(name, labels) or 0.0

    tone = LollmsTTSBindingManager().require_binding("example")
    made = tone.generate_audio("one two")
    with tone.stream_audio("one two three") as stream:  # type: ignore[attr-defined]
        next(stream)
        assert value("lollms_calls_running", "stream_audio") == 1
    with pytest.raises(VoiceNotFoundError):
        tone.generate_audio("one", "nobody")
    with pytest.raises(OptionError):
        tone.generate_audio("one", sped=2)  # refused before it is a call
    assert value("lollms_bindings_total", "") == 1
    assert value("lollms_calls_total", outcome="ok") == 1
    assert value("lollms_calls_total", outcome="VoiceNotFoundError") == 1
    assert value("lollms_call_seconds_count") == 2
    assert value("lollms_calls_running") == 0
    assert value("lollms_calls_running", "stream_audio") == 0
    assert value("lollms_first_item_seconds_count", "stream_audio") == 1
    assert value("lollms_media_seconds_total") == pytest.approx(made.duration)


def test_what_a_cache_answers_is_counted_as_that(metrics: CollectorRegistry, cache: SpeechCache) -> None:
    tone = ToneTTSBinding()
    for _ in range(3):
        tone.generate_audio("one two")
    outcomes = {
        sample.labels["outcome"]: sample.value
        for metric in metrics.collect()
        for sample in metric.samples
        if sample.name == "lollms_calls_total"
    }
    assert outcomes.pop("ok") == 1
    ((who, count),) = outcomes.items()
    assert who.startswith("answered by ")
    assert count == 2


def test_switched_on_by_an_entry_point(tmp_path: Path) -> None:
    info = tmp_path / "mine-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: mine\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[lollms_client.plugins]\nspeech_cache = lollms_examples.speech_cache:SpeechCache\n"
        "metrics = lollms_examples.call_metrics:CallMetrics\n"
    )
    program = (
        "import sys, json\nfrom lollms_client import LollmsClient\n"
        "lc = LollmsClient(tts_binding_name='example')\n"
        "print(json.dumps(lc.tts.generate_audio('one two').provenance.to_json()))\n"
        "from prometheus_client import generate_latest\nsys.stderr.write(generate_latest().decode())\n"
    )
    env = {**os.environ, "PYTHONPATH": str(tmp_path), "LOLLMS_SPEECH_CACHE": str(tmp_path / "cache")}
    runs = [
        subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=env, timeout=60, check=True)
        for _ in range(2)
    ]
    first, again = (json.loads(run.stdout) for run in runs)
    assert first == again, "the second program got what the first had made"
    assert 'outcome="ok"' in runs[0].stderr
    assert 'outcome="answered by speech_cache"' in runs[1].stderr


def test_installing_the_examples_switches_nothing_on() -> None:
    from lollms_modalities.entry_points.metadata import read_entry_points

    assert not [entry for entry in read_entry_points(hooks.GROUP) if entry.value.startswith("lollms_examples")]


def test_an_engine_that_fails_is_counted(metrics: CollectorRegistry) -> None:
    class Fails(ToneTTSBinding):
        def generate_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Audio:
            raise KeyError("engine")

    with pytest.raises(GenerationError):
        Fails().generate_audio("one")
    labels = {"modality": "tts", "binding": "Fails", "verb": "generate_audio", "outcome": "GenerationError"}
    assert metrics.get_sample_value("lollms_calls_total", labels) == 1
