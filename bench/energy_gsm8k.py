"""Rerankers on 1,319 x 4 published GSM8K solutions with labels: fit on one part, rank the other.

    python bench/energy_gsm8k.py [--problems 1319] [--epochs 10] [--kinds encoder length format]

The solutions are those of OpenAI's 6B and 175B models, one by fine-tuning and one chosen by a
verifier each. Problems are dealt by hash: 60 % fit, 15 % stop the training, 25 % are ranked. A
solution's calculator marks stay. "Which model" is the best constant choice of one of the four
sources, learned on the fit part: what a reranker gets by telling the models' styles apart. The
ablations score the same pairs with the question removed, another problem's question, or the
answer's words permuted. Intervals are percentile bootstraps over problems.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np
from machine import DATA, header

from trimtab.core.keys import content_key
from trimtab.core.records import read_json
from trimtab.text.overlap import normalise_question
from trimtab.training.rerankers.ablated import Ablated
from trimtab.training.rerankers.config import EnergyConfig
from trimtab.training.rerankers.corrupt import corrupted
from trimtab.training.rerankers.fitting import Data, fit_energy
from trimtab.training.rerankers.groups import Group
from trimtab.training.rerankers.kinds import KINDS
from trimtab.training.rerankers.ranking import of_groups

SOURCES = ("6b_finetuning", "6b_verification", "175b_finetuning", "175b_verification")
ABLATIONS = ("question_removed", "question_shuffled", "answer_permuted")


def main() -> None:
    """Fit, rank and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--problems", type=int, default=1319)
    parser.add_argument("--epochs", type=float, default=10)
    parser.add_argument("--loss", default="pairs")
    parser.add_argument("--kinds", nargs="+", default=["encoder", "length", "format", "synthetic"])
    args = parser.parse_args()
    header(f"energy_gsm8k {vars(args)}")
    parts, golds = read(args.problems)
    ranked = parts["rank"]
    correct_NK = np.array([group.correct for group in ranked], dtype=float)
    print(f"ranked: {len(ranked)} problems of 4, random {100 * correct_NK.mean():.1f} %, "
          f"oracle {100 * correct_NK.max(axis=1).mean():.1f} %")  # fmt: skip
    for k, source in enumerate(SOURCES):
        print(f"  always {source}: {100 * correct_NK[:, k].mean():.1f} %")
    fit_share = np.array([group.correct for group in parts["fit"]], dtype=float).mean(axis=0)
    constant = np.full(correct_NK.shape, 1.0)
    constant[:, int(fit_share.argmax())] = 0.0
    tell("which model", constant, ranked)
    for kind in args.kinds:
        one(kind, args, parts, golds)


def one(kind: str, args: argparse.Namespace, parts: dict, golds: dict[str, str]) -> None:
    """Fit one energy model and print how it ranks, with its ablations."""
    synthetic = kind == "synthetic"
    config = EnergyConfig(
        kind="encoder" if synthetic else kind, loss="mse" if synthetic else args.loss
    )
    if config.kind == "encoder":
        training = KINDS["encoder"].defaults.model_copy(update={"epochs": args.epochs})
        config = config.model_copy(update={"training": training})
    fit, select = parts["fit"], parts["stop"]
    if synthetic:
        fit, select = (
            [corrupted(g.problem, golds[g.problem]) for g in some] for some in (fit, select)
        )
    data = Data(fit, select, [g.problem for g in parts["rank"]], parts["stop"])
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        model = fit_energy(config, data, folder=Path(folder))
        info = read_json(Path(folder) / "artifact.json")
        print(
            f"{kind}: {info['parameters']} parameters, {info['fit']}, best after "
            f"{info['best_update']} of {info['updates']} updates, fit pairs "
            f"{info['fit_pair_accuracy']:.3f}, stopping pairs {info['select_pair_accuracy']:.3f}, "
            f"samples of the stopping part {info['samples_pair_accuracy']:.3f}, "
            f"{time.perf_counter() - start:.0f} s",
            flush=True,
        )
        tell(kind, np.array(of_groups(model, parts["rank"])), parts["rank"])
        if config.kind == "encoder" and not synthetic:
            for ablation in ABLATIONS:
                ablated = Ablated(model, ablation, model.others)
                tell(f"  {ablation}", np.array(of_groups(ablated, parts["rank"])), parts["rank"])


def tell(name: str, energy_NK: np.ndarray, groups: list[Group]) -> None:
    """Print accuracy of the lowest energy, its difference to random, and pair accuracy."""
    correct_NK = np.array([group.correct for group in groups], dtype=float)
    lowest_NK = energy_NK == energy_NK.min(axis=1, keepdims=True)
    chosen_N = (lowest_NK * correct_NK).sum(axis=1) / lowest_NK.sum(axis=1)
    gain_N = chosen_N - correct_NK.mean(axis=1)
    right = correct_NK[:, :, None] > correct_NK[:, None, :]
    below = energy_NK[:, :, None] < energy_NK[:, None, :]
    tie = energy_NK[:, :, None] == energy_NK[:, None, :]
    wins_N = (right * (below + 0.5 * tie)).sum(axis=(1, 2))
    pairs_N = right.sum(axis=(1, 2))
    drawn = np.random.default_rng(0).integers(len(groups), size=(10_000, len(groups)))
    gain = 100 * np.percentile(gain_N[drawn].mean(axis=1), [2.5, 97.5])
    pairs = np.percentile(wins_N[drawn].sum(axis=1) / pairs_N[drawn].sum(axis=1), [2.5, 97.5])
    print(
        f"  {name:20s} best of 4: {100 * chosen_N.mean():.1f} %, to random "
        f"{100 * gain_N.mean():+.1f} [{gain[0]:+.1f}, {gain[1]:+.1f}]; pairs within a problem "
        f"{wins_N.sum() / pairs_N.sum():.3f} [{pairs[0]:.3f}, {pairs[1]:.3f}] "
        f"({int(pairs_N.sum())} pairs of {int((pairs_N > 0).sum())} problems)",
        flush=True,
    )


def read(limit: int) -> tuple[dict[str, list[Group]], dict[str, str]]:
    """Return the groups of each part, and gold solutions by problem."""
    path = DATA / "gsm8k_solutions" / "example_model_solutions.jsonl"
    parts: dict[str, list[Group]] = {"fit": [], "stop": [], "rank": []}
    golds = {}
    for line in path.read_text(encoding="utf-8").splitlines()[:limit]:
        row = json.loads(line)
        problem = row["question"]
        golds[problem] = row["ground_truth"]
        share = int(content_key(normalise_question(problem)), 16) / 16**16
        part = "fit" if share < 0.6 else "stop" if share < 0.75 else "rank"
        texts = tuple(row[source]["solution"] for source in SOURCES)
        correct = tuple(bool(row[source]["is_correct"]) for source in SOURCES)
        parts[part].append(Group(problem, texts, correct))
    return parts, golds


if __name__ == "__main__":
    main()
