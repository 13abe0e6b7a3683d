"""The options that commands of several modules have."""

from pathlib import Path
from typing import Annotated

import typer

Index = Annotated[Path, typer.Option("--index", help="The index directory.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
Filters = Annotated[
    list[str], typer.Option("--filter", metavar="FIELD=VALUE", help="Keep what has the value; also FIELD>=NUMBER.")
]
Nots = Annotated[list[str], typer.Option("--not", metavar="FIELD=VALUE", help="Leave out what has the value.")]
