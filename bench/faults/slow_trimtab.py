"""trimtab as jobs of a campaign call it: rows come slowly, claims lapse soon, memory may run out.

What takes a tiny model milliseconds is to last long enough to be disturbed. A worker that finds the
file ``hog`` beside its run removes it and takes more memory than any job may have.
"""

import sys
import time
from pathlib import Path

ROW_S = 0.3
TTL_S = 10.0
HOG = "hog"
HOG_BYTES = 4 << 30


def disturb(run: Path) -> None:
    """Change this process alone; what it writes stays the same."""
    from trimtab.runs.store import claims
    from trimtab.runs.work.segments import Segments

    for function in (claims.claim.__wrapped__, claims.holder_of):
        function.__kwdefaults__["ttl"] = TTL_S
    write = Segments.write

    def slowly(self, row, fence):
        time.sleep(ROW_S)
        if (run.parent / HOG).exists():
            (run.parent / HOG).unlink()
            taken = b"x" * HOG_BYTES
            time.sleep(60)
            del taken
        write(self, row, fence)

    Segments.write = slowly


if __name__ == "__main__":
    from trimtab.cli.main import main

    if sys.argv[1] == "work":
        disturb(Path(sys.argv[2]))
    main()
