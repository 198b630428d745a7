"""Rooms that execute know no kind by name, and an underscore is private to its folder."""

import ast
from collections.abc import Iterator
from pathlib import Path

SRC = Path(__file__).parents[2] / "src" / "trimtab"
REGISTRIES = (
    "recipes", "tasks", "judges", "interventions", "reports/sections", "compute/cloud/providers"
)  # fmt: skip
EXECUTING = ("core", "runs", "reports/page", "reports/draw")

# Words of the field that also are the name of a member, each with what else it means there.
WORDS = {
    "prompt": "what a model is asked; what a control controls for",
    "random": "what a control controls for",
    "vector": "the artifact that is added to a model",
    "condition": "what is compared",
    "number": "a kind of metric",
    "none": "a setting that is off",
    "exact": "a way of comparing",
    "adapter": "the artifact that changes a model's weights",
    "divergence": "a number of each round of a training",
    "label": "a column of human judgements; one of two sides of a condition",
    "recorded": "what a file says of its candidates",
    "damage": "a role of metrics",
    "sensitivity": "the true positive rate of a judge",
    "energy": "the artifact of a fitted judge in runs of the first format",
}


def _modules(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (SRC / folder).rglob("*.py"))


def _members() -> dict[str, set[str]]:
    return {
        folder: {
            path.stem if path.is_file() else path.name
            for path in (SRC / folder).glob("[!_]*")
            if path.suffix == ".py" or (path / "__init__.py").is_file()
        }
        - {"base"}
        for folder in REGISTRIES
    }


def _imported(path: Path) -> Iterator[tuple[int, str]]:
    """Yield line and dotted name of everything of the package that a module imports."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("trimtab"):
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.Call) and getattr(node.func, "id", "") == "lazy":
            yield node.lineno, ast.literal_eval(node.args[0])


def test_what_executes_names_no_member_of_a_registry() -> None:
    members = _members()
    names = set().union(*members.values()) - WORDS.keys()
    dotted = {
        f"trimtab.{folder.replace('/', '.')}.{name}"
        for folder, some in members.items()
        for name in some
    }
    breaches = []
    for path in _modules(*EXECUTING):
        where = path.relative_to(SRC)
        breaches += [
            f"{where}:{line} imports {name}"
            for line, name in _imported(path)
            if any(name == one or name.startswith(f"{one}.") for one in dotted)
        ]
        breaches += [
            f"{where}:{node.lineno} says {node.value!r}"
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.Constant) and node.value in names
        ]
    assert breaches == []


def test_every_word_that_is_excused_is_needed() -> None:
    assert WORDS.keys() <= set().union(*_members().values())


def test_an_underscore_is_private_to_its_folder() -> None:
    breaches = []
    for path in sorted(SRC.rglob("*.py")):
        package = ".".join(("trimtab", *path.parent.relative_to(SRC).parts))
        for line, name in _imported(path):
            steps = name.split(".")
            private = [
                i for i, step in enumerate(steps) if step.startswith("_") and step != "__version__"
            ]
            if private and ".".join(steps[: private[0]]) not in (package, f"{package}.{path.stem}"):
                breaches.append(f"{path.relative_to(SRC)}:{line} imports {name}")
    assert breaches == []


def test_patterns_of_configurations_are_of_the_whole_value() -> None:
    """pydantic looks for a pattern anywhere in a value."""
    found = {
        (path.name, word.value.value)
        for path in SRC.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Field"
        for word in node.keywords
        if word.arg == "pattern" and isinstance(word.value, ast.Constant)
    }
    assert found
    assert {at for at in found if not (at[1].startswith("^") and at[1].endswith("$"))} == set()
