"""Host keys. A host whose key is unknown, different or revoked is refused, whatever ssh_config says of checking."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path

import paramiko

from tcptune.adapters.ssh_config import Target
from tcptune.errors import HostKeyRefused

_RSA_SIGNATURES = ("rsa-sha2-512", "rsa-sha2-256", "ssh-rsa")


class KnownHosts:
    """The keys of some known_hosts files, parsed once."""

    def __init__(self, files: tuple[Path, ...]) -> None:
        self._files = files
        self._keys = paramiko.HostKeys()
        self._revoked: set[str] = set()
        for path in files:
            if not path.is_file():
                continue
            self._keys.load(str(path))
            for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
                words = line.split()
                # paramiko passes over marked lines; a revoked key must be refused even where it also stands unmarked.
                if len(words) >= 4 and words[0] == "@revoked":
                    self._revoked.add(words[3])

    def algorithms(self, target: Target) -> tuple[str, ...]:
        """Return the key algorithms to ask the host for first: those a key is known of."""
        known = self._known(target)
        found: list[str] = []
        for kind in known:
            found += _RSA_SIGNATURES if kind == "ssh-rsa" else (kind,)
        return tuple(found)

    def check(self, target: Target, key: paramiko.PKey) -> None:
        """Raise HostKeyRefused unless `key` is the one that is known of this host."""
        name = _entry_name(target)
        where = ", ".join(str(path) for path in self._files) or "no known_hosts file"
        if key.get_base64() in self._revoked:
            raise HostKeyRefused(f"{target.host}: the host key {key.fingerprint} is revoked", hint=f"see {where}")
        known = self._known(target)
        if not known:
            raise HostKeyRefused(
                f"{target.host}: the host key of {name} is not known ({key.get_name()} {key.fingerprint})",
                hint=f"compare the fingerprint, then: ssh {target.hostname} true   (looked in {where})",
            )
        expected = known.get(key.get_name())
        if expected is None or expected.get_base64() != key.get_base64():
            was = expected or next(iter(known.values()))
            raise HostKeyRefused(
                f"{target.host}: the host key of {name} is {key.fingerprint}, known_hosts says {was.fingerprint}",
                hint=f"somebody may be in between; if the host was reinstalled: ssh-keygen -R {name}",
            )

    def _known(self, target: Target) -> Mapping[str, paramiko.PKey]:
        """Return key by algorithm."""
        return self._keys.lookup(_entry_name(target)) or {}


@cache
def known_hosts(files: tuple[Path, ...]) -> KnownHosts:
    """Return the parsed files; parsing happens once per set of files."""
    return KnownHosts(files)


def _entry_name(target: Target) -> str:
    if target.key_alias:
        return target.key_alias
    return target.hostname if target.port == 22 else f"[{target.hostname}]:{target.port}"
