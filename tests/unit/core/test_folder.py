"""A folder is a registry: names are files, and folders of one's own count as well."""

from collections.abc import Callable
from pathlib import Path

import pytest

from trimtab.core import folder
from trimtab.core.errors import ConfigError
from trimtab.judges.base import JUDGES

MEMBER = """
from trimtab.core.spec import Spec

__all__ = ["Mine"]


class MineConfig(Spec):
    size: int = 1


class Mine:
    Config = MineConfig

    def __init__(self, config):
        self.config = config
"""

Write = Callable[[str, str], Path]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Return a function that writes judges/<name>.py into a folder named in TRIMTAB_PATH."""
    monkeypatch.setattr(folder, "_extensions", [])
    monkeypatch.setenv("TRIMTAB_PATH", str(tmp_path))
    (tmp_path / "judges").mkdir()

    def write(name: str, code: str) -> Path:
        path = tmp_path / "judges" / f"{name}.py"
        path.write_text(code)
        return path

    return write


def test_members_are_listed_without_being_imported(write: Write) -> None:
    write("explodes", "raise RuntimeError('imported')")
    write("_shared", "raise RuntimeError('imported')")
    files = JUDGES.files()
    assert {"exact", "explodes"} <= files.keys()
    assert not {"base", "__init__", "_shared"} & files.keys()


def test_a_member_of_ones_own_is_built_with_its_own_configuration(write: Write) -> None:
    write("mine", MEMBER)
    assert JUDGES.build("mine", {"size": 3}).config.size == 3
    assert JUDGES.load("mine") is JUDGES.load("mine")
    with pytest.raises(ConfigError, match=r"judge 'mine': unknown key 'sise'.*'size'"):
        JUDGES.build("mine", {"sise": 3})


def test_a_package_is_a_member_whose_init_lists_the_class(write: Write, tmp_path: Path) -> None:
    package = tmp_path / "judges" / "large"
    package.mkdir()
    (package / "__init__.py").write_text(MEMBER + "\nfrom .parts import SIZE\nMine.size = SIZE\n")
    (package / "parts.py").write_text("SIZE = 7\n")
    (tmp_path / "judges" / "data").mkdir()
    files = JUDGES.files()
    assert files["large"] == package / "__init__.py"
    assert not {"data", "parts"} & files.keys() and "large" not in JUDGES.own_files
    assert JUDGES.load("large").size == 7
    assert JUDGES.build("large", {"size": 3}).config.size == 3


def test_a_folder_inside_a_package_is_called_by_its_end_outside(
    write: Write, tmp_path: Path
) -> None:
    (tmp_path / "sections").mkdir()
    (tmp_path / "sections" / "mine.py").write_text(MEMBER)
    sections = folder.Folder("reports/sections", "section")
    assert sections.files()["mine"] == tmp_path / "sections" / "mine.py"
    assert sections.load("mine").__name__ == "Mine"
    assert sections.load("effects").__module__ == "trimtab.reports.sections.effects"
    with pytest.raises(ConfigError, match=r"create sections/yours.py in a TRIMTAB_PATH folder"):
        sections.load("yours")


def test_the_packages_own_members_win(write: Write) -> None:
    path = write("exact", MEMBER)
    assert JUDGES.files()["exact"] != path
    assert JUDGES.load("exact").__name__ == "Exact"


def test_two_folders_with_equal_names_are_two_modules(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("mine", MEMBER)
    first = JUDGES.load("mine")
    other = tmp_path / "other"
    (other / "judges").mkdir(parents=True)
    (other / "judges" / "mine.py").write_text(MEMBER)
    monkeypatch.setenv("TRIMTAB_PATH", str(other))
    assert JUDGES.load("mine") is not first


@pytest.mark.parametrize("code", ["", "__all__ = ['A', 'B']\nA = B = int", "__all__ = ['Gone']"])
def test_a_file_must_export_one_class(write: Write, code: str) -> None:
    path = write(f"odd{len(code)}", code)
    with pytest.raises(ConfigError, match="exactly one class in __all__") as error:
        JUDGES.load(path.stem)
    assert str(path) in str(error.value)


def test_a_member_that_fails_to_import_is_tried_again(write: Write) -> None:
    path = write("mended", "raise RuntimeError('not yet')")
    with pytest.raises(ConfigError, match="not yet"):
        JUDGES.load("mended")
    path.write_text(MEMBER + "# mended\n")
    assert JUDGES.load("mended").__name__ == "Mine"


def test_unknown_names_and_folders_are_told(write: Write, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no judge 'exakt'. Did you mean 'exact'\?"):
        JUDGES.load("exakt")
    with pytest.raises(ConfigError, match="does not exist"):
        folder.add_extension(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("def (", r"line 1: SyntaxError"),
        ("x = 1\nimport no_such_library", r"line 2: ModuleNotFoundError: .*no_such_library"),
        ("raise SystemExit(3)", r"line 1: SystemExit: 3"),
        ("1 / 0", r"ZeroDivisionError"),
        ("__all__ = ['a']\na = 5", r"exactly one class"),
        ("__all__ = 7 * ['a']\nclass a: pass", r"exactly one class"),
        ("__all__ = ['a']\nclass a: pass", r"no whole judge: it lacks Config"),
        ("\0", r"can't be imported"),
    ],
)
def test_a_broken_file_is_named_with_what_is_wrong(write: Write, code: str, words: str) -> None:
    path = write("broken", code)
    with pytest.raises(ConfigError, match=words) as caught:
        JUDGES.load("broken")
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)
    assert JUDGES.fault("broken") == caught.value.message
    assert JUDGES.fault("exact") is None


def test_a_class_that_lacks_methods_says_which(write: Write) -> None:
    code = (
        "from trimtab.judges.base import Judge\n__all__ = ['A']\nclass A(Judge):\n    Config = int"
    )
    write("half", code)
    with pytest.raises(ConfigError, match=r"no whole judge: it lacks .*metrics"):
        JUDGES.load("half")


def test_what_is_no_file_is_no_member(write: Write) -> None:
    path = write("mine", MEMBER)
    (path.parent / "dangling.py").symlink_to("/nowhere")
    (path.parent / "folder.py").mkdir()
    assert not {"dangling", "folder"} & JUDGES.files().keys()
