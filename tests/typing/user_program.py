"""A user's program, checked by strict mypy against the installed packages."""

from __future__ import annotations

from lollms_client import LollmsClient
from lollms_client.lollms_tts_binding import LollmsTTSBinding, LollmsTTSBindingManager
from lollms_client.stt_bindings.faster_whisper import FasterWhisperSTTBinding
from lollms_client.tts_bindings.piper_tts import PiperTTSBinding
from lollms_modalities import Audio, CancelToken, OptionError, Place, Progress, ServerPlace, SshPlace, Transcript


def show(progress: Progress) -> None:
    print(progress.stage, progress.fraction)


def speak(tts: LollmsTTSBinding, text: str) -> Audio:
    token = CancelToken()
    try:
        audio = tts.generate_audio(text, voice=None, progress=show, cancel=token, timeout=60)
    except OptionError as exc:
        print(exc.hint)
        raise
    print(audio.sample_rate, audio.duration, len(audio[44:]))
    if audio.provenance is not None:
        print(audio.provenance.engine_version)
    return audio


def main() -> None:
    lc = LollmsClient(tts_binding_name="piper", tts_binding_config={"n_threads": 1}, stt_binding_name="faster_whisper")
    if lc.tts and lc.stt:
        voices: list[str] = lc.tts.list_voices()[:5]
        said: Transcript = lc.stt.transcribe_audio(speak(lc.tts, "Hello"), timestamps="word")
        print(voices, said.upper(), [word.start for word in said.words], said.to_srt())
        for chunk in lc.tts.stream_audio("Hello"):
            print(chunk.samples.shape, chunk.text)
    piper = PiperTTSBinding.from_settings(PiperTTSBinding.Settings(n_threads=2))
    threads: int = piper.settings.n_threads
    with FasterWhisperSTTBinding(model_name=None, device="cpu") as whisper:
        print(whisper.settings.compute_type, threads)
    made: LollmsTTSBinding | None = LollmsTTSBindingManager().create_binding("piper")
    required: LollmsTTSBinding = LollmsTTSBindingManager().require_binding("piper")
    print(made, required)


async def elsewhere() -> None:
    manager = LollmsTTSBindingManager()
    made: LollmsTTSBinding | None = await manager.acreate_binding("piper", place="ssh://gpu-box")
    required: LollmsTTSBinding = await manager.arequire_binding("piper", place=SshPlace("ssh://me@gpu-box"))
    place: Place = SshPlace("ssh://gpu-box")
    served: LollmsTTSBinding = manager.require_binding("narrator", place=ServerPlace("https://gpu-box:9600"))
    with_options: LollmsTTSBinding | None = manager.create_binding("piper", place={"kind": "ssh://gpu-box"})
    print(made, required, place.shares_files, served, with_options)


async def twins(tts: LollmsTTSBinding) -> float:
    audio: Audio = await tts.agenerate_audio("Hello")
    total = 0.0
    async with tts.astream_audio("Hello") as stream:
        async for chunk in stream:
            total += chunk.duration
    return audio.duration + total
