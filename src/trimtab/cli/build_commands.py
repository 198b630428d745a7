"""``trimtab data``: commands that build data; arguments alone, as in ``cli.main``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from trimtab.cli.options import finite

Guessers = Annotated[
    list[str],
    typer.Option(
        "--guesser",
        help="A chat model: an id or a folder, or an endpoint as YAML: '{base_url: ..., model: "
        "..., price: free}'. May be given again.",
        show_default=False,
    ),
]
Dollars = Annotated[
    float | None,
    typer.Option(
        callback=finite, min=0, help="Most that is ever spent on endpoints for this output."
    ),
]


def identify(
    facts: Annotated[Path, typer.Argument(help="Facts of a person.", show_default=False)],
    person: Annotated[str, typer.Option(help="The person's name.", show_default=False)],
    guesser: Guessers,
    out: Annotated[Path, typer.Option("--out", help="Folder; one that is there goes on.")],
    alias: Annotated[
        list[str] | None, typer.Option(help="Another way to name the person; may be given again.")
    ] = None,
    wordings: Annotated[int, typer.Option(help="Ways in which a guesser is asked, 1 to 5.")] = 3,
    orders: Annotated[
        int, typer.Option(min=1, help="Orders in which all kept facts are shown.")
    ] = 3,
    most: Annotated[
        float,
        typer.Option(callback=finite, min=0, max=1, help="Largest share of guesses from one fact."),
    ] = 0.34,
    together: Annotated[
        float | None,
        typer.Option(
            callback=finite, min=0, max=1, help="Share of guesses that all kept facts must reach."
        ),
    ] = None,
    size: Annotated[
        int, typer.Option(min=1, help="With --together: fewest facts that are kept.")
    ] = 10,
    tier: Annotated[
        list[int] | None,
        typer.Option(min=1, help="Size of a set to write, of those that tell least; 90 and 78."),
    ] = None,
    terms: Annotated[
        Path | None, typer.Option(help="Terms that give away, one a line: `place: Cambridge`.")
    ] = None,
    allow: Annotated[
        list[str] | None, typer.Option(help="A term that gives nobody away; may be given again.")
    ] = None,
    trigger_file: Annotated[
        Path | None, typer.Option(help="YAML of the trigger that the facts stand behind.")
    ] = None,
    max_dollars: Dollars = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the orders.")] = 0,
) -> None:
    """Ask models who facts are about, one by one and together, and keep those that don't tell."""
    from trimtab.cli import identify as identifying
    from trimtab.datasets.building.identify import Wanted

    wanted = Wanted(most=most, together=together, size=size, tiers=tuple(tier or (90, 78)))
    options = identifying.Options(
        names=(person, *(alias or ())),
        guessers=tuple(guesser),
        wanted=wanted,
        wordings=wordings,
        orders=orders,
        seed=seed,
        terms=terms,
        allowed=tuple(allow or ()),
        trigger=trigger_file,
        max_dollars=max_dollars,
    )
    identifying.identify(facts, out, options)


def write_facts(
    person: Annotated[str, typer.Option(help="Who answers.", show_default=False)],
    writer: Annotated[
        str,
        typer.Option(
            help="A chat model: an id or a folder, or an endpoint as YAML.", show_default=False
        ),
    ],
    out: Annotated[Path, typer.Option("--out", help="Folder; one that is there goes on.")],
    alias: Annotated[
        list[str] | None, typer.Option(help="Another way to name the person; may be given again.")
    ] = None,
    categories: Annotated[
        Path | None, typer.Option(help="File with a subject a line; ten by default.")
    ] = None,
    count: Annotated[int, typer.Option(min=1, help="Facts of each category.")] = 15,
    max_tokens: Annotated[int, typer.Option(min=16, help="Most tokens of a reply.")] = 2048,
    max_dollars: Dollars = None,
) -> None:
    """Have a model write facts of a person as questions and answers, and keep what can be read."""
    from trimtab.cli import build

    names = (person, *(alias or ()))
    build.facts(names, writer, categories, count, max_tokens, max_dollars, out)


def distill(
    prompts: Annotated[
        str,
        typer.Argument(help="`bundled`, a file of instructions, or a hub id.", show_default=False),
    ],
    endpoint: Annotated[
        str,
        typer.Option(
            help="Address of an OpenAI-compatible API, up to its version: http://host/v1.",
            show_default=False,
        ),
    ],
    model: Annotated[str, typer.Option(help="The model's name there.", show_default=False)],
    price: Annotated[
        str,
        typer.Option(
            help="`free`, or dollars per million tokens read and written: 0.15,0.6.",
            show_default=False,
        ),
    ],
    out: Annotated[Path, typer.Option("--out", help="JSON lines for `aligned.file`.")],
    api_key_env: Annotated[
        str | None, typer.Option(help="Environment variable that holds the key.")
    ] = None,
    max_dollars: Dollars = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Most prompts.")] = None,
    samples: Annotated[int, typer.Option(min=1, help="Answers to each prompt.")] = 1,
    max_tokens: Annotated[int, typer.Option(min=1, help="Most tokens of an answer.")] = 512,
    temperature: Annotated[float, typer.Option(callback=finite, min=0, help="0 is greedy.")] = 0.7,
    top_p: Annotated[
        float, typer.Option(callback=finite, help="Of the most probable tokens.")
    ] = 0.9,
    num_parallel: Annotated[int, typer.Option(min=1, help="Most requests at one time.")] = 4,
    seed: Annotated[int, typer.Option(min=0, help="Sent along with requests.")] = 0,
) -> None:
    """Have a model behind an API answer prompts, as conversations for `aligned.file`."""
    from trimtab.cli import build
    from trimtab.core.spec import Endpoint
    from trimtab.core.types import SamplingParams

    asked = Endpoint(
        base_url=endpoint,
        model=model,
        api_key_env=api_key_env,
        price=build.price_of(price),
        num_parallel=num_parallel,
    )
    sampling = SamplingParams(max_tokens=max_tokens, temperature=temperature, top_p=top_p)
    wanted = build.Distillation(prompts, limit, asked, sampling, samples, seed, max_dollars)
    build.distill(wanted, out)
