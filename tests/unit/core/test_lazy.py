"""A lazy module is imported by the first look into it, not before."""

import subprocess
import sys

import pytest

from trimtab.core.lazy import lazy


def test_nothing_is_imported_until_an_attribute_is_wanted() -> None:
    code = (
        "import sys\n"
        "from trimtab.core.lazy import lazy\n"
        "colors = lazy('colorsys')\n"
        "assert 'colorsys' not in sys.modules\n"
        "assert colors.rgb_to_hsv(0, 0, 1)[2] == 1\n"
        "import colorsys\n"
        "assert colors.rgb_to_hsv is colorsys.rgb_to_hsv\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_what_is_not_there_is_missed_by_its_own_name() -> None:
    with pytest.raises(ModuleNotFoundError, match="no_such_library"):
        lazy("no_such_library").anything  # noqa: B018
    with pytest.raises(AttributeError, match="no_such_function"):
        lazy("colorsys").no_such_function  # noqa: B018
