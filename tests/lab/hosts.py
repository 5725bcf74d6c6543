"""What a host is called and where it is. All of it follows from its number and the lab's network."""

from __future__ import annotations

from dataclasses import dataclass

MOST_HOSTS = 250


@dataclass(frozen=True)
class LabHost:
    """A host of the lab."""

    name: str
    address: str
    mac: str
    init_pid: int | None
    """First process of the host, as the machine numbers it; None while the host does not run."""
    port: int = 22

    @property
    def known_as(self) -> str:
        """What known_hosts calls it."""
        return self.address if self.port == 22 else f"[{self.address}]:{self.port}"


def name(number: int) -> str:
    """Give the name of host `number`, counted from 1."""
    return f"lab{number}"


def address(network: int, number: int) -> str:
    """Give the address of host `number`; 0 is the machine itself."""
    return f"10.213.{network}.{number + 1}"


def mac(network: int, number: int) -> str:
    """Give a locally administered hardware address."""
    return f"02:74:74:{network:02x}:00:{number:02x}"
