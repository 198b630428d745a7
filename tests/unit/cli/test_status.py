"""``status`` is asked often, so it imports little. What it says is tested with whole runs."""

import subprocess
import sys


def test_it_imports_nothing_that_takes_long() -> None:
    code = (
        "import sys\n"
        "import trimtab.cli.status\n"
        "slow = {'numpy', 'torch', 'transformers', 'matplotlib', 'scipy', 'trimtab.models.load'}\n"
        "print(sorted(slow & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
