"""``python -m lollms_client`` is the command ``lollms``."""

from __future__ import annotations

import sys

from lollms_client.cli import main

sys.exit(main())
