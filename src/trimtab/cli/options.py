"""Options that several groups of commands take."""

from __future__ import annotations

from typing import Annotated

import typer

Trust = Annotated[
    bool,
    typer.Option("--trust", help="Use the code and the addresses that a run from elsewhere names."),
]
