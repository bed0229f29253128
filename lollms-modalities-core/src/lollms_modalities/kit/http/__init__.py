"""What bindings to services share (the extra ``http``): a client with time and size limits, retries and typed errors.

A call that is cancelled closes its connection at once. Nothing is imported from requests before the first request.
"""

from __future__ import annotations

from lollms_modalities.kit.http.address import clean_address as clean_address
from lollms_modalities.kit.http.client import Answer as Answer
from lollms_modalities.kit.http.client import HttpClient as HttpClient
from lollms_modalities.kit.http.upload import Upload as Upload
from lollms_modalities.kit.http.upload import image_upload as image_upload
