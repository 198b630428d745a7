"""What holds for every section in the folder, on runs in every state; and for one of one's own."""

import json
import random
import re
from functools import cache
from pathlib import Path

import pytest
from contrasted_run import contrasted_run, trained_run
from reported_run import build_run

from trimtab.core import folder
from trimtab.core.errors import ConfigError
from trimtab.core.report import Spend, Stage, Usage
from trimtab.core.spec import Component
from trimtab.reports.data.run import RunData
from trimtab.reports.data.source import Making
from trimtab.reports.page.report import Report
from trimtab.reports.page.write import write_report
from trimtab.reports.sections.base import PARTS, SECTIONS, View, all_sections
from trimtab.runs.store.run import Run

KEPT = Path(__file__).parents[1] / "data" / "run_977cf48"
CODE = {"version": "1", "source": "abc", "commit": None, "dirty": None}
MAKING = Making(
    usage=[
        Usage(attempt=1, phase="fit", finished=True, seconds=1.0, rows=1, tokens=0, threads=None,
              other_load=None, peak_memory_mib=None, device=None, dtype=None)
    ],
    spending=[Spend("rubric-1", 1, 1, 0.1, 0.0, None)],
    stages=[Stage("fit", (1,), {"code": CODE})],
)  # fmt: skip
NOTHING_FOUND = re.compile(
    r"No effect|No treatment (improved|is known)|No side effect|not differ|Not shown|does not|null"
)
COULD_HAVE_FOUND = re.compile(
    r"no difference of any size could|would miss a true difference|too few answers differ to say"
    r"|could have been told|farther than"
)
PROJECTION = Component(name="projection", config={"layer": 1})
MEASURES = ("generation", "options", "heldout")


def nothing_done():
    """A run of which nothing is there but its plan."""
    return RunData(build_run(no_completions=set(labels()), measures=MEASURES))


def unfinished():
    """A run that lacks conditions and a judge."""
    return RunData(
        build_run(
            no_completions=("prompt", "caa +0.9"), no_scores=("rubric-2222",), measures=MEASURES
        )
    )


def labels():
    return [cell.condition for cell in build_run(measures=("heldout",)).plan.cells]


RUNS = {
    "nothing done": nothing_done,
    "unfinished": unfinished,
    "complete": lambda: RunData(build_run(measures=MEASURES), MAKING),
    "steering": lambda: RunData(Run.open(KEPT / "steering")),
    "best of n": lambda: RunData(Run.open(KEPT / "best_of_n")),
    "contrasts": lambda: RunData(contrasted_run(trained_run(random.Random(0)))),
    "projections": lambda: RunData(
        contrasted_run(trained_run(random.Random(1)), component=PROJECTION)
    ),
}


@pytest.fixture(scope="module", params=RUNS)
def run(request):
    return RUNS[request.param]()


@pytest.fixture(scope="module")
def again(run):
    """The same records, read a second time."""
    return RunData(run.source, run.making)


@cache
def twice(name):
    """Two runs of a state that know nothing of each other; sections share what they work out."""
    return RUNS[name](), RUNS[name]()


@pytest.fixture(params=SECTIONS.names())
def section(request):
    return SECTIONS.build(request.param, {})


def test_what_is_read_is_json_and_comes_back(section, run, again):
    content = section.read(run)
    if content is None:
        return
    shown = content.rounded()
    text = json.dumps(shown.to_data(), allow_nan=False)
    assert type(content).model_validate(json.loads(text)).to_data() == shown.to_data()
    assert shown.rounded() == shown
    assert section.read(again).rounded().to_data() == shown.to_data()


def test_what_is_shown_is_complete(section, run):
    content = section.read(run)
    if content is None:
        return
    view = View(content.rounded(), run)
    tables = [*section.tables(view), *section.headline(view), *section.fit_tables(run.source)]
    for table in tables:
        assert table.title and table.columns and not table.name.startswith(".")
        assert {len(row) for row in table.texts} <= {len(table.columns)}
        assert all("None" not in cell and "nan" not in cell.split() for row in table.texts
                   for cell in row), table.name  # fmt: skip
    names = [table.name for table in section.tables(view)]
    assert len(set(names)) == len(names)
    for figure in section.figures(view):
        assert figure.caption.endswith(".")
        assert {len(row) for row in figure.rows} <= {len(figure.columns)}
    for file in section.files(view):
        assert Path(file.name).name == file.name and file.text and file.about.endswith(".")
    for card in section.cards(view):
        assert card.name and card.detail
    finding = section.finding(view)
    assert finding is None or (finding.text[0].isupper() and finding.text.endswith("."))
    if finding is not None and NOTHING_FOUND.search(finding.text):
        assert COULD_HAVE_FOUND.search(finding.text), finding.text
    assert section.part in PARTS
    assert all(term and meaning.endswith(".") for term, meaning in section.terms)


def test_figures_are_equal_to_the_byte(section, tmp_path):
    for name in ("complete", "best of n", "contrasts"):
        files = []
        for folder_name, run in zip("ab", twice(name), strict=True):
            content, out = section.read(run), tmp_path / folder_name
            out.mkdir(exist_ok=True)
            if content is not None:
                view = View(content.rounded(), run)
                files.append([f for figure in section.figures(view) for f in figure.write(out)])
        for a, b in zip(*files, strict=True) if files else ():
            assert a.read_bytes() == b.read_bytes(), a.name


def test_every_section_has_something_to_say_about_some_run_but_few():
    spoken = {
        member.name for make in RUNS.values() for member in Report(make(), all_sections()).members
    }
    # their runs are made up in tests/unit/reports/sections
    assert set(SECTIONS.own_files) - spoken <= {
        *("bank", "behaviours", "grades", "growth", "learned", "periodogram", "search"),
        *("replicas", "sensitivity"),
        *("trainings", "training_curves", "transfer", "wireheading"),
    }


MINE = '''
"""How many answers there are, drawn."""

from trimtab.core.spec import Spec
from trimtab.reports.data.content import Content
from trimtab.reports.draw.figures import Figure
from trimtab.reports.draw.tables import Table
from trimtab.reports.sections.base import Finding, Section

__all__ = ["Mine"]


class MineConfig(Spec):
    least: int = 0


class MineContent(Content):
    answers: dict[str, int]


class Mine(Section[MineConfig, MineContent]):
    Config = MineConfig
    order = 5

    def read(self, run):
        counts = {}
        for block in run.blocks:
            for label, rows in block.conditions.items():
                counts[label] = counts.get(label, 0) + len(rows.completions)
        enough = {label: count for label, count in counts.items() if count >= self.config.least}
        return MineContent(answers=enough) if enough else None

    def tables(self, view):
        rows = tuple(view.content.answers.items())
        return [Table("mine", "Mine", ("condition", "answers"), rows)]

    def figures(self, view):
        rows = tuple(view.content.answers.items())

        def plot(canvas):
            canvas.subplots().bar([label for label, _ in rows], [count for _, count in rows])

        return [Figure("mine", "Answers.", ("condition", "answers"), rows, (6.0, 3.0), plot)]

    def finding(self, view):
        return Finding(99, f"There are {sum(view.content.answers.values())} answers.")
'''


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """Put a section with a figure into a folder of one's own."""
    monkeypatch.setattr(folder, "_extensions", [])
    (tmp_path / "extras" / "sections").mkdir(parents=True)
    (tmp_path / "extras" / "sections" / "mine.py").write_text(MINE)
    folder.add_extension(tmp_path / "extras")


def with_sections(*components):
    run = build_run(measures=("generation",))
    (fragment,) = run.plan.fragments
    fragment = fragment.model_copy(update={"sections": components})
    run.plan = run.plan.model_copy(update={"fragments": (fragment,)})
    return run


@pytest.mark.usefixtures("mine")
def test_a_section_of_ones_own_is_shown_where_the_plan_names_it(tmp_path):
    named = (Component(name="damage"), Component(name="mine", config={"least": 1}))
    written = write_report(with_sections(*named), [], tmp_path / "run")
    assert list(written.summary["sections"]) == ["damage", "mine"]
    assert written.summary["sections"]["mine"]["answers"]["baseline"] == 30
    assert written.summary["finding"] == "There are 300 answers."
    names = {path.name for path in written.files}
    assert {"mine.csv", "mine.svg", "mine.png", "damage.csv"} <= names
    assert "verdicts.csv" not in names and "strength.svg" not in names
    page = written.html.read_text(encoding="utf-8")
    assert "There are 300 answers." in page and 'aria-label="Answers."' in page
    assert page.index("<h3>Damage</h3>") < page.index("<h3>Mine</h3>")


@pytest.mark.usefixtures("mine")
def test_a_plan_that_names_no_section_shows_those_of_the_package():
    assert "mine" in SECTIONS.names()
    assert "mine" not in {component.name for component in all_sections()}
    with pytest.raises(ConfigError, match=r"no section 'mien'. Did you mean 'mine'"):
        Report(RunData(with_sections()), [Component(name="mien")])
