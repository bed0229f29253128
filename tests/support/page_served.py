"""What is served to the page in its tests."""

from __future__ import annotations

from serving import SERVE, Server, models

SENTENCE = "Glue the sheet to the dark blue background."
CONFIGURATION = (
    SERVE
    + '[models.piper]\nbinding = "piper"\nsettings = { default_noise_scale = 0, default_noise_w_scale = 0 }\n'
    + '[models.ears]\nbinding = "faster_whisper"\n'
    + models("counting", mouth="tts", counting="stt", eyes="tti", films="ttv")
    + models("various", various="tts")
    + models("example", blocks="tti", chord="ttm", flicker="ttv")
)


class Keyed:
    """A server that asks for keys, with one of a user and one of an admin."""

    def __init__(self, server: Server, user: str, admin: str) -> None:
        self.server, self.user, self.admin = server, user, admin
