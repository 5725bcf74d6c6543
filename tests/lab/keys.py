"""Keys of the lab: one for its user, two for each host, one that belongs to nobody."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HOST_KEY_TYPES = ("ed25519", "ecdsa")


def user_key(directory: Path) -> Path:
    """Give the private key that operator and root of every host accept."""
    return directory / "id_ed25519"


def host_key(directory: Path, host: str, kind: str) -> Path:
    """Give a private key of `host`."""
    return directory / "hostkeys" / host / f"ssh_host_{kind}_key"


def stranger(directory: Path) -> Path:
    """Give the public key of no host: what known_hosts says when a host key is to be wrong."""
    return directory / "hostkeys" / "stranger.pub"


def generate(directory: Path, hosts: Iterable[str]) -> None:
    """Make the keys that are not there yet. A host keeps its keys as long as its lab exists."""
    wanted = {user_key(directory): "ed25519", stranger(directory).with_suffix(""): "ed25519"}
    for host in hosts:
        wanted |= {host_key(directory, host, kind): kind for kind in HOST_KEY_TYPES}
    # The public half is written last: a private key without it is left from a run that was killed.
    absent = {path: kind for path, kind in wanted.items() if not path.with_suffix(".pub").exists()}
    with ThreadPoolExecutor(max_workers=2 * (os.cpu_count() or 1)) as pool:
        list(pool.map(_generate, absent, absent.values()))


def known_hosts_lines(directory: Path, host: str, known_as: str) -> str:
    """Give the lines by which ssh knows `host`."""
    keys = (host_key(directory, host, kind).with_suffix(".pub").read_text() for kind in HOST_KEY_TYPES)
    return "".join(f"{known_as} {' '.join(key.split()[:2])}\n" for key in keys)


def wrong_known_hosts_lines(directory: Path, known_as: str) -> str:
    """Give a line that makes ssh refuse the host that known_hosts calls so."""
    return f"{known_as} {' '.join(stranger(directory).read_text().split()[:2])}\n"


def _generate(path: Path, kind: str) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    subprocess.run(
        ["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", "tcptune lab", "-f", str(path)],
        check=True,
        capture_output=True,
        stdin=subprocess.DEVNULL,
    )
