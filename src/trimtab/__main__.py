"""``trimtab`` and ``python -m trimtab``: signals are caught before anything slow is imported."""

from __future__ import annotations

import sys

from trimtab.core import stopping


def main() -> None:
    """Run the command line."""
    stopping.catch()
    try:
        from trimtab.cli.main import main as run
    except KeyboardInterrupt:
        number = stopping.received()
        sys.stderr.write("interrupted before anything was begun\n")
        sys.exit(128 + (number or 2))
    run()


if __name__ == "__main__":
    main()
