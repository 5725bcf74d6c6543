"""The lines of our own file, through the genuine loaders: each is taken, in the order in which we write them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import boot_lab
import pytest
from boot_lab import Lab, Laid

from tcptune.domain.boot import Loader
from tcptune.domain.changes import DROPIN_PATH
from tcptune.knowledge.catalogue import catalogue
from tcptune.planning.dropin import text
from tcptune.planning.order import in_boot_order

pytestmark = [pytest.mark.lab, pytest.mark.skipif(boot_lab.missing() is not None, reason=str(boot_lab.missing()))]

START = "net.ipv4.ip_unprivileged_port_start"
PORTS = "net.ipv4.ip_local_port_range"
FORWARD = "net.ipv4.ip_forward"
REDIRECTS = "net.ipv4.conf.all.accept_redirects"

CASES = [
    {START: "400", PORTS: "500 60000"},
    {START: "2000", PORTS: "2048 60000"},
    {START: "400", PORTS: "40000 60000"},
    # ip_forward turns accept_redirects off.
    {FORWARD: "1", REDIRECTS: "1"},
]


def booted(root: Path, loader: Loader, wanted: Mapping[str, str], lines: list[tuple[str, str]]) -> dict[str, str]:
    """Return what a fresh kernel holds after a boot with these lines in our file."""
    lab = Lab(root, wanted)
    try:
        values = lab.boot(loader, [Laid(DROPIN_PATH, text(lines))])
    finally:
        lab.close()
    return {key: " ".join(value.split()) for key, value in values.items()}


@pytest.mark.parametrize("wanted", CASES, ids=lambda wanted: " ".join(wanted.values()))
@pytest.mark.parametrize("loader", Loader)
def test_every_line_of_our_file_is_what_a_boot_gives(tmp_path: Path, loader: Loader, wanted: dict[str, str]) -> None:
    lines = [*in_boot_order(wanted, catalogue(), kernel="6.12.0")]

    assert booted(tmp_path, loader, wanted, lines) == wanted


@pytest.mark.parametrize("wanted", [CASES[0], CASES[3]], ids=lambda wanted: " ".join(wanted.values()))
@pytest.mark.parametrize("loader", Loader)
def test_in_the_order_of_their_keys_a_boot_would_give_less(
    tmp_path: Path, loader: Loader, wanted: dict[str, str]
) -> None:
    assert booted(tmp_path, loader, wanted, sorted(wanted.items())) != wanted
