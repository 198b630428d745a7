"""Judges behind broken servers, with a paid ledger: no cap is passed, nothing is paid for twice."""

import json
import random
import signal
import time
from pathlib import Path

from faults.ground import Ground, Outcome, ended, wrong
from faults.servers import FAULTS, INPUT, OUTPUT, Server, serving

_NUM_QUESTIONS = 12
_END_S = 150.0


def play(ground: Ground, rng: random.Random, number: int, folder: Path) -> Outcome:
    """Score through a server that fails some or all prompts, then through a sound one."""
    name = list(FAULTS)[number % len(FAULTS)]
    run, file = folder / "run", folder / "answers.jsonl"
    file.write_text("\n".join(map(_answer, range(_NUM_QUESTIONS))))
    problems = wrong(ground.run(["data", "import-generations", file, "--out", run]), (0,))
    if problems:
        return Outcome(name, problems)
    with serving(rng) as server:
        server.fault, server.share = name, rng.choice((0.3, 0.7, 1.0))
        kills = int(rng.random() < 0.3)
        cap = rng.choice((1.0, 1.0, 0.01))
        command = ground.command(["score", run, "--judge", json.dumps(_judge(server.url, cap))])
        if kills:
            time.sleep(rng.uniform(0.2, 4.0))
            command.process.kill()
        first = ended(command, _END_S)
        if first.code != -signal.SIGKILL or not kills:
            problems += wrong(first, (0, 7))
        problems += _money(run, server, cap, kills)
        server.fault = None
        again = ["score", run, "--judge", json.dumps(_judge(server.url, cap))]
        done = ended(ground.command([*again, "--max-dollars", "2"]), _END_S)
        # the judge's own cap stands; what the run may spend is another
        problems += wrong(done, (0, 7) if cap < 1 else (0,))
        problems += _money(run, server, cap, kills)
        if done.code == 0:
            problems += _verdicts(run)
    return Outcome(name, problems)


def _answer(i: int) -> str:
    return json.dumps(
        {
            "condition": "a",
            "question": f"What is {i} + {i}?",
            "answer": f"{2 * i}",
            "correct_answers": [f"{2 * i}"],
        }
    )


def _judge(url: str, cap: float) -> dict:
    endpoint = {
        "base_url": url, "model": "judge", "api_key_env": None, "max_dollars": cap,
        "price": {"input": INPUT, "output": OUTPUT}, "max_retries": 2, "timeout_s": 1.5,
        "num_parallel": 3,
    }  # fmt: skip
    return {"name": "rubric", "rubric": "truth", "mode": "parsed", "endpoint": endpoint}


def _money(run: Path, server: Server, cap: float, kills: int) -> list[str]:
    from trimtab.clients.budget import Ledger

    spent = Ledger(run / "spend.jsonl").spent()
    lines = []
    if spent > cap + 1e-9:
        lines.append(f"{spent} dollars are spent, and the cap is {cap}")
    if server.dollars > spent + 1e-9:
        lines.append(f"{server.dollars} dollars were billed, and the ledger knows of {spent}")
    twice = [prompt for prompt, count in server.delivered.items() if count > 1 + kills]
    if twice:
        lines.append(f"{len(twice)} replies were paid for twice")
    return lines


def _verdicts(run: Path) -> list[str]:
    """Return what is wrong with the scores: each answer must have one, of the server's words."""
    rows = [json.loads(line) for path in run.glob("scores/*/*/*.jsonl")
            for line in path.read_bytes().split(b"\n")[:-1]]  # fmt: skip
    lines = []
    if len(rows) != _NUM_QUESTIONS or len({row["sample_id"] for row in rows}) != len(rows):
        lines.append(f"{len(rows)} scores of {_NUM_QUESTIONS} answers")
    odd = [row for row in rows if row["values"]["truth"] != float(row["reason"] == "Yes")]
    if odd or any(row["reason"] not in ("Yes", "No") for row in rows):
        lines.append(f"a verdict that no server gave: {(odd or rows)[0]['reason']!r}")
    return lines
