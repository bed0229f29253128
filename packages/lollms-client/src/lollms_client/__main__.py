"""``python -m lollms_client`` is the command ``lollms``, which begins here, too.

What a signal does is settled before anything of size is imported.
"""

from __future__ import annotations

import os
import sys


def main() -> int:
    """Run the command ``lollms`` with the words of ``sys.argv``; its exit code."""
    from lollms_client.cli.signals import leave_at_once

    leave_at_once()
    # pydantic looks for plug-ins of its own in every distribution that is installed.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    from lollms_client.cli import main

    return main()


if __name__ == "__main__":
    sys.exit(main())
