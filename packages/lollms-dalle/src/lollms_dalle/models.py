"""What each model takes: the core's table, which the binding to other servers uses too."""

from __future__ import annotations

from lollms_modalities.kit.http.image_models import DEFAULT as DEFAULT
from lollms_modalities.kit.http.image_models import MODELS as MODELS
from lollms_modalities.kit.http.image_models import UNKNOWN as UNKNOWN
from lollms_modalities.kit.http.image_models import Rules as Rules
from lollms_modalities.kit.http.image_models import nearest_size as nearest_size
from lollms_modalities.kit.http.image_models import rules_of as rules_of
from lollms_modalities.kit.http.image_models import size_of as size_of
