"""A process that renders one chat template and ends: what takes too long or too much ends it.

It reads ``[source, values]`` as JSON and writes ``{"text": ...}`` or ``{"error": ...}``.
"""

from __future__ import annotations

import json
import resource
import sys

from trimtab.models import bounded

_SECONDS = 2
_MOST_BYTES = 2**30


def main() -> None:
    """Render what standard input holds, within what the system then allows."""
    resource.setrlimit(resource.RLIMIT_CPU, (_SECONDS, _SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (_MOST_BYTES, _MOST_BYTES))
    source, values = json.loads(sys.stdin.buffer.read())
    try:
        said = {"text": bounded.render_here(source, values, anything=True)}
    except bounded.FAILURES as error:
        said = {"error": str(error) or type(error).__name__}
    sys.stdout.write(json.dumps(said))


if __name__ == "__main__":
    main()
