"""A newcomer's path: what the quickstart prints works as printed, and each mistake is one line.

All in this process, where commands take a tenth of a second; ``test_mistakes`` starts real ones.
"""

import json
import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from trimtab.cli import failures
from trimtab.cli.main import app
from trimtab.core import folder
from trimtab.models import weights

_FENCE = re.compile(r"^```(yaml|csv)\n(.*?)^```$", re.M | re.S)
_ROW = re.compile(r"^\| `(trimtab [^`]+)` \|", re.M)

QUICK = """recipe: truthfulqa_steering
name: quick
model: bundled:smollm2-135m-instruct
task: {source: questions.csv}
heldout: {limit: 2}
steering: {layer: 15, strengths: [-0.2, 0.2]}
controls: {random_draws: 1}
judges: [text_health]
"""
HEADER = "Question,Best Answer,Correct Answers,Incorrect Answers"
_ANEW = ("checks.json", "SHA256SUMS")
API = "price: free, api_key_env: TRIMTAB_TEST_NO_SUCH_KEY"


@dataclass(frozen=True)
class Said:
    """How a command ended, and what it said where."""

    code: int
    out: str
    err: str


Trimtab = Callable[..., Said]


@pytest.fixture
def trimtab(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Trimtab:
    """Return what runs a command as the command line does."""
    monkeypatch.setattr(folder, "_extensions", [])

    def run(*words: str) -> Said:
        monkeypatch.setattr("sys.argv", ["trimtab", *words])
        code = failures.run(app)
        said = capsys.readouterr()
        return Said(code, said.out, said.err)

    return run


@pytest.fixture(scope="session")
def quickstart(repo: Path) -> str:
    return (repo / "docs" / "quickstart.md").read_text()


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quickstart: str) -> Path:
    """Return a folder, worked in, with the quickstart's questions and a small experiment."""
    place = tmp_path / "work"
    place.mkdir()
    monkeypatch.chdir(place)
    monkeypatch.setenv("TRIMTAB_HOME", str(tmp_path / "home"))
    (place / "questions.csv").write_text(printed(quickstart, "csv"))
    (place / "quick.yaml").write_text(QUICK)
    return place


def printed(page: str, language: str) -> str:
    """Return the first block of a language on a page."""
    return next(text for found, text in _FENCE.findall(page) if found == language)


def tree(root: Path) -> dict[str, bytes]:
    """Return the files below a folder, without what is hidden or kept anew at each phase."""
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and not path.name.startswith(".") and path.name not in _ANEW
    }


# ------------------------------------------------------------------------------ as it is printed


def test_the_quickstarts_file_and_questions_plan_as_printed(
    here: Path, trimtab: Trimtab, quickstart: str
) -> None:
    (here / "my.yaml").write_text(printed(quickstart, "yaml"))
    said = trimtab("plan", "my.yaml")
    assert said.code == 0, said.err
    assert "'two_option' is left out" in said.out, "the questions name no best wrong answer"
    assert "4 fit / 4 test questions" in said.out
    assert "no effect can be established" in said.out
    assert not [path for path in here.iterdir() if path.is_dir()]


def test_the_quickstarts_commands_work_one_after_the_other(
    here: Path, trimtab: Trimtab, quickstart: str, tiny_model: Path
) -> None:
    commands = [shlex.split(line)[1:] for line in _ROW.findall(quickstart)]
    assert [words[0] for words in commands] == [
        *("new", "plan", "run", "run", "resume", "status", "score", "report"),
        *("vectors", "list", "show"),
    ]
    # a model that is random and tiny in the place of the one that is printed
    small = ("steering.layer=1", "task.max_tokens=4", "controls.random_draws=1", "heldout.limit=2")
    smaller = [f"model={{id: {tiny_model}, device: cpu}}", "judges=[text_health]", *small]
    smaller.append("measures=[generation]")
    for words in commands:
        more = [x for o in smaller for x in ("-o", o)] if words[0] in ("plan", "run") else []
        if "runs/small" in words:
            more += ["-o", "measures=[options]"]
        said = trimtab(*words, *more)
        assert said.code == 0, (words, said.err)
        if words[0] == "new":
            (here / "my.yaml").write_text(printed(quickstart, "yaml"))
    assert (here / "runs/my/report/index.html").stat().st_size > 10_000
    assert (here / "runs/small/report/report.md").is_file() and (here / "v.gguf").is_file()


def test_a_baseline_alone_is_a_run(here: Path, trimtab: Trimtab, tiny_model: Path) -> None:
    alone = ["steering.strengths=[]", "controls.prompt=null", "measures=[options]"]
    overrides = [f"model={{id: {tiny_model}, device: cpu}}", *alone]
    said = trimtab("run", "quick.yaml", *(x for o in overrides for x in ("-o", o)))
    assert said.code == 0, said.err
    (run,) = (here / "runs").iterdir()
    assert run.name.startswith("quick-2")
    summary = json.loads((run / "summary.json").read_text())
    assert [c["condition"] for c in summary["conditions"]] == ["baseline"]
    assert trimtab("resume", str(run)).code == 0


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-8"])
def test_what_spreadsheets_save_is_read(here: Path, trimtab: Trimtab, encoding: str) -> None:
    rows = (here / "questions.csv").read_text().replace("\n", "\r\n")
    (here / "questions.csv").write_bytes(rows.encode(encoding))
    said = trimtab("plan", "quick.yaml")
    assert said.code == 0, said.err


# -------------------------------------------------------------------------------------- mistakes


def one_line(said: Said, code: int, words: list[str]) -> None:
    """Check that a command ended as documented, with a line that names what is wrong."""
    assert said.code == code, said
    assert said.err.startswith("error: ") and said.err.count("\n") == 1, said.err
    assert len(said.err) < 1000 and "unforeseen" not in said.err and "Traceback" not in said.err
    assert not [word for word in words if word not in said.err], said.err


@pytest.fixture
def careful(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no weights be read."""

    def read_weights(*_: object) -> None:
        raise AssertionError("weights were read before the mistake was told")

    monkeypatch.setattr(weights, "read_weights", read_weights)


@pytest.mark.usefixtures("careful")
@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("model:", "modle:", ["unknown key 'modle'", "'model'"]),
        ("layer:", "layr:", ["unknown key 'steering.layr'", "'layer'"]),
        ("truthfulqa_steering", "truthfulqa", ["'truthfulqa'", "'truthfulqa_steering'"]),
        ("recipe: truthfulqa_steering\n", "", ["'recipe' is missing", "steer"]),
        ("name: quick", "name: quick\nname: quick", ["line 3", "'name' occurs twice"]),
        ("heldout: {limit: 2}", "heldout:\n\tlimit: 2", ["line 6", "'\\t'"]),
        ("heldout:", "heldout: [", ["quick.yaml", "line"]),
        ("model:", "models: [a/b]\nmodel:", ["either `model` or `models`"]),
        ("bundled:smollm2-135m-instruct", "", ["either `model` or `models`"]),
        ("{source: questions.csv}", "questions.csv", ["task", "mapping"]),
        ("[text_health]", "[text_helth]", ["'text_helth'", "'text_health'"]),
        ("[text_health]", "[exact, exact]", ["'exact-", "occurs twice"]),
        ("[text_health]", "[{name: rubric}]", ["'rubric' is missing"]),
        ("[text_health]", "[{name: rubric, rubric: thruth}]", ["'thruth'", "'truth'"]),
        ("[text_health]", "[{name: rubric, rubric: my.md}]", ["my.md' does not exist"]),
        ("[text_health]", "[{name: energy, trained: gone}]", ["gone", "model.safetensors"]),
        ("[text_health]", "[{name: tfidf}]", ["'tfidf'", "labelled"]),
        (
            "[text_health]",
            "[{name: rubric, rubric: truth, endpoint: {base_url: local, model: m, price: free}}]",
            ["base_url", "http"],
        ),
        (
            "[text_health]",
            "[{name: rubric, rubric: truth, endpoint: {base_url: 'http://x/v1', model: m}}]",
            ["price", "missing"],
        ),
        ("judges:", "conditions: {x: {name: cca}}\njudges:", ["'cca'", "'caa'"]),
        ("judges:", "conditions: {x: {name: vector, file: gone}}\njudges:", ["/gone", "not exist"]),
        ("judges:", "extensions: [mine]\njudges:", ["mine", "does not exist"]),
        ("judges:", "measures: [option]\njudges:", ["'option'", "'options'"]),
        ("QUICK", "- a\n- b\n", ["mapping of keys to values"]),
    ],
)
def test_a_mistake_in_the_file(
    here: Path, trimtab: Trimtab, old: str, new: str, words: list[str]
) -> None:
    text = QUICK.replace(old, new) if old in QUICK else new
    (here / "quick.yaml").write_text(text)
    before = tree(here)
    one_line(trimtab("run", "quick.yaml", "--out", "run"), 2, words)
    assert tree(here) == before and not (here / "run").exists()


@pytest.mark.usefixtures("careful")
@pytest.mark.parametrize(
    ("override", "code", "words"),
    [
        ("task.limt=5", 2, ["'limt'", "'limit'"]),
        ("task.limit", 2, ["'task.limit'", "key=value"]),
        ("task.limit=many", 2, ["limit = 'many'", "integer"]),
        ("task.limit=0", 2, ["limit = 0", "greater than or equal to 1"]),
        ("task.max_tokens=-5", 2, ["max_tokens = -5"]),
        ("task.limit=[1", 2, ["task.limit=[1"]),
        ("name.first=x", 2, ["name"]),
        ("seed=-1", 2, ["seed = -1"]),
        ("steering.layer=30", 2, ["layer = 30", "30 layers", "29"]),
        ("steering.strengths=[0]", 2, ["steering.strengths", "not 0"]),
        ("steering.strengths=[a]", 2, ["steering.strengths", "'a'"]),
        ("steering.strengths=0.2", 2, ["steering.strengths", "must be a list"]),
        ("steering.positions=everywhere", 2, ["positions = 'everywhere'", "'generated'"]),
        ("task.fractions={fit: 0.5, select: 0, test: 0.4}", 2, ["must be 1", "0.9"]),
        ("task.fractions={fit: 1, select: 0, test: 0}", 2, ["'test'", "empty", "fractions"]),
        ("task.source=gone.csv", 2, ["gone.csv' does not exist", "task.source"]),
        ("task.source=.", 2, ["TruthfulQA.csv", "does not exist"]),
        ("task.source=questions.xlsx", 2, ["questions.xlsx", ".csv"]),
        ("model=bundled:smolm2", 3, ["'smolm2'", "smollm2"]),
        ("model=preset:gemma-3-4b", 3, ["gemma-3-4b-it"]),
        ("model=./gone", 3, ["gone' does not exist"]),
        ("model=.", 3, ["config.json"]),
        ("model=questions.csv", 3, ["questions.csv", "GGUF"]),
        ("model=org/nowhere", 3, ["'org/nowhere'", "hub can't be reached", "bundled:"]),
        ("model=not a model", 3, ["'not a model'", "hub id"]),
        ("model.dtype=float8", 2, ["dtype = 'float8'", "'float32'"]),
        ("model.device=gpu", 2, ["device = 'gpu'", "'cuda'"]),
    ],
)
def test_a_mistake_in_an_override(
    here: Path, trimtab: Trimtab, override: str, code: int, words: list[str]
) -> None:
    before = tree(here)
    one_line(trimtab("run", "quick.yaml", "-o", override), code, words)
    assert tree(here) == before and not (here / "runs").exists()


@pytest.mark.usefixtures("careful")
@pytest.mark.parametrize(
    ("content", "words"),
    [
        (HEADER.replace("Best Answer", "Answer") + "\n", ["'Best Answer'", "found: Question"]),
        (HEADER.replace(",", ";") + "\n", ["'Question'", "semicolons", "commas"]),
        (HEADER.replace(",", "\t") + "\n", ["'Question'", "tabs", "commas"]),
        (HEADER + "\nOne?,Yes\n", ["line 2", "4 fields"]),
        (HEADER + "\nCaf\xe9?,Yes,Yes,No\n", ["line 2", "not UTF-8", "Save it as UTF-8"]),
        ("utf-16", ["line 1", "not UTF-8"]),
        (HEADER + '\n"One?,Yes,Yes,No\n', ["line 2"]),
        (HEADER + "\nOne?,Yes,Yes,No\n", ["split", "empty", "fractions"]),
        (HEADER + "\n", ["questions.csv"]),
        ("", ["questions.csv", "is empty"]),
        (HEADER + "\nOne?,Yes,Yes,\n", ["line 2"]),
    ],
)
def test_a_mistake_in_the_questions(
    here: Path, trimtab: Trimtab, content: str, words: list[str]
) -> None:
    data = HEADER.encode("utf-16") if content == "utf-16" else content.encode("latin-1")
    (here / "questions.csv").write_bytes(data)
    before = tree(here)
    one_line(trimtab("run", "quick.yaml"), 2, words)
    assert tree(here) == before and not (here / "runs").exists()


@pytest.mark.usefixtures("careful")
@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (['{"question": "One?"}'], ["line 1", "'best_answer'", "accepted: id, category"]),
        (['{"question": "One?"', ""], ["line 1", "not valid JSON"]),
        (["[]"], ["line 1", "must be an object"]),
    ],
)
def test_a_mistake_in_json_lines(
    here: Path, trimtab: Trimtab, lines: list[str], words: list[str]
) -> None:
    (here / "questions.jsonl").write_text("\n".join(lines))
    one_line(trimtab("plan", "quick.yaml", "-o", "task.source=questions.jsonl"), 2, words)


@pytest.mark.usefixtures("careful")
@pytest.mark.parametrize(
    ("command", "code", "words"),
    [
        ("rum quick.yaml", 2, ["rum"]),
        ("run", 2, ["Give either an experiment file or --from"]),
        ("run gone.yaml", 2, ["gone.yaml' does not exist"]),
        ("run .", 2, ["can't be read", "directory"]),
        ("run quick.yaml quick.yaml", 2, ["quick.yaml"]),
        ("run quick.yaml --limit 5", 2, ["--limit"]),
        ("run quick.yaml --out full", 6, ["full is not empty", "letter.txt"]),
        ("run quick.yaml --out other", 6, ["other is not empty", "not a run"]),
        ("run quick.yaml --out questions.csv", 6, ["questions.csv can't be a run"]),
        ("run quick.yaml --out /proc/none/run", 6, ["/proc/none"]),
        ("run quick.yaml --out planned", 6, ["planned holds this run already", "resume"]),
        ("run quick.yaml --out planned -o seed=1", 6, ["planned holds another run"]),
        ("run quick.yaml --reuse old", 2, ["No row of", "belongs"]),
        ("resume gone", 6, ["gone", "run"]),
        ("resume full", 6, ["full is not a run"]),
        ("resume other", 6, ["other is not a run"]),
        ("resume quick.yaml", 6, ["quick.yaml"]),
        ("resume planned -o seed=1", 2, ["-o"]),
        ("report gone", 6, ["gone"]),
        ("status full", 6, ["full is not a run"]),
        ("verify full", 6, ["full is not a run"]),
        ("generate planned", 6, ["trimtab fit planned"]),
        ("score old --judge exactly", 2, ["'exactly'", "'exact'"]),
        ("score old --judge '{name: exact, ignore_cas: no}'", 2, ["'ignore_cas'", "ignore_case"]),
        ("score old --judge '{name: exact'", 2, ["--judge", "line 1"]),
        ("score old --judge '{name: exact, name: choice}'", 2, ["'name' occurs twice"]),
        ("score old --judge '{name: rubric, rubric: truth}'", 2, ["names no model", "model:"]),
        ("score old --max-dollars much", 2, ["--max-dollars", "number"]),
        ("judge-check old.jsonl --judge exact", 2, ["--run", "--out"]),
        ("judge-check gone.jsonl --judge exact --out c", 2, ["gone.jsonl' does not exist"]),
        ("judge-check old.jsonl --judge exact --out c", 2, ["label", "accepted: question"]),
        ("judge-check same.csv --judge exact --out c", 2, ["2 labels, all the same"]),
        ("judge-check labels.csv --judge exact --out c", 2, ["'truth'", "exact", "--metric exact"]),
        ("data import-generations questions.csv --out x", 2, ["none of the columns question"]),
        ("data import-generations old.jsonl --baseline a --out x", 2, ["'a'", "--baseline"]),
        ("data import-candidates old.jsonl --out x", 2, ["candidates", "accepted: question"]),
        ("vectors import questions.csv --out v", 2, ["questions.csv"]),
        ("vectors import gone.gguf --out v", 2, ["gone.gguf does not exist"]),
        ("vectors import narrow.safetensors --format gguff --out v", 2, ["'gguff'", "'gguf'"]),
        ("vectors import narrow.safetensors --out old.jsonl", 2, ["old.jsonl is there already"]),
        ("vectors show gone", 2, ["gone does not exist"]),
        ("vectors export old --condition x --format gguf --out v", 2, ["'x'"]),
        ("list judgs", 2, ["'judgs'", "'judges'"]),
        ("show jugde rubric", 2, ["'jugde'", "'judge'"]),
        ("show judge rubrik", 2, ["'rubrik'", "'rubric'"]),
        ("new ster", 2, ["'ster'", "'steer'"]),
        ("new steer --out quick.yaml", 2, ["quick.yaml is there already"]),
        ("plan narrow.yaml", 2, ["narrow.safetensors", "8 numbers", "576"]),
    ],
)
def test_a_mistake_in_a_command(
    here: Path, trimtab: Trimtab, made: None, command: str, code: int, words: list[str]
) -> None:
    if " old" in command:
        assert trimtab("data", "import-generations", "old.jsonl", "--out", "old").code == 0
    if " planned" in command:
        assert trimtab("plan", "quick.yaml", "--out", "planned").code == 0
    before = tree(here)
    one_line(trimtab(*shlex.split(command)), code, words)
    after = tree(here)
    assert before.items() <= after.items(), "what was there is as it was"
    assert [name for name in after.keys() - before.keys() if "/attempts/" not in name] == []


@pytest.fixture
def made(here: Path) -> None:
    """Make what commands can be given: folders that are no runs, and files of others."""
    (here / "full").mkdir()
    (here / "full" / "letter.txt").write_text("Dear all,")
    (here / "other" / "plan").mkdir(parents=True)
    (here / "other" / "plan" / "house.txt").write_text("three rooms")
    (here / "other" / "samples").mkdir()
    (here / "other" / "samples" / "wood.txt").write_text("oak")
    rows = [{"question": f"{n}?", "answer": "Yes", "correct_answers": ["Yes"]} for n in range(3)]
    (here / "old.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (here / "labels.csv").write_text("question,answer,label\nA?,Yes,yes\nB?,No,no\n")
    (here / "same.csv").write_text("question,answer,label\nA?,Yes,yes\nB?,No,yes\n")
    about = {"trimtab": json.dumps({"index": "block_output_0based"})}
    vector = {"l15.direction": np.ones(8, np.float32)}
    safetensors.numpy.save_file(vector, here / "narrow.safetensors", about)
    condition = "conditions: {v: {name: vector, file: narrow.safetensors, strength: 1}}\n"
    (here / "narrow.yaml").write_text(QUICK + condition)


def test_a_key_that_is_not_set_is_told_and_the_answers_stay(
    here: Path, trimtab: Trimtab, made: None
) -> None:
    endpoint = f"{{base_url: 'http://localhost:9/v1', model: m, {API}}}"
    judge = f"{{name: rubric, rubric: truth, mode: parsed, endpoint: {endpoint}}}"
    assert trimtab("data", "import-generations", "old.jsonl", "--out", "old").code == 0
    before = tree(here / "old")
    said = trimtab("score", "old", "--judge", judge)
    assert said.code == 7 and "Traceback" not in said.err
    (line,) = [line for line in said.err.splitlines() if line.startswith("error: ")]
    assert "TRIMTAB_TEST_NO_SUCH_KEY is not set" in line and "trimtab score" in line
    assert before.items() <= tree(here / "old").items()
    assert trimtab("score", "old", "--judge", "exact").code == 0
    said = trimtab("report", "old")
    assert said.code == 0
    report = (here / "old/report/report.md").read_text()
    assert "3/3" in report
