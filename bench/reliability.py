"""The reliability law on real differences: means of n questions against each other.

For each set of contrast pairs and each layer, the cosine between the means of two disjoint random
sets of n questions is measured and compared with n * rho / (1 + (n - 1) * rho), where rho is the
mean pairwise cosine of the differences. A deviation above 0.03 is marked. The law takes all
differences to be equally long. Two columns show what that does: "unit" measures the same with every
difference scaled to length 1; "with lengths" is the law with, in place of rho, the mean inner
product of two differences over their mean squared length, in which long ones count more, as they do
in a mean.

Lettered answers are shown twice: single questions, whose differences are mostly plus or minus the
one between the letters, which the law does not describe; and means of two questions with opposite
letters, where that part cancels.
"""

from __future__ import annotations

import argparse
import csv
import json
from pathlib import Path

from machine import DATA, header

from trimtab.core.spec import ModelSpec
from trimtab.core.types import ContrastPair, Message
from trimtab.engine.engine import Engine
from trimtab.models.load import load_model, resolve
from trimtab.steering.fitted import FitContext
from trimtab.steering.pairs import read_pairs
from trimtab.steering.reliability import (
    mean_cosine,
    questions_needed,
    reliability_curve,
    spearman_brown,
)

SIZES = (10, 20, 50, 100, 200)
TOLERANCE = 0.03


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", default="bundled:smollm2-135m-instruct")
    parser.add_argument("--rendering", default="chat")
    parser.add_argument("--pairs", type=int, default=400)
    parser.add_argument("--sets", nargs="+", default=["truthfulqa", "sycophancy"])
    parser.add_argument("--layers", type=int, nargs="+", default=[8, 15, 22])
    parser.add_argument("--splits", type=int, default=1000, help="pairs of random sets per size")
    args = parser.parse_args()
    header(f"reliability {vars(args)}")
    engine = Engine(load_model(resolve(ModelSpec(id=args.model, device="cpu"))))
    for name in args.sets:
        pairs = truthfulqa(args.pairs) if name == "truthfulqa" else caa(name, args.pairs)
        context = FitContext.of_pairs(engine, pairs, args.rendering, seed=0)
        read = "answer_mean" if name == "truthfulqa" else "letter"
        with read_pairs(context, pairs, tuple(sorted(args.layers)), read) as rows:
            for layer in rows.layers:
                positive_NH, negative_NH = rows.answers(layer)
                difference_NH = positive_NH - negative_NH
                show(f"{name}, {len(rows.pairs)} pairs, block {layer}", difference_NH, args.splits)
                if name != "truthfulqa":
                    both_NH = balanced(rows, difference_NH)
                    show(f"{name}, letters balanced, block {layer}", both_NH, args.splits)


def show(title: str, difference_NH, splits: int) -> None:
    """Print measured against predicted."""
    rho = mean_cosine(difference_NH)
    needed = [questions_needed(rho, cosine) for cosine in (0.9, 0.95)]
    print(f"\n{title}: rho {rho:.3f}; for cosine 0.9 / 0.95: {needed[0]} / {needed[1]} pairs")
    weighted = weighted_rho(difference_NH)
    unit_NH = difference_NH / difference_NH.norm(dim=1, keepdim=True)
    curves = [reliability_curve(x, SIZES, 0, splits) for x in (difference_NH, unit_NH)]
    print("|   n | measured | predicted | difference |   unit | difference | with lengths |")
    print("| --: | -------: | --------: | ---------: | -----: | ---------: | -----------: |")
    for point, unit in zip(*curves, strict=True):
        gap, rest = point.measured - point.predicted, unit.measured - unit.predicted
        mark = " !" if abs(gap) > TOLERANCE else ""
        longer = spearman_brown(weighted, point.n)
        print(
            f"| {point.n:3} | {point.measured:8.3f} | {point.predicted:9.3f} | {gap:+10.3f} "
            f"| {unit.measured:6.3f} | {rest:+10.3f} | {longer:12.3f} |{mark}"
        )


def weighted_rho(difference_NH) -> float:
    """Return the mean inner product of two differences over the mean squared length."""
    n, squares = len(difference_NH), float(difference_NH.square().sum())
    return (float(difference_NH.sum(dim=0).square().sum()) - squares) / (n - 1) / squares


def balanced(rows, difference_NH):
    """Return means of two questions, one whose positive answer is (A) and one where it is (B)."""
    letters = [pair.positive for pair in rows.pairs]
    first, second = ([i for i, x in enumerate(letters) if x == y] for y in ("(A)", "(B)"))
    both = min(len(first), len(second))
    return (difference_NH[first[:both]] + difference_NH[second[:both]]) / 2


def truthfulqa(num: int) -> list[ContrastPair]:
    """Return best against best incorrect answers, one pair per question."""
    with (DATA / "truthfulqa" / "TruthfulQA.csv").open(encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    return [
        ContrastPair(
            id=str(i),
            question_id=str(i),
            messages=(Message(role="user", content=line["Question"]),),
            positive=line["Best Answer"],
            negative=line["Best Incorrect Answer"],
        )
        for i, line in enumerate(lines[:: max(1, len(lines) // num)][:num])
    ]


def caa(behaviour: str, num: int) -> list[ContrastPair]:
    """Return the lettered answers of one of the CAA behaviours."""
    path = next(Path(DATA, "caa", "generate").rglob(f"*{behaviour}*.json*"))
    text = path.read_text("utf-8")
    rows = json.loads(text) if path.suffix == ".json" else map(json.loads, text.splitlines())
    return [
        ContrastPair(
            id=str(i),
            question_id=str(i),
            messages=(Message(role="user", content=row["question"]),),
            positive=row["answer_matching_behavior"].strip(),
            negative=row["answer_not_matching_behavior"].strip(),
        )
        for i, row in enumerate(list(rows)[:num])
    ]


if __name__ == "__main__":
    main()
