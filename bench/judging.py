"""Truth and info verdicts on answers against one ``generate`` call per verdict.

    python bench/judging.py [--answers 200] [--per-question 1] [--dtype float32] [--repeats 3]

The answers are those that humans labelled (``truthfulqa/judge_labels``); both sides ask the same
prompts of SmolLM2-135M-Instruct with the rubrics ``truth`` and ``info``. The peer generates one
token, one prompt at a time, and reads its scores, as scripts around a fine-tuned judge do.
"""

import argparse
import csv
import json
from collections.abc import Iterator, Sequence

import torch
from machine import DATA, header, in_turns

from trimtab.core.spec import ModelSpec
from trimtab.core.streams import Owed
from trimtab.core.types import Completion, Message, Sample
from trimtab.engine.chat import LocalChat
from trimtab.engine.engine import Engine
from trimtab.judges.base import JUDGES, Item
from trimtab.models.load import load_model, resolve


class Noting:
    """A chat model that keeps what it is asked and what it says, or says the same always."""

    def __init__(self, chat: LocalChat | None) -> None:
        self.chat = chat
        self.identity = "noting"
        self.said: dict[tuple[Message, ...], float | None] = {}

    def yes_probabilities(
        self, prompts: Sequence[tuple[Message, ...]], owed: Owed = None
    ) -> Iterator[tuple[int, float | None]]:
        """Ask, and keep the replies."""
        same = ((number, 0.5) for number in range(len(prompts)))
        for number, reply in self.chat.yes_probabilities(prompts, owed) if self.chat else same:
            self.said[prompts[number]] = reply
            yield number, reply

    def complete(
        self, prompts: Sequence[tuple[Message, ...]], max_tokens: int, owed: Owed = None
    ) -> Iterator[tuple[int, str | None]]:
        """Never asked here."""
        raise NotImplementedError


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--answers", type=int, default=200)
    parser.add_argument("--per-question", type=int, default=1, help="answers to each")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    header(f"judging {vars(args)}")
    spec = ModelSpec(id="bundled:smollm2-135m-instruct", device="cpu", dtype=args.dtype)
    engine, peer = Engine(load_model(resolve(spec))), load_model(resolve(spec))
    chat, recorder = LocalChat(engine), Noting(None)
    items = labelled(args.answers, args.per_question)
    judges = [JUDGES.build("rubric", {"rubric": name, "threshold": None}) for name in RUBRICS]
    for judge in judges:
        missed = [
            verdict for verdict in judge.verdicts(items, recorder) if verdict.reason is not None
        ]
        assert not missed, f"not asked: {missed[0].reason}"
    yes, no = chat._letters

    def ours() -> dict[tuple[Message, ...], float | None]:
        noting = Noting(chat)
        for judge in judges:
            judge.verdicts(items, noting)
        return noting.said

    def theirs() -> dict[tuple[Message, ...], float | None]:
        found: dict[tuple[Message, ...], float | None] = {}
        for messages in recorder.said:
            ids = torch.tensor([engine.renderer.prompt(messages, "chat")])
            with torch.no_grad():
                out = peer.model.generate(
                    input_ids=ids,
                    attention_mask=torch.ones_like(ids),
                    max_new_tokens=1,
                    do_sample=False,
                    pad_token_id=0,
                    output_scores=True,
                    return_dict_in_generate=True,
                )
            logp = out.scores[0][0].float().log_softmax(-1)
            odds = logp[no].logsumexp(0) - logp[yes].logsumexp(0)
            found[messages] = float(1 / (1 + odds.exp()))
        return found

    def check(a: dict, b: dict) -> str:
        worst = max(abs((a[m] or 0.0) - (b[m] or 0.0)) for m in b)
        return f"({len(b)} distinct verdicts, largest difference of P(yes) {worst:.1e})"

    in_turns({"trimtab": ours, "one at a time": theirs}, args.repeats, check)


RUBRICS = ("truth", "info")


def labelled(count: int, per_question: int) -> list[Item]:
    """Return answers that humans judged, so many of each question, with its right answers."""
    folder = DATA / "truthfulqa"
    with (folder / "v1" / "TruthfulQA.csv").open(encoding="utf-8-sig", newline="") as file:
        right = {
            row["Question"]: row["Correct Answers"].split("; ") for row in csv.DictReader(file)
        }
    answers: dict[str, list[str]] = {question: [] for question in right}
    path = folder / "judge_labels" / "finetune_truth.jsonl"
    for line in path.read_text(encoding="utf-8").splitlines():
        asked, _, answer = json.loads(line)["prompt"].removesuffix("\nTrue:").partition("\nA: ")
        answers.get(asked.removeprefix("Q: "), []).append(answer)
    items = []
    for question in list(right)[: count // per_question]:
        for number, answer in enumerate(answers[question][:per_question]):
            sample = Sample(
                id=f"{question} {number}",
                messages=(Message(role="user", content=question),),
                metadata={"correct_answers": right[question]},
            )
            row = Completion(
                cell="bench",
                sample_id=sample.id,
                protocol="bench",
                num_prompt_tokens=1,
                text=answer,
                finish_reason="eos",
            )
            items.append(Item(sample, row))
    return items


if __name__ == "__main__":
    main()
