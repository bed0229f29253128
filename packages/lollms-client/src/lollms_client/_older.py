"""Keywords and names that ``LollmsClient`` and its package had in 0.x and 1.x, and what takes their place."""

from __future__ import annotations

TYPE_CHECKING = False  # without importing typing, which costs more than all the rest here
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, NoReturn

MODALITIES = ("tts", "tti", "stt", "ttm", "ttv")
_MODEL = "they concern the language model, which is not of this package"
_LOGGED = "the logger 'lollms_modalities' tells more"
_CERTIFICATE = "the environment variable SSL_CERT_FILE names a file of certificates"
_FILES = "paths are given where they are used"
_PROFILES = "give tts_binding_name= and tts_binding_config=, and update_tts_binding() to change them"

IGNORED: dict[str, str] = {
    **dict.fromkeys(
        "ai_name callback ctx_size extra_llms model_name n_predict n_threads repeat_last_n repeat_penalty seed stream "
        "streaming_callback temperature top_k top_p user_name".split(),
        _MODEL,
    ),
    **{
        f"{kind}_{rest}": "bindings of that kind are not of this package"
        for kind in ("connection", "mcp", "rag", "tools")
        for rest in ("binding_config", "binding_name", "bindings_dir", "binding_profiles", "model_profiles")
    },
    "debug": _LOGGED,
    "certificate_file_path": _CERTIFICATE,
    "cooperative_vram_management": "keep_alive= in a binding's config unloads its model after the last call",
    **dict.fromkeys(("cwd", "lollms_system_path", "system_dir"), _FILES),
    **{f"llm_{kind}_profiles": _MODEL for kind in ("binding", "model")},
    **{f"{modality}_{kind}_profiles": _PROFILES for modality in MODALITIES for kind in ("binding", "model")},
}
# With these something was wanted that does not happen.
WANTED = frozenset(name for name, instead in IGNORED.items() if instead in (_PROFILES, _CERTIFICATE))
HOSTS = {f"{modality}_host_address": modality for modality in MODALITIES}

# Attributes of a client, each with what takes its place. The language model and what was built on it:
_STAYS = "lollms-client<2 has it"
_TEXT = f"lc.binding is the language model where a distribution offers one; {_STAYS}"
_FETCHED = "models are fetched when first used, and `lollms pull` fetches them before"
_KINDS = ("llm", "tools", "connection", "rag")
NAMES: dict[str, str] = {
    **dict.fromkeys(
        "llm generate generate_text generate_from_messages generate_with_tools generate_with_images "
        "generate_with_tag generate_with_tags generate_completion generate_code generate_codes update_code "
        "generate_structured_content generate_structured_content_pydantic chat embed tokenize detokenize "
        "count_tokens count_image_tokens get_ctx_size get_model_details switch_active_model switch_model yes_no "
        "multichoice_question multichoice_ranking extract_code_blocks extract_thinking_blocks remove_thinking_blocks "
        "long_context_processing listMountedPersonalities listModels get_available_llm_bindings user_name ai_name "
        "user_full_header ai_full_header system_full_header has_vision_capability has_video_capability "
        "find_available_vlm get_or_generate_image_description enable_fast_token_estimate "
        "disable_fast_token_estimate".split(),
        _TEXT,
    ),
    **dict.fromkeys(
        "tools connection rag query_rag query_sparql add_document_to_rag add_text_to_rag get_rag_info "
        "send_connection_message list_connection_channels".split(),
        _STAYS,
    ),
    **dict.fromkeys([f"{kind}_binding_manager" for kind in _KINDS], _STAYS),
    **dict.fromkeys([f"update_{kind}_binding" for kind in _KINDS], _STAYS),
    **{f"{verb}_{kind}": _PROFILES for verb in ("switch", "mount") for kind in (*MODALITIES, *_KINDS)},
    **{f"{kind}_{what}_profiles_registry": _PROFILES for kind in MODALITIES for what in ("binding", "model")},
    **{f"ensure_{kind}": f"lc.{kind} is there from the start, or lc.unavailable says why not" for kind in MODALITIES},
    **dict.fromkeys("ttis tts_bindings stts ttms ttvs".split(), "a client has one binding of each kind"),
    "get_tti_engine_status": "lc.tti, and lc.unavailable where it is None",
    **dict.fromkeys(("install_model", "pull_model"), _FETCHED),
    **dict.fromkeys(("generate_song", "generate_song_from_lyrics"), "generate_music(prompt, lyrics=...)"),
    "transcribe_audio_with_diarization": "transcribe_audio(recording, diarize=True)",
    "edit_music": "generate_music(prompt, audio=..., start=..., end=...), where the model can",
    **dict.fromkeys(("edit_speech", "edit_video"), "no binding does that yet"),
    "generate_speech": "generate_audio",
    "generate_omni": "generate_image, and edit_image where images are given",
    "list_models": "lc.tts.list_models() and its siblings",
    "cancel": "cancel= of a call takes a CancelToken",
    "save_config": "the command `lollms` keeps a configuration of its own",
    **dict.fromkeys(("free_local_binding_resources", "ensure_model_loaded"), "lc.tts.load(), .unload() and their like"),
    "cooperative_vram_management": IGNORED["cooperative_vram_management"],
    "debug": _LOGGED,
    "system_dir": _FILES,
}
# Names of the package and of its modules in 1.x that have no place here.
GONE = frozenset(
    "LollmsBindingProfile LollmsModelProfile ELF_COMPLETION_FORMAT ELF_GENERATION_FORMAT LollmsDiscussion "
    "LollmsDataManager LollmsMessage LollmsMemoryManager MemoryConfig FailureMemory LollmsPersonality Agent "
    "AgentRole RAGDataSource CapabilityFlags SkillsManager SubAgentSpawner ModelSwitcher BindingToolsBuilder "
    "ToolsManager Skill Handbag PromptReshaper LollmsToolBinding LollmsTOOLBindingManager LollmsLLMBinding "
    "LollmsLLMBindingManager LollmsConnectionBinding LollmsConnectionBindingManager ConnectionSendResult "
    "ConnectionReceiveResult list_bindings get_binding_desc Workflow WorkflowNode WorkflowEdge NodeType "
    "WorkflowStatus GuardType WorkflowContext WorkflowEngine GuardViolationError create_file_organizer_workflow "
    "create_dual_model_review_workflow SENDER_TYPES SUMMARY_MODE LCPResult LollmsTTS LollmsXTTS LollmsTTI LollmsSTT "
    "TasksLibrary FunctionCalling_Library".split()
)
_INSTEAD = {
    **dict.fromkeys(("LollmsBindingProfile", "LollmsModelProfile"), _PROFILES),
    **dict.fromkeys(("list_bindings", "get_binding_desc"), "`lollms list` and the managers' get_available_bindings()"),
    **dict.fromkeys(("LollmsTTS", "LollmsXTTS"), "LollmsClient(tts_binding_name=...).tts"),
    "LollmsTTI": "LollmsClient(tti_binding_name=...).tti",
    "LollmsSTT": "LollmsClient(stt_binding_name=...).stt",
}


def refuse_name(name: str) -> None:
    """Tell of an attribute that a client had in 1.x.

    Raises:
        OlderNameError: it had that one.
    """
    if name in NAMES:
        from lollms_modalities.errors import OlderNameError

        raise OlderNameError(
            f"LollmsClient has no {name!r}, which lollms-client 1.x had.", hint=f"Instead: {NAMES[name]}."
        )


def refuse_import(module: str, name: str) -> NoReturn:
    """Tell of a name that a module of the package had in 1.x.

    Raises:
        ImportError: it had that one. An AttributeError would lose its message in ``from lollms_client import ...``.
        AttributeError: it had none of that name.
    """
    if name in GONE:
        instead = _INSTEAD.get(name, f"the language model and what was built on it are not of this package, {_STAYS}")
        raise ImportError(f"{name!r} is of lollms-client 1.x. Instead: {instead}.", name=module)
    raise AttributeError(f"module {module!r} has no attribute {name!r}")


def refuse_module(module: str) -> NoReturn:
    """Tell of a module of 1.x.

    Raises:
        ImportError: always.
    """
    raise ImportError(f"{module} is of lollms-client 1.x and not of this package: {_STAYS}.", name=module)


def tell(older: Mapping[str, Any]) -> None:
    """One log line for all that is ignored, and a warning for what was wanted and does not happen.

    Raises:
        TypeError: an unknown keyword.
    """
    unknown = [name for name in older if name not in IGNORED]
    if unknown:
        import difflib
        import inspect

        from lollms_client.client import LollmsClient

        known = [*inspect.signature(LollmsClient).parameters, *IGNORED, *HOSTS]
        close = difflib.get_close_matches(unknown[0], known, n=1)
        near = f" Did you mean {close[0]!r}?" if close else ""
        raise TypeError(f"LollmsClient() got an unexpected keyword argument {unknown[0]!r}.{near}")
    reasons: dict[str, list[str]] = {}
    for name in older:
        reasons.setdefault(IGNORED[name], []).append(repr(name))
    if reasons:
        import logging

        said = "; ".join(f"{', '.join(names)}: {why}" for why, names in reasons.items())
        logging.getLogger(__name__).info("LollmsClient does without keywords of lollms-client 1.x. %s.", said)
    lost = [name for name in older if name in WANTED and older[name]]
    if lost:
        said = "; ".join(f"{name!r}: {IGNORED[name]}" for name in lost)
        warn(f"LollmsClient does without what lollms-client 1.x had. {said}.", 5)


def warn(message: str, stacklevel: int) -> None:
    """Tell of something that 1.x did and that does not happen."""
    import warnings

    from lollms_modalities.errors import OlderKeywordWarning

    warnings.warn(OlderKeywordWarning(message), stacklevel=stacklevel)
