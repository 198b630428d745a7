"""Fit a vector on four pairs and write the same answer at three strengths, without a YAML file."""

from trimtab.core.spec import ModelSpec
from trimtab.core.types import ContrastPair, Message, SamplingParams
from trimtab.engine.engine import Engine
from trimtab.engine.request import Request, Text, TextResult
from trimtab.interventions.base import INTERVENTIONS
from trimtab.models.load import load_model, resolve
from trimtab.steering.fitted import FitContext

ANSWERS = {
    "How was your day?": ("Wonderful, I loved every minute!", "Awful, I hated every minute."),
    "What is the weather like?": ("Bright and lovely!", "Grey and miserable."),
    "Did you like the film?": ("Yes, it was a delight!", "No, it was a waste of time."),
    "Shall we go out?": ("Yes, what a great idea!", "No, what a stupid idea."),
}


def ask(text: str) -> tuple[Message, ...]:
    """Return a conversation of one question."""
    return (Message(role="user", content=text),)


def main() -> None:
    """Steer towards cheerfulness and away from it."""
    engine = Engine(load_model(resolve(ModelSpec(id="bundled:smollm2-135m-instruct"))))
    pairs = [
        ContrastPair(id=q, question_id=q, messages=ask(q), positive=good, negative=bad)
        for q, (good, bad) in ANSWERS.items()
    ]
    prompt = tuple(engine.renderer.prompt(ask("Tell me about the city of Oslo."), "chat"))
    context = FitContext.of_pairs(engine, pairs, "chat", seed=0)
    fitted = INTERVENTIONS.build("caa", {"layer": 15}).fit(context)
    requests = []
    for strength in (-0.4, 0.0, 0.4):
        caa = INTERVENTIONS.build("caa", {"layer": 15, "strength": strength, "unit": "relative"})
        want = Text(SamplingParams(max_tokens=30))
        edits = caa.treat({"vector": fitted}).edits
        requests.append(Request(strength, prompt, want, edits))
    # all three strengths share one batch, and the prompt is computed once
    for result in engine.run(requests):
        assert isinstance(result, TextResult)
        print(f"{result.key:+}: {result.text!r}")


if __name__ == "__main__":
    main()
