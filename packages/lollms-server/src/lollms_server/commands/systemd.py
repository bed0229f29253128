"""``lollms serve systemd``: a unit, printed for whoever installs it."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from lollms_server.commands.output import out, say

_UNIT = """\
[Unit]
Description=Speech, transcription, images, music and video over HTTP
After=network-online.target
Wants=network-online.target

[Service]
Type=notify
ExecStart={command}
ExecReload=/bin/kill -HUP $MAINPID
Restart=on-failure
TimeoutStopSec={stop}
KillMode=mixed
UMask=0077
NoNewPrivileges=yes
PrivateTmp=yes
ProtectSystem=full
ProtectKernelTunables=yes
ProtectControlGroups=yes
RestrictSUIDSGID=yes

[Install]
WantedBy=default.target
"""


def run(given: argparse.Namespace) -> int:
    """Print the unit."""
    from lollms_server.commands.arguments import configured

    serve = configured(given).serve
    words = [str(Path(sys.executable).with_name("lollms")), "serve"]
    if given.config is not None:
        words += ["--config", str(given.config.absolute())]
    if given.port is not None:
        words += ["--port", str(given.port)]
    if given.socket is not None:
        words += ["--socket", str(given.socket.absolute())]
    out(_UNIT.format(command=" ".join(map(_quoted, words)), stop=round(serve.grace + 30)).rstrip("\n"))
    say("Write it to ~/.config/systemd/user/lollms.service, then: systemctl --user enable --now lollms")
    return 0


def _quoted(word: str) -> str:
    word = word.replace("%", "%%").replace("$", "$$")
    return (
        word
        if word.isascii() and all(c.isalnum() or c in "/._-=:%$" for c in word)
        else '"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"'
    )
