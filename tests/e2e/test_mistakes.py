"""Mistakes in processes of their own: one clear line, the right exit code, and nothing loaded.

Many more are in ``test_newcomer``, in one process.
"""

import subprocess
import sys
from pathlib import Path

import pytest

_WRAPPER = """
import sys
sys.argv = ["trimtab", *sys.argv[1:]]
from trimtab.cli.main import main
try:
    main()
finally:
    heavy = {"torch", "transformers", "matplotlib"} & set(sys.modules)
    sys.stderr.write(f"HEAVY:{sorted(heavy)}\\n")
"""


def cli(*argv: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-c", _WRAPPER, *argv], capture_output=True, text=True, timeout=120
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("override", "code", "words"),
    [
        ("stering.layer=1", 2, ["stering", "steering"]),
        ("judges=[{name: rubric, rubric: thruth}]", 2, ["thruth", "truth"]),
        ("steering.layer=99", 2, ["layer", "99"]),
        ("task.source=/no/such/file.csv", 2, ["/no/such/file.csv", "source"]),
        ("model=/no/such/model", 3, ["/no/such/model"]),
    ],
)
def test_each_mistake_is_one_line_before_anything_is_loaded(
    config: Path, tmp_path: Path, override: str, code: int, words: list[str]
) -> None:
    out = tmp_path / "run"
    got, said = cli("run", str(config), "--out", str(out), "-o", override)
    lines = [line for line in said.splitlines() if not line.startswith("HEAVY:")]
    assert got == code, said
    assert len(lines) == 1 and lines[0].startswith("error: "), said
    assert all(word in lines[0] for word in words), lines[0]
    assert "HEAVY:[]" in said
    assert not (out / "plan").exists()


def test_files_that_are_wrong_are_named(config: Path, tmp_path: Path) -> None:
    bad_csv = tmp_path / "bad.csv"
    bad_csv.write_text("Category,Question,Best Answer\na,b?,c\n")
    bad_gguf = tmp_path / "bad.gguf"
    bad_gguf.write_bytes(b"GGUF" + b"\x00" * 64)
    not_yaml = tmp_path / "bad.yaml"
    not_yaml.write_text("recipe: [unclosed\n")
    for argv, code, words in [
        (["-o", f"task.source={bad_csv}"], 2, ["Correct Answers", "bad.csv"]),
        (["-o", f"model={bad_gguf}"], 3, ["bad.gguf"]),
    ]:
        got, said = cli("run", str(config), "--out", str(tmp_path / "run"), *argv)
        assert got == code, said
        assert all(word in said for word in words), said
        assert "Traceback" not in said and "HEAVY:[]" in said, said
    for argv, code in [
        (["run", str(not_yaml), "--out", str(tmp_path / "x")], 2),
        (["run", str(tmp_path / "none.yaml"), "--out", str(tmp_path / "x")], 2),
        (["resume", str(tmp_path)], 6),
        (["report", str(tmp_path / "nowhere")], 6),
        (["list", "judgs"], 2),
    ]:
        got, said = cli(*argv)
        assert got == code and "Traceback" not in said and "error: " in said, said


def test_help_plan_list_status_and_report_import_no_torch(config: Path, tmp_path: Path) -> None:
    run = tmp_path / "planned"
    for argv in [
        ["--help"],
        ["plan", str(config), "--out", str(run)],
        ["list", "judges"],
        ["list", "models"],
        ["status", str(run)],
        ["doctor"],
    ]:
        code, said = cli(*argv)
        assert code == 0, said
        assert "HEAVY:[]" in said, (argv, said[-300:])
    code, said = cli("report", str(run))
    assert code == 0, said
    assert "'torch'" not in said and "'transformers'" not in said, said[-300:]
    done = subprocess.run(
        [sys.executable, "-c", "import trimtab, sys; print('torch' in sys.modules)"],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.stdout.strip() == "False"
