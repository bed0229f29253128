"""XTTS on a tiny checkpoint of the real library."""

from __future__ import annotations

import gc
import io
import json
import shutil
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
import xtts_model
from checkpoints import Trap
from lollms_modalities import (
    Audio,
    AudioFileNotFoundError,
    BindingDependencyError,
    CallCancelled,
    CallTimeout,
    CancelToken,
    LicenseNotAcceptedError,
    LollmsTTSBindingManager,
    MediaError,
    ModelNotFoundError,
    OptionError,
    VoiceExistsError,
    VoiceNotFoundError,
)
from lollms_modalities.kit.torch import pick_device, seeded
from lollms_xtts import XTTSBinding, engine, models
from lollms_xtts.engine import Engine

CPU = torch.device("cpu")
ANA, VIKTOR = xtts_model.SPEAKERS
TEXT = "One sentence. And another one!"
LONG = "It was a long and winding road, " * 12 + "and it came to its end."


@pytest.fixture(scope="module")
def xtts(xtts_folder: Path) -> Iterator[XTTSBinding]:
    with XTTSBinding(str(xtts_folder), n_threads=1) as binding:
        yield binding


@pytest.fixture(scope="module")
def slow(slow_folder: Path) -> Iterator[XTTSBinding]:
    with XTTSBinding(slow_folder, n_threads=1) as binding:
        binding.load()
        yield binding


@pytest.fixture(scope="module")
def recording() -> Audio:
    """Two seconds of something, at the rate that XTTS hears, so that nothing is resampled."""
    time = np.arange(2 * 22050) / 22050
    noise = np.random.default_rng(1).normal(0, 0.05, time.size)
    return Audio.from_samples((0.4 * np.sin(2 * np.pi * 180 * time) + noise).astype(np.float32), 22050)


def pcm(audio: Audio) -> bytes:
    return audio.to_numpy().tobytes()


# --- speaking -------------------------------------------------------------------------------------------------------


def test_a_sentence_is_spoken(xtts: XTTSBinding, xtts_folder: Path) -> None:
    audio = xtts.generate_audio("The birch canoe slid on the smooth planks.", seed=1)
    assert (audio.format, audio.sample_rate, audio.channels) == ("wav", 24000, 1)
    assert np.sqrt((audio.to_numpy() ** 2).mean()) > 0.02, "it is no silence"
    made = audio.provenance
    assert made is not None
    assert (made.binding, made.distribution, made.engine) == ("xtts", "lollms-xtts", "coqui-tts")
    assert (made.model, made.seed, made.engine_version[:5]) == (str(xtts_folder), 1, "0.28.")


def test_it_sounds_as_the_library_alone(xtts: XTTSBinding) -> None:
    loaded: Engine = xtts.model
    latents = loaded.model.speaker_manager.speakers[VIKTOR].values()
    with seeded(5, CPU):
        alone = loaded.model.inference("One sentence.", "en", *latents, speed=1.5, **loaded.sampling())["wav"]
    ours = xtts.generate_audio("One sentence.", VIKTOR, speed=1.5, seed=5)
    assert pcm(ours) == pcm(Audio.from_samples(alone, 24000))


def test_in_chunks_it_sounds_as_the_library_s_stream_alone(xtts: XTTSBinding) -> None:
    loaded: Engine = xtts.model
    latents = loaded.model.speaker_manager.speakers[ANA].values()
    with seeded(5, CPU):
        stream = loaded.model.inference_stream("One.", "en", *latents, stream_chunk_size=2, **loaded.sampling())
        alone = torch.cat(list(stream)).numpy()
    chunks = list(xtts.stream_audio("One.", ANA, stream_chunk_size=2, seed=5))
    assert len(chunks) > 1, "a sentence comes in parts"
    assert pcm(Audio.from_chunks(chunks)) == pcm(Audio.from_samples(alone, 24000))


@pytest.mark.parametrize("chunk_size", [0, 3])
def test_the_stream_is_the_whole_and_says_its_text(xtts: XTTSBinding, chunk_size: int) -> None:
    whole = xtts.generate_audio(TEXT, seed=3, stream_chunk_size=chunk_size)
    chunks = list(xtts.stream_audio(TEXT, seed=3, stream_chunk_size=chunk_size))
    assert [chunk.text for chunk in chunks if chunk.text] == ["One sentence.", "And another one!"]
    assert (len(chunks) > 2) == bool(chunk_size)
    assert Audio.from_chunks(chunks) == whole


def test_a_default_makes_each_stream_come_early(xtts_folder: Path) -> None:
    with XTTSBinding(xtts_folder, n_threads=1, default_stream_chunk_size=2) as binding:
        assert len(list(binding.stream_audio("One."))) > 1
        assert len(list(binding.stream_audio("One.", stream_chunk_size=0))) == 1


def test_options_change_the_sound(xtts: XTTSBinding) -> None:
    plain = xtts.generate_audio("One.", seed=1)
    assert xtts.generate_audio("One.", seed=1) == plain != xtts.generate_audio("One.", seed=2)
    slow = xtts.generate_audio("One.", seed=1, speed=0.5)
    assert 1.8 < slow.duration / plain.duration < 2.2
    for changed in ({"temperature": 5}, {"top_k": 1}, {"top_p": 0.01}):
        assert xtts.generate_audio("One.", seed=1, **changed) != plain, changed
    one_by_one = [xtts.generate_audio("One.", seed=1, temperature=2, top_k=0, top_p=p) for p in (0, 1)]
    assert one_by_one[0] != one_by_one[1]


@pytest.mark.parametrize("chunk_size", [0, 3])
def test_without_temperature_nothing_is_drawn(xtts: XTTSBinding, chunk_size: int) -> None:
    sounds = [xtts.generate_audio("One.", temperature=0, seed=seed, stream_chunk_size=chunk_size) for seed in (1, 2, 3)]
    assert sounds[0] == sounds[1] == sounds[2]


def test_repeating_is_punished(slow: XTTSBinding) -> None:
    firsts = []
    for penalty in (1.0, 20.0):
        with slow.stream_audio("One.", temperature=0, repetition_penalty=penalty, stream_chunk_size=30) as stream:  # type: ignore[attr-defined]
            firsts.append(next(stream))
    assert firsts[0] != firsts[1]


def test_the_generators_are_left_as_they_were(xtts: XTTSBinding) -> None:
    torch.manual_seed(7)
    undisturbed = torch.rand(3)
    torch.manual_seed(7)
    for _ in xtts.stream_audio(TEXT, seed=1):
        pass
    assert torch.equal(torch.rand(3), undisturbed)


def test_silence_between_sentences(xtts: XTTSBinding) -> None:
    plain = xtts.generate_audio(TEXT, seed=1)
    apart = xtts.generate_audio(TEXT, seed=1, sentence_silence=0.5)
    assert apart.duration - plain.duration == pytest.approx(0.5, abs=0.001)


@pytest.mark.parametrize(
    ("option", "wrong"),
    [("speed", 0), ("temperature", -1), ("top_p", 2), ("language", "xx"), ("stream_chunk_size", -1), ("voice", 17)],
)
def test_wrong_options_are_told(xtts: XTTSBinding, option: str, wrong: Any) -> None:
    with pytest.raises(OptionError, match=option):
        xtts.generate_audio("One.", **{option: wrong})


# --- long text ------------------------------------------------------------------------------------------------------


def test_long_text_is_split_and_nothing_is_lost(xtts: XTTSBinding, caplog: pytest.LogCaptureFixture) -> None:
    chunks = list(xtts.stream_audio(LONG, seed=1))
    said = [chunk.text for chunk in chunks]
    assert " ".join(said) == LONG
    assert len(said) > 1
    assert max(map(len, said)) <= 250
    warned = [record for record in caplog.records if record.name.startswith("TTS")]
    assert not warned, "the library is never given what is too long, of which it warns"


def test_text_that_becomes_too_many_tokens_is_split_further(xtts: XTTSBinding) -> None:
    loaded: Engine = xtts.model
    numbers = " ".join(["777777"] * 30)
    limit = loaded.model.args.gpt_max_text_tokens
    assert len(numbers) < 250 < limit < loaded._tokens(numbers, "en")
    parts = list(loaded.split(numbers, "en"))
    assert " ".join(parts) == numbers
    assert all(loaded._tokens(part, "en") < limit for part in parts)
    assert xtts.generate_audio(numbers, seed=1).duration > 0


def test_signs_alone_are_no_sentence(xtts: XTTSBinding) -> None:
    assert list(xtts.model.split("One. !!! Two. ...", "en")) == ["One.", "Two."]
    assert list(xtts.model.split("* * *\n\nOne.", "en")) == ["One."]


# --- voices ---------------------------------------------------------------------------------------------------------


def test_voices_differ(xtts: XTTSBinding, recording: Audio) -> None:
    sounds = [pcm(xtts.generate_audio("One.", voice, seed=1)) for voice in (ANA, VIKTOR, recording)]
    assert len(set(sounds)) == 3


def test_a_recording_is_heard_as_the_library_hears_it(
    xtts: XTTSBinding, recording: Audio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: Engine = xtts.model

    def read(path: str, rate: int) -> torch.Tensor:
        samples, found = soundfile.read(path, dtype="float32")
        assert found == rate
        return torch.from_numpy(samples)[None]

    # The library's own reading needs FFmpeg's libraries.
    monkeypatch.setattr("TTS.tts.models.xtts.load_audio", read)
    config = loaded.model.config
    alone = loaded.model.get_conditioning_latents(
        str(recording.save(tmp_path / "voice.wav")),
        max_ref_length=config.max_ref_len,
        gpt_cond_len=config.gpt_cond_len,
        gpt_cond_chunk_len=config.gpt_cond_chunk_len,
    )
    ours = loaded.hear(bytes(recording))
    assert torch.allclose(ours.latents, alone[0], atol=1e-5)
    assert torch.allclose(ours.embedding, alone[1], atol=1e-5)


def test_every_kind_of_recording_goes_in(xtts: XTTSBinding, recording: Audio, tmp_path: Path) -> None:
    path = recording.save(tmp_path / "somebody ü.wav")
    expected = xtts.generate_audio("One.", recording, seed=1)
    for voice in (path, str(path), bytes(recording), bytearray(recording), io.BytesIO(recording)):
        assert xtts.generate_audio("One.", voice, seed=1) == expected, type(voice)  # type: ignore[arg-type]
    for suffix in (".mp3", ".flac", ".ogg", ".opus"):
        voice = recording.save(tmp_path / f"somebody{suffix}")
        assert xtts.generate_audio("One.", voice, seed=1).duration == pytest.approx(expected.duration)


def test_a_recording_is_learnt_once(xtts: XTTSBinding, recording: Audio, tmp_path: Path) -> None:
    loaded: Engine = xtts.model
    loaded._heard.clear()
    a, b = recording.save(tmp_path / "a.wav"), recording.save(tmp_path / "b.wav")
    for voice in (a, b, bytes(recording), a):
        xtts.generate_audio("One.", voice, seed=1)
    assert len(loaded._heard) == 1, "the content counts, not the name"
    a.write_bytes(Audio.from_samples(np.ones(22050, np.float32) / 9, 22050))
    xtts.generate_audio("One.", a, seed=1)
    assert len(loaded._heard) == 2, "another content under the same name is another voice"


def test_voices_that_are_kept_are_bounded(xtts: XTTSBinding, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "_KEPT_VOICES", 2)
    loaded: Engine = xtts.model
    clicks = [bytes(Audio.from_samples(np.full(22050, n / 10, np.float32), 22050)) for n in range(1, 4)]
    first = loaded.hear(clicks[0])
    assert loaded.hear(clicks[0]) is first
    loaded.hear(clicks[1])
    assert loaded.hear(clicks[0]) is first, "what was used last stays"
    loaded.hear(clicks[2])
    assert len(loaded._heard) == 2
    assert loaded.hear(clicks[0]) is first


@pytest.mark.parametrize("device", ["auto", str(pick_device())])
def test_two_bindings_share_the_model_and_what_it_has_heard(xtts: XTTSBinding, xtts_folder: Path, device: str) -> None:
    with XTTSBinding(xtts_folder, n_threads=1, device=device) as other:
        other.load()
        assert other.model is xtts.model


def test_an_unloaded_model_is_gone_when_the_device_s_memory_is_given_back(
    xtts_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else torch keeps a GPU's memory for itself."""
    alive: list[bool] = []
    own = shutil.copytree(xtts_folder, tmp_path / "own")  # which no other test has in memory
    with XTTSBinding(own, device="cpu", n_threads=2) as alone:
        alone.load()
        weights = weakref.ref(alone.model.model)

        def give_back(device: torch.device) -> None:
            gc.collect()
            alive.append(weights() is not None)

        monkeypatch.setattr(engine, "free_memory", give_back)
        alone.unload()
    assert alive == [False]


@pytest.mark.parametrize("seconds", [0.1, 45.0])
def test_very_short_and_very_long_recordings(xtts: XTTSBinding, seconds: float) -> None:
    samples = np.random.default_rng(2).normal(0, 0.1, int(seconds * 16000)).astype(np.float32)
    voice = Audio.from_samples(samples, 16000)
    if seconds < 0.33:
        with pytest.raises(MediaError, match=r"0\.10 s"):
            xtts.generate_audio("One.", voice)
    else:
        assert xtts.generate_audio("One.", voice).duration > 0


def test_silence_has_a_voice_too(xtts: XTTSBinding) -> None:
    silence = Audio.from_pcm(bytes(2 * 22050), 22050)
    assert np.isfinite(xtts.generate_audio("One.", silence, seed=1).to_numpy()).all()


def test_a_voice_that_is_none_is_told(xtts: XTTSBinding, tmp_path: Path) -> None:
    with pytest.raises(VoiceNotFoundError, match=f"Did you mean '{ANA}'"):
        xtts.generate_audio("One.", ANA.lower())
    with pytest.raises(AudioFileNotFoundError, match=r"none\.wav"):
        xtts.generate_audio("One.", str(tmp_path / "none.wav"))
    with pytest.raises(AudioFileNotFoundError):
        xtts.generate_audio("One.", "none.wav")
    with pytest.raises(MediaError):
        xtts.generate_audio("One.", b"this is no sound" * 9)
    with pytest.raises(MediaError, match="address"):
        xtts.generate_audio("One.", "https://example.org/voice.wav")


def test_which_voice_speaks_where_none_is_given(xtts_folder: Path, recording: Audio, tmp_path: Path) -> None:
    wav = recording.save(tmp_path / "me.wav")
    voices: dict[str, dict[str, Any]] = {
        ANA: {}, VIKTOR: {"default_voice": VIKTOR}, str(wav): {"default_speaker_wav": wav},
    }  # fmt: skip
    for voice, settings in voices.items():
        with XTTSBinding(xtts_folder, n_threads=1, **settings) as binding:
            assert binding.generate_audio("One.", seed=1) == binding.generate_audio("One.", voice, seed=1)
    with XTTSBinding(xtts_folder, n_threads=1, default_voice=VIKTOR, default_speaker_wav=wav) as binding:
        assert binding.generate_audio("One.", seed=1) == binding.generate_audio("One.", VIKTOR, seed=1)


def test_a_model_without_voices_of_its_own(xtts_folder: Path, recording: Audio, tmp_path: Path) -> None:
    folder = shutil.copytree(xtts_folder, tmp_path / "mute")
    (folder / "speakers_xtts.pth").unlink()
    with XTTSBinding(folder, n_threads=1) as binding:
        assert binding.list_voices() == []
        assert binding.generate_audio("One.", recording).duration > 0
        with pytest.raises(VoiceNotFoundError, match="default_speaker_wav"):
            binding.generate_audio("One.")


def test_voices_are_listed_without_the_model(xtts_folder: Path) -> None:
    with XTTSBinding(xtts_folder) as binding:
        assert binding.list_voices() == [ANA, VIKTOR]
        assert not binding.loaded
        assert binding.capabilities.cloning
        assert binding.capabilities.languages == ("en", "es", "fr", "de", "pt", "zh-cn", "ja")
    with XTTSBinding() as binding:
        voices = binding.list_voices()
        assert len(voices) == len(set(voices)) == 58
        assert {"Claribel Dervla", "Marcos Rudaski"} <= set(voices)
        assert len(binding.capabilities.languages) == 17


def test_a_voice_is_kept(xtts_folder: Path, recording: Audio, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"n_threads": 1, "voices_path": tmp_path / "voices"}
    by_hand = "The speaker, today."
    with XTTSBinding(xtts_folder, **settings) as binding:
        binding.add_voice("Me", recording, "Ada herself, 2026-11-27")
        assert binding.list_voices() == [ANA, VIKTOR, "Me"]
        expected = binding.generate_audio("One.", recording, seed=1, consent=by_hand)
        assert expected.provenance is not None
        assert expected.provenance.extra == {"cloned_voice": True, "consent": by_hand}
        spoken = binding.generate_audio("One.", "Me", seed=1)
        assert spoken == expected
        assert spoken.provenance is not None
        assert spoken.provenance.extra["consent"] == "Ada herself, 2026-11-27"
        own = binding.generate_audio("One.", ANA, seed=1).provenance
        assert own is not None
        assert own.extra == {}
        rows = {row["name"]: row for row in binding.describe_voices()}
        assert Path(rows["Me"]["sample"]).read_bytes() == recording
        assert rows[ANA]["sample"] is None
        for name in (ANA, ANA.upper(), "me"):
            with pytest.raises(VoiceExistsError):
                binding.add_voice(name, recording, by_hand)
        with pytest.raises(VoiceNotFoundError, match="added"):
            binding.remove_voice(ANA)
    with XTTSBinding(xtts_folder, **settings, default_voice="Me") as another:
        assert another.generate_audio("One.", seed=1) == expected
        known = len(another.model._heard)
        another.remove_voice("Me")
        assert len(another.model._heard) == known - 1, "what was learnt of it is forgotten, too"
        with pytest.raises(VoiceNotFoundError, match="'Me'"):
            another.generate_audio("One.")


def test_the_consent_of_the_default_voice_is_not_that_of_another(
    xtts_folder: Path, recording: Audio, tmp_path: Path
) -> None:
    wav = recording.save(tmp_path / "me.wav")
    said = "The speaker, today."
    for settings in ({"default_speaker_wav": wav}, {"default_voice": str(wav)}):
        with XTTSBinding(xtts_folder, n_threads=1, default_voice_consent=said, **settings) as binding:  # type: ignore[arg-type]
            told = binding.generate_audio("One.", seed=1).provenance
            assert told is not None
            assert told.extra["consent"] == said
            told = binding.generate_audio("One.", recording, seed=1).provenance
            assert told is not None
            assert told.extra == {"cloned_voice": True, "consent": None}


@pytest.mark.full
def test_a_recording_crosses_into_another_process(
    xtts: XTTSBinding, xtts_folder: Path, recording: Audio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    recording.save("me.wav")
    here = xtts.generate_audio("One.", recording, seed=1)
    settings = {"model_name": str(xtts_folder), "n_threads": 1}
    with LollmsTTSBindingManager().require_binding("xtts", isolated=True, **settings) as far:
        for voice in (recording, bytes(recording), io.BytesIO(recording), "me.wav", Path("me.wav")):
            assert far.generate_audio("One.", voice, seed=1) == here, type(voice)
        assert far.list_voices() == [ANA, VIKTOR]


# --- languages ------------------------------------------------------------------------------------------------------


def test_languages_are_tags(xtts: XTTSBinding) -> None:
    loaded: Engine = xtts.model
    tags = {"en": "en", "en-GB": "en", "pt_BR": "pt", "ZH": "zh-cn", "zh-Hans-CN": "zh-cn", "zh-cn": "zh-cn"}
    assert {tag: loaded.language(tag) for tag in tags} == tags
    german = [xtts.generate_audio("Eins.", language=tag, seed=1) for tag in ("de", "de-AT", "en")]
    assert german[0] == german[1] != german[2]


def test_the_default_language_is_a_setting(xtts: XTTSBinding, xtts_folder: Path) -> None:
    with XTTSBinding(xtts_folder, default_language="de", n_threads=1) as binding:
        spoken = binding.generate_audio("Eins.", seed=1)
        assert spoken == xtts.generate_audio("Eins.", language="de", seed=1)
        assert spoken.provenance is not None
        assert spoken.provenance.options["language"] == "de"


def test_a_language_that_needs_another_package_says_which(xtts: XTTSBinding, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pypinyin", None)
    with pytest.raises(BindingDependencyError, match=r"lollms-xtts\[zh\]"):
        xtts.generate_audio("你好", language="zh")


# --- stopping -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("chunk_size", [0, 20])
def test_a_sentence_is_cancelled_while_it_is_made(slow: XTTSBinding, chunk_size: int) -> None:
    token, caught, ended = CancelToken(), list[BaseException](), [0.0]

    def speak() -> None:
        try:
            slow.generate_audio("One sentence.", stream_chunk_size=chunk_size, cancel=token)
        except BaseException as exc:
            caught.append(exc)
        ended[0] = time.monotonic()

    thread = threading.Thread(target=speak)
    thread.start()
    time.sleep(0.3)
    cancelled = time.monotonic()
    token.cancel()
    thread.join(60)
    assert isinstance(caught[0], CallCancelled)
    assert ended[0] - cancelled < 3


def test_the_vocoder_is_stopped_too(slow: XTTSBinding) -> None:
    token, cancelled = CancelToken(), [0.0]

    def cancel(layer: Any, inputs: Any) -> None:
        cancelled[0] = time.monotonic()
        token.cancel()

    hook = slow.model.model.hifigan_decoder.waveform_decoder.ups[0].register_forward_pre_hook(cancel)
    try:
        with pytest.raises(CallCancelled):
            slow.generate_audio("One sentence.", cancel=token)
    finally:
        hook.remove()
    assert time.monotonic() - cancelled[0] < 3, "some eighteen seconds of work are left out"


def test_a_sentence_is_out_of_time(slow: XTTSBinding) -> None:
    began = time.monotonic()
    with pytest.raises(CallTimeout):
        slow.generate_audio("One sentence.", timeout=0.3)
    assert time.monotonic() - began < 5


def test_the_model_is_usable_after_a_stop(slow: XTTSBinding) -> None:
    with slow.stream_audio("One sentence.", stream_chunk_size=5) as stream:
        next(stream)
    with slow.stream_audio("One sentence.", stream_chunk_size=5, seed=1) as stream:
        first = next(stream)
    with slow.stream_audio("One sentence.", stream_chunk_size=5, seed=1) as stream:
        assert next(stream) == first


# --- models and their licence ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [models.XTTS_V2, "coqui/XTTS-v2"])
def test_a_model_that_is_named_needs_its_licence_accepted(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("COQUI_TOS_AGREED", raising=False)
    monkeypatch.setattr("sys.stdin", None)  # whoever asks there fails
    with XTTSBinding(name) as binding, pytest.raises(LicenseNotAcceptedError) as caught:
        binding.generate_audio("One.")
    for said in (name, "CPML", "non-commercial", "https://", "accept_license=True", "COQUI_TOS_AGREED=1"):
        assert said in str(caught.value)


@pytest.mark.parametrize("how", ["setting", "variable"])
def test_an_accepted_model_that_is_not_here_is_told_at_once(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COQUI_TOS_AGREED", "1" if how == "variable" else "0")
    with XTTSBinding(accept_license=how == "setting", local_files_only=True) as binding:
        import huggingface_hub  # noqa: F401 - not its import is to be timed

        began = time.monotonic()
        with pytest.raises(ModelNotFoundError, match=r"tts-hub/XTTS-v2.* path of a folder"):
            binding.generate_audio("One.")
        assert time.monotonic() - began < 2


NAMED = """
import json, sys
from lollms_xtts import XTTSBinding
with XTTSBinding(n_threads=1) as xtts:
    audio = xtts.generate_audio("One.", seed=1)
    print(json.dumps([audio.duration, xtts.list_voices()[0], audio.provenance.model, "torchcodec" in sys.modules]))
"""


def run(program: str, **environment: str) -> subprocess.CompletedProcess[str]:
    import os

    return subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, timeout=120, check=False,
        stdin=subprocess.DEVNULL, env={**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", **environment},
    )  # fmt: skip


def test_a_named_model_is_taken_from_the_hub_s_cache_and_nothing_is_printed(xtts_folder: Path, tmp_path: Path) -> None:
    cached = tmp_path / "models--tts-hub--XTTS-v2"
    (cached / "refs").mkdir(parents=True)
    (cached / "refs" / "main").write_text("0" * 40)
    shutil.copytree(xtts_folder, cached / "snapshots" / ("0" * 40))
    done = run(NAMED, HF_HUB_CACHE=str(tmp_path), COQUI_TOS_AGREED="1", PATH="")
    assert done.returncode == 0, done.stderr
    duration, voice, model, decoder = json.loads(done.stdout)
    assert duration > 0.1
    assert (voice, model) == ("Claribel Dervla", models.XTTS_V2)
    assert not decoder, "neither torchcodec nor the FFmpeg that it wants is used"
    assert done.stderr == ""


def test_models_are_found_by_folder(xtts_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(xtts_folder, tmp_path / "mine")
    with XTTSBinding("mine", models_path=tmp_path, n_threads=1) as binding:
        assert binding.list_models() == ["mine", *models.REPOSITORIES]
        assert binding.generate_audio("One.").duration > 0


def damaged(folder: Path, damage: str) -> None:
    if damage == "no weights":
        (folder / "model.pth").unlink()
    elif damage == "no vocabulary":
        (folder / "vocab.json").unlink()
    elif damage == "no configuration":
        (folder / "config.json").unlink()
    elif damage == "another model":
        (folder / "config.json").write_text('{"model": "vits"}')
    elif damage == "no JSON":
        (folder / "config.json").write_text("{")
    elif damage == "other sizes":
        config = json.loads((folder / "config.json").read_text())
        config["model_args"]["gpt_layers"] = 3
        (folder / "config.json").write_text(json.dumps(config))
    elif damage == "cut short":
        with (folder / "model.pth").open("r+b") as file:
            file.truncate(10_000_000)
    elif damage == "code":
        torch.save({"model": Trap()}, folder / "model.pth")
    elif damage == "code in the voices":
        torch.save({ANA: Trap()}, folder / "speakers_xtts.pth")


@pytest.mark.parametrize(
    "damage",
    ["no weights", "no vocabulary", "no configuration", "another model", "no JSON", "other sizes", "cut short", "code",
     "code in the voices"],
)  # fmt: skip
def test_a_model_that_is_none_is_told(xtts_folder: Path, tmp_path: Path, damage: str) -> None:
    folder = shutil.copytree(xtts_folder, tmp_path / "model")
    damaged(folder, damage)
    with XTTSBinding(folder, n_threads=1) as binding, pytest.raises(ModelNotFoundError) as caught:
        binding.generate_audio("One.")
    assert str(folder) in str(caught.value)
    if damage.startswith("code"):
        assert "could run anything" in str(caught.value)


# --- what coqui-tts needs beside it ---------------------------------------------------------------------------------

WITHOUT = """
import sys
from lollms_modalities import BindingDependencyError
from lollms_xtts import XTTSBinding
assert "torch" not in sys.modules and "TTS" not in sys.modules
try:
    XTTSBinding(sys.argv[1] if len(sys.argv) > 1 else MODEL).load()
except BindingDependencyError as exc:
    print(exc)
"""


def test_a_torchaudio_of_another_build_is_told(xtts_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "torchaudio.py").write_text("raise OSError('Could not load this library: _torchaudio.abi3.so')")
    done = run(f"MODEL = {str(xtts_folder)!r}\n{WITHOUT}", PYTHONPATH=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert "_torchaudio.abi3.so" in done.stdout
    assert "built for your torch" in done.stdout
    assert "pip install torchaudio --index-url" in done.stdout


def test_another_missing_package_is_told(xtts_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "coqpit.py").write_text("raise ImportError(\"No module named 'coqpit'\")")
    done = run(f"MODEL = {str(xtts_folder)!r}\n{WITHOUT}", PYTHONPATH=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert "coqui-tts cannot be imported: No module named 'coqpit'" in done.stdout
    assert "pip install --upgrade" in done.stdout
