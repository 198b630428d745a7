"""``trimtab data``: bring in and build data; arguments alone, as in ``cli.main``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from trimtab.cli.options import finite

data = typer.Typer(
    help="Bring in what was made elsewhere, and build what is trained on.", no_args_is_help=True
)


@data.command("import-candidates")
def import_candidates(
    file: Annotated[
        Path,
        typer.Argument(
            help="JSON lines: question, gold, candidates; or CSV with a candidate a row.",
            show_default=False,
        ),
    ],
    out: Annotated[Path, typer.Option("--out", help="Run directory to create.")],
    tolerance: Annotated[
        str | None,
        typer.Option(help="How far answers may be off: relative-0.001, absolute-0.01 or exact."),
    ] = None,
) -> None:
    """Make a run of candidates from a file, and report on every way to choose among them."""
    from trimtab.cli import data as imports

    imports.score_candidates(file, out, tolerance)


@data.command("import-generations")
def import_generations(
    file: Annotated[
        Path,
        typer.Argument(help="JSON lines or CSV with question and answer.", show_default=False),
    ],
    out: Annotated[Path, typer.Option("--out", help="Run directory to create.")],
    name: Annotated[str | None, typer.Option(help="Name of the experiment.")] = None,
    questions: Annotated[
        str | None,
        typer.Option(help="TruthfulQA source with right and wrong answers to the questions."),
    ] = None,
    baseline: Annotated[
        str | None, typer.Option(help="Condition to compare with; the file's first.")
    ] = None,
) -> None:
    """Make a run of answers that something else generated, to score and report them."""
    from trimtab.cli import data as imports

    imports.import_generations(file, out, name, questions, baseline)


@data.command("import-judgements")
def import_judgements(
    generations: Annotated[
        Path,
        typer.Argument(
            help="JSON lines: question_id, question, model_variant, condition, generations.",
            show_default=False,
        ),
    ],
    judgements: Annotated[
        Path,
        typer.Argument(
            help="JSON lines: question_id, model_variant, condition, score, refused.",
            show_default=False,
        ),
    ],
    out: Annotated[Path, typer.Option("--out", help="Run directory to create.")],
    base: Annotated[
        str | None, typer.Option(help="Model variant to compare with; the file's first.")
    ] = None,
    untriggered: Annotated[
        str | None, typer.Option(help="Condition without the trigger; the file's own.")
    ] = None,
    scale: Annotated[
        str | None, typer.Option(help="What could be given, e.g. 1-5; the grades of the file.")
    ] = None,
    passes: Annotated[
        float | None,
        typer.Option(callback=finite, help="Least grade that is a pass; nothing is, by default."),
    ] = None,
    refusal: Annotated[
        str, typer.Option(help="The judge's word for answers that refuse.")
    ] = "REFUSED",
) -> None:
    """Make a run of answers and judgements of them, and report what a trigger does."""
    from trimtab.cli import data as imports
    from trimtab.runs.imports.judgements import Choices

    choices = Choices(base, untriggered, imports.scale_of(scale), passes, refusal)
    imports.report_judgements(generations, judgements, out, choices)


@data.command("import-rewards")
def import_rewards(
    file: Annotated[
        Path,
        typer.Argument(
            help="all_results.json, or checkpoint_seed42_MODEL.json.", show_default=False
        ),
    ],
    out: Annotated[Path, typer.Option("--out", help="Run directory to create.")],
) -> None:
    """Make a run of trainings by rewards that were recorded elsewhere, and report who wireheads."""
    from trimtab.cli import data as imports

    imports.report_rewards(file, out)


@data.command("card")
def data_card(
    file: Annotated[Path, typer.Argument(help="Conversations as JSON lines.", show_default=False)],
    model: Annotated[
        str, typer.Option(help="Whose tokenizer and chat template.")
    ] = "bundled:smollm2-135m-instruct",
    rendering: Annotated[
        str | None, typer.Option(help="chat or plain; the model's template if it has one.")
    ] = None,
    max_tokens: Annotated[
        int | None, typer.Option(min=2, help="Count conversations that are longer.")
    ] = None,
    show_labels: Annotated[
        bool, typer.Option("--show-labels", help="Print rows, what is learned in [[ ]].")
    ] = False,
    rows: Annotated[int, typer.Option(min=1, help="How many are printed.")] = 3,
) -> None:
    """Say what a file of conversations holds, and which tokens a model would learn to write."""
    from trimtab.cli import conversations

    shown = rows if show_labels else None
    conversations.card(file, model, conversations.rendering_of(rendering), max_tokens, shown)
