"""Commands about a chain of timeouts: check, products, schema. They read files, reach no host and change nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from tcptune.cli.console import deliver, text
from tcptune.cli.options import Format, FormatOption, HaproxyFiles, NginxFiles, Output
from tcptune.errors import EXIT_PENDING, HostError

timeouts = typer.Typer(
    name="timeouts",
    help="Judge the timeouts of a chain: client, load balancer, proxy, application. Changes nothing.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
ChainArg = Annotated[
    Path, typer.Argument(help="Chain file: the hops of a request, from the client on, in YAML.", metavar="CHAIN")
]


@timeouts.command()
def check(
    chain: ChainArg,
    nginx: NginxFiles = [],  # noqa: B006  # typer reads the default, nobody changes it
    haproxy: HaproxyFiles = [],  # noqa: B006
    format: FormatOption = Format.TERMINAL,  # noqa: A002
    output: Output = None,
) -> None:
    """Check the timeouts along CHAIN, and draw it. Changes nothing.

    Of two hops that talk to each other, the one that sends requests has to close an idle connection first. What a
    product does by default is filled in where the file says nothing, and marked.

    Exits 0 if nothing breaks, 10 if something does, 3 if a file is wrong, 4 if something could not be judged.

      tcptune timeouts check shop.yml --nginx /etc/nginx/nginx.conf
    """
    from tcptune.cli.chain_files import assessed
    from tcptune.domain.concerns import Severity

    found = assessed(chain, nginx, haproxy)
    deliver(found, format, output)
    if found.undecided:
        raise typer.Exit(HostError.exit_code)
    raise typer.Exit(EXIT_PENDING if any(one.severity is Severity.HARM for one in found.broken) else 0)


@timeouts.command("products")
def list_products(format: FormatOption = Format.TERMINAL, output: Output = None) -> None:  # noqa: A002
    """List the products whose timeouts are known, with their defaults and sources. Changes nothing.

    Exits 0.

      tcptune timeouts products
    """
    from tcptune.domain.chain import ProductList
    from tcptune.knowledge.timeout_chain import products

    deliver(ProductList(products=tuple(products().values())), format, output)


@timeouts.command()
def schema(output: Output = None) -> None:
    """Print the JSON Schema of chain files, for completion in editors. Changes nothing.

    Exits 0.

      tcptune timeouts schema -o chain.schema.json
    """
    from tcptune.adapters.chains import chain_schema

    text(json.dumps(chain_schema(), indent=2) + "\n", output)
