"""Commands about a chain of timeouts: check, products, schema. They read files, reach no host and change nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tcptune.cli.console import deliver, text
from tcptune.cli.options import Format, FormatOption, Output
from tcptune.errors import EXIT_PENDING, ChainError, HostError, UsageError

if TYPE_CHECKING:
    from tcptune.domain.chain import Chain, Configuration

timeouts = typer.Typer(
    name="timeouts",
    help="Judge the timeouts of a chain: client, load balancer, proxy, application. Changes nothing.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
ChainArg = Annotated[
    Path, typer.Argument(help="Chain file: the hops of a request, from the client on, in YAML.", metavar="CHAIN")
]
_READ = "May be repeated, as HOP=FILE where the chain has several."


@timeouts.command()
def check(
    chain: ChainArg,
    nginx: Annotated[
        list[str],
        typer.Option(
            "--nginx", help=f"Main configuration file of the nginx hop, read with its includes. {_READ}", metavar="FILE"
        ),
    ] = [],  # noqa: B006  # typer reads the default, nobody changes it
    haproxy: Annotated[
        list[str],
        typer.Option("--haproxy", help=f"Configuration file of the haproxy hop. {_READ}", metavar="FILE"),
    ] = [],  # noqa: B006
    format: FormatOption = Format.TERMINAL,  # noqa: A002
    output: Output = None,
) -> None:
    """Check the timeouts along CHAIN, and draw it. Changes nothing.

    Of two hops that talk to each other, the one that sends requests has to close an idle connection first. What a
    product does by default is filled in where the file says nothing, and marked.

    Exits 0 if nothing breaks, 10 if something does, 3 if a file is wrong, 4 if something could not be judged.

      tcptune timeouts check shop.yml --nginx /etc/nginx/nginx.conf
    """
    from tcptune.adapters.chains import load_chain
    from tcptune.domain.concerns import Severity
    from tcptune.knowledge.timeout_chain import products
    from tcptune.planning.chain import assess

    loaded = load_chain(chain)
    found = assess(loaded, products(), {**_read(loaded, "nginx", nginx), **_read(loaded, "haproxy", haproxy)})
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


def _read(chain: Chain, product: str, given: list[str]) -> dict[str, Configuration]:
    """Return what the configurations of a command line say, by the hop that each is of."""
    from tcptune.planning.chain import routes_of

    found: dict[str, Configuration] = {}
    for one in given:
        name, file = _hop(chain, product, one)
        if name in found:
            raise UsageError(f"--{product}: two files are given for {name}", hint=f"--{product} HOP={file}")
        configuration = _reader(product)(Path(file))
        [hop] = [hop for hop in chain.hops if hop.name == name]
        if not routes_of(hop, configuration):
            ways = ", ".join(sorted({route.upstream or "a variable" for route in configuration.routes}))
            raise ChainError(f"{file}: nothing there goes to upstream {hop.upstream}", hint=ways)
        found[name] = configuration
    return found


def _hop(chain: Chain, product: str, given: str) -> tuple[str, str]:
    """Return the name of a hop and its file, from FILE or HOP=FILE."""
    name, separator, file = given.partition("=")
    if separator and name in {hop.name for hop in chain.hops}:
        return name, file
    meant = [hop.name for hop in chain.hops if hop.product == product]
    if len(meant) != 1:
        hint = f"--{product} {meant[0]}={given}" if meant else f"product: {product} at the hop it is of"
        raise UsageError(f"{chain.origin} has {len(meant)} hops of product {product}, not one", hint=hint)
    return meant[0], given


def _reader(product: str) -> Callable[[Path], Configuration]:
    if product == "nginx":
        from tcptune.adapters.nginx_timeouts import read_nginx

        return read_nginx
    from tcptune.adapters.haproxy_timeouts import read_haproxy

    return read_haproxy
