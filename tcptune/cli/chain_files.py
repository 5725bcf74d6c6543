"""A chain of timeouts, and the configurations that its hops really have."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tcptune.errors import ChainError, UsageError

if TYPE_CHECKING:
    from tcptune.domain.chain import Chain, Configuration
    from tcptune.domain.chain_verdicts import ChainReport


def assessed(chain: Path, nginx: Sequence[str], haproxy: Sequence[str]) -> ChainReport:
    """Return the verdict on a chain file; `nginx` and `haproxy` are files of its hops, FILE or HOP=FILE.

    Raises ChainError for a file that is wrong, UsageError where it is not clear which hop a file is of.
    """
    from tcptune.adapters.chains import load_chain
    from tcptune.knowledge.timeout_chain import products
    from tcptune.planning.chain import assess

    loaded = load_chain(chain)
    return assess(loaded, products(), {**_read(loaded, "nginx", nginx), **_read(loaded, "haproxy", haproxy)})


def _read(chain: Chain, product: str, given: Sequence[str]) -> dict[str, Configuration]:
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
