"""Chains of timeouts, and the configurations of their hops, as a command line names them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tcptune.errors import ChainError, UsageError

if TYPE_CHECKING:
    from tcptune.domain.chain import Chain, Configuration
    from tcptune.domain.chain_verdicts import ChainReport

_READ = "May be repeated, as HOP=FILE where there are several."

Nginx = Annotated[
    list[str],
    typer.Option(
        "--nginx",
        help=f"Main configuration file of the chain's nginx hop, read with its includes. {_READ}",
        metavar="FILE",
    ),
]
Haproxy = Annotated[
    list[str],
    typer.Option("--haproxy", help=f"Configuration file of the chain's haproxy hop. {_READ}", metavar="FILE"),
]


def assessed(files: Sequence[Path], nginx: Sequence[str], haproxy: Sequence[str]) -> list[ChainReport]:
    """Return the verdicts on chains, in their order; each configuration is that of one hop of one of them.

    Raises UsageError where it is not clear of which, ChainError where a file is wrong.
    """
    from tcptune.adapters.chains import load_chain
    from tcptune.knowledge.timeout_chain import products
    from tcptune.planning.chain import assess

    chains = [load_chain(file) for file in files]
    found: list[dict[str, Configuration]] = [{} for _ in chains]
    for product, given in (("nginx", nginx), ("haproxy", haproxy)):
        for one in given:
            place, hop, file = _meant(chains, product, one)
            if hop in found[place]:
                raise UsageError(f"--{product}: two files are given for {hop}", hint=f"--{product} HOP={file}")
            found[place][hop] = _configuration(chains[place], hop, product, file)
    return [assess(chain, products(), read) for chain, read in zip(chains, found, strict=True)]


def _meant(chains: Sequence[Chain], product: str, given: str) -> tuple[int, str, str]:
    """Return the place of a chain, the name of a hop and its file, from FILE or HOP=FILE."""
    if not chains:
        raise UsageError(f"--{product} {given}: it is of a hop of a chain, and no chain is given", hint="--chain CHAIN")
    name, separator, file = given.partition("=")
    named = [place for place, chain in enumerate(chains) if name in {hop.name for hop in chain.hops}]
    origins = " and ".join(chain.origin for chain in chains)
    if separator and len(named) > 1:
        raise UsageError(f"--{product} {given}: {origins} both have a hop {name}", hint="give hops names of their own")
    if separator and named:
        return named[0], name, file
    meant = [(place, hop.name) for place, chain in enumerate(chains) for hop in chain.hops if hop.product == product]
    if len(meant) != 1:
        hint = f"--{product} {meant[0][1]}={given}" if meant else f"product: {product} at the hop it is of"
        verb = "has" if len(chains) == 1 else "have"
        raise UsageError(f"{origins} {verb} {len(meant)} hops of product {product}, not one", hint=hint)
    return *meant[0], given


def _configuration(chain: Chain, name: str, product: str, file: str) -> Configuration:
    """Return what a file says of the hop of this name."""
    from tcptune.planning.chain import routes_of

    found = _reader(product)(Path(file))
    [hop] = [hop for hop in chain.hops if hop.name == name]
    if not routes_of(hop, found):
        ways = ", ".join(sorted({route.upstream or "a variable" for route in found.routes}))
        raise ChainError(f"{file}: nothing there goes to upstream {hop.upstream}", hint=ways)
    return found


def _reader(product: str) -> Callable[[Path], Configuration]:
    if product == "nginx":
        from tcptune.adapters.nginx_timeouts import read_nginx

        return read_nginx
    from tcptune.adapters.haproxy_timeouts import read_haproxy

    return read_haproxy
