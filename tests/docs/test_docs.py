"""What the documentation says about files, commands, errors and papers is so."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from trimtab.core import errors
from trimtab.recipes.base import RECIPES, load_recipe

REPO = Path(__file__).parents[2]
PAGES = [
    *sorted((REPO / "docs").rglob("*.md")),
    *(REPO / name for name in ("README.md", "CONTRIBUTING.md") if (REPO / name).is_file()),
]
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)
_HOLE = "\N{HORIZONTAL ELLIPSIS}"


def page_id(path: Path) -> str:
    return str(path.relative_to(REPO))


def blocks(page: Path, language: str) -> list[str]:
    return [code for found, code in _FENCE.findall(page.read_text()) if found == language]


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as code hosts make them."""
    heads = re.findall(r"^#+ (.+)$", _FENCE.sub("", page.read_text()), re.M)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_relative_links_lead_to_a_file_and_a_heading(page: Path) -> None:
    text = re.sub(r"`[^`\n]*`", "", _FENCE.sub("", page.read_text()))
    links = [link for link in re.findall(r"\]\(([^)\s]+)\)", text) if ":" not in link]
    links += [x for x in re.findall(r'(?:src|href)="([^"]+)"', text) if ":" not in x]
    for link in links:
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{page.name} links to {link}"
        if anchor and target.suffix == ".md":
            assert anchor in anchors(target), f"{page.name} links to {link}"


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_commands_exist(page: Path) -> None:
    from trimtab.cli.main import app

    known = {
        command.name or command.callback.__name__
        for command in app.registered_commands
        if command.callback is not None
    } | {group.name for group in app.registered_groups}
    fenced = [code for found, code in _FENCE.findall(page.read_text()) if found != "python"]
    spans = re.findall(r"`([^`\n]+)`", _FENCE.sub("", page.read_text()))
    said = re.findall(r"(?:^|[\s/])trimtab ([a-z][\w-]*)", "\n".join([*fenced, *spans]), re.M)
    assert set(said) <= known, f"{page.name}: {set(said) - known}"


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_yaml_examples_are_valid(page: Path, beside_extras: Path) -> None:
    for index, text in enumerate(blocks(page, "yaml")):
        data = yaml.safe_load(text)
        if text.startswith("recipe:"):
            assert data["recipe"] in RECIPES.names()
            path = beside_extras / f"{index}.yaml"
            path.write_text(text)
            assert load_recipe(path).config.name == data["name"]


@pytest.mark.parametrize(
    "path", sorted((REPO / "configs").rglob("*.yaml")), ids=lambda p: f"{p.parent.name}/{p.name}"
)
def test_shipped_configurations_are_valid_without_torch(path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from trimtab.recipes.base import load_recipe\n"
        "recipe = load_recipe(Path(sys.argv[1]))\n"
        "ships = all(m.id.startswith('bundled:') for m in recipe.config.subjects)\n"
        "task = recipe.config.model_dump().get('task', {})\n"
        "ships &= {**task, **task.get('config', {})}.get('source', 'bundled') == 'bundled'\n"
        "assert not ships or recipe.plan().plan.cells\n"
        "assert not {'torch', 'transformers', 'matplotlib'} & set(sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, cwd=REPO
    )
    assert done.returncode == 0, done.stderr


def subclasses(of: type) -> list[type]:
    return [of, *(child for sub in of.__subclasses__() for child in subclasses(sub))]


def test_errors_page_has_every_class_with_its_exit_code() -> None:
    page = (REPO / "docs" / "errors.md").read_text()
    told = re.findall(r"^\| (\d+) \| `(\w+)` \|", page, re.M)
    public = [c for c in subclasses(errors.TrimtabError) if c.__module__ == errors.__name__]
    assert sorted(told) == sorted({(str(c.exit_code), c.__name__) for c in public})
    codes = set(re.findall(r"^\| (\d+) \|", page, re.M))
    in_help = (REPO / "src/trimtab/cli/main.py").read_text().partition('"""')[2].partition('"""')[0]
    assert codes == set(re.findall(r"\b(\d+)\b", in_help))


def said_by_code() -> str:
    """Return every string in src, one a line, with a hole where a value is filled in."""
    texts = []
    for path in (REPO / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.JoinedStr):
                parts = [v.value if isinstance(v, ast.Constant) else _HOLE for v in node.values]
                texts.append("".join(map(str, parts)))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                texts.append(node.value)
    return "\n".join(text.replace(f"'{_HOLE}'", _HOLE) for text in texts)


def test_messages_on_the_errors_page_are_said_by_the_code() -> None:
    page = (REPO / "docs" / "errors.md").read_text().partition("## Messages")[2]
    messages = re.findall(r"^\| `([^`]+)` \|", page, re.M)
    code = said_by_code()
    assert len(messages) > 30
    assert [message for message in messages if message not in code] == []


def test_every_paper_that_the_code_cites_is_on_the_papers_page() -> None:
    cited = re.compile(r"\b\d{4}\.\d{5}\b")
    source = {
        number
        for path in (REPO / "src").rglob("*.py")
        for number in cited.findall(path.read_text())
    }
    page = (REPO / "docs" / "papers.md").read_text()
    assert source <= set(cited.findall(page))
    assert all(f"arXiv {number}" in page for number in source)


def test_positions_are_those_of_the_engine() -> None:
    torch = pytest.importorskip("torch")
    from trimtab.engine.batching.segments import span
    from trimtab.engine.request import Edit

    page = (REPO / "docs" / "concepts.md").read_text()
    rows = re.findall(
        r"^\| `(all|prompt|last_prompt|generated|after_prompt)` \|(.*)\|$", page, re.M
    )
    assert len(rows) == 5
    for name, marks in rows:
        told = [cell.strip() == "x" for cell in marks.split("|")]
        start, stop = span(Edit(0, torch.zeros(1), 1.0, name), 5)
        assert told == [start <= p < stop for p in range(8)], name
