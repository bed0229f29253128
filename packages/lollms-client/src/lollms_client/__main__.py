"""``python -m lollms_client`` is the command ``lollms``, which begins here, too.

What a signal does is settled before anything of size is imported.
"""

from __future__ import annotations

import sys


def main() -> int:
    """Run the command ``lollms`` with the words of ``sys.argv``; its exit code."""
    from lollms_client.cli.signals import leave_at_once

    leave_at_once()
    from lollms_client.cli import main

    return main()


if __name__ == "__main__":
    sys.exit(main())
