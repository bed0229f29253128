from __future__ import annotations

import copy
import json
import pickle

import pytest
from lollms_modalities import errors
from lollms_modalities.errors import LollmsError, ServiceError, ServiceRateLimitError

KINDS = {
    errors.BindingNotFoundError: LookupError,
    errors.BindingIncompatibleError: ImportError,
    errors.BindingDependencyError: ImportError,
    errors.BindingBrokenError: ImportError,
    errors.SettingsError: ValueError,
    errors.OptionError: ValueError,
    errors.MediaError: ValueError,
    errors.ModelNotFoundError: FileNotFoundError,
    errors.AudioFileNotFoundError: FileNotFoundError,
    errors.VoiceNotFoundError: LookupError,
    errors.LicenseNotAcceptedError: PermissionError,
    errors.BusyError: RuntimeError,
    errors.BindingClosedError: RuntimeError,
    errors.GenerationError: RuntimeError,
    errors.PluginRefused: RuntimeError,
    errors.CallCancelled: RuntimeError,
    errors.CallTimeout: TimeoutError,
    errors.ServiceError: ConnectionError,
    errors.UnsupportedError: NotImplementedError,
    errors.WorkerCrashedError: RuntimeError,
    errors.PlaceError: ConnectionError,
}
ALL = [c for c in vars(errors).values() if isinstance(c, type) and issubclass(c, LollmsError)]


@pytest.mark.parametrize(("cls", "builtin"), KINDS.items(), ids=lambda c: c.__name__)
def test_each_is_also_of_the_builtin_kind_that_a_caller_would_catch(
    cls: type[LollmsError], builtin: type[Exception]
) -> None:
    with pytest.raises(builtin):
        raise cls("asked and found.", hint="Do this.")


@pytest.mark.parametrize("cls", ALL, ids=lambda c: c.__name__)
def test_copies_pickles_and_comes_back_from_json(cls: type[LollmsError]) -> None:
    error = cls("asked and found.", hint="Do this.", names=["a"])
    error.__cause__ = ValueError("why")
    for again in (
        copy.copy(error),
        copy.deepcopy(error),
        *(pickle.loads(pickle.dumps(error, protocol)) for protocol in range(pickle.HIGHEST_PROTOCOL + 1)),
        LollmsError.from_json(json.loads(json.dumps(error.to_json()))),
    ):
        assert type(again) is cls
        assert str(again) == "asked and found. Do this."
        assert again.names == ["a"]  # type: ignore[attr-defined]
        assert again.remote_type == ""
    assert isinstance(pickle.loads(pickle.dumps(error)).__cause__, ValueError)


def test_a_service_error_keeps_what_a_retry_needs() -> None:
    error = ServiceRateLimitError("slow down", status=429, retryable=True, retry_after=2.5)
    again = LollmsError.from_json(error.to_json())
    assert isinstance(again, ServiceRateLimitError)
    assert (again.status, again.retryable, again.retry_after) == (429, True, 2.5)


def test_an_unknown_class_arrives_as_its_nearest_known_ancestor() -> None:
    told = ServiceError("no", status=500).to_json()
    told["types"].insert(0, "elsewhere.OddServiceError")
    again = LollmsError.from_json(told)
    assert type(again) is ServiceError
    assert again.remote_type == "elsewhere.OddServiceError"
