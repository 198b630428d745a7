"""What is imported when it is first used is there: a wrong name would be seen by a user alone."""

import ast
from pathlib import Path

SRC = Path(__file__).parents[2] / "src"


def test_every_name_of_ours_that_is_imported_late_exists() -> None:
    missing = []
    for path in sorted((SRC / "trimtab").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "lazy":
                name = ast.literal_eval(node.args[0])
                module = SRC.joinpath(*name.split("."))
                there = module.with_suffix(".py").is_file() or (module / "__init__.py").is_file()
                if name.startswith("trimtab.") and not there:
                    missing.append(f"{path.relative_to(SRC)}:{node.lineno} {name}")
    assert missing == []
