"""Host keys. A host whose key is unknown, different or revoked is refused, whatever ssh_config says of checking."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path

from tcptune.adapters.lean_paramiko import paramiko
from tcptune.adapters.ssh_config import Target
from tcptune.errors import HostKeyRefused

_Version = tuple[int, int, int, int]
"""Device, inode, bytes and time of change: another one where a file was written again."""

_RSA_SIGNATURES = ("rsa-sha2-512", "rsa-sha2-256", "ssh-rsa")


@dataclass(frozen=True)
class _Entry:
    """One line of a known_hosts file."""

    names: str
    kind: str
    blob: str

    def is_of(self, name: str) -> bool:
        """Whether the line speaks of a host: by a hash of its name, or by a list of patterns."""
        if self.names.startswith("|1|"):
            return _hashes_to(self.names, name)
        patterns = self.names.lower().split(",")
        barred = [pattern[1:] for pattern in patterns if pattern.startswith("!")]
        if any(fnmatchcase(name.lower(), _quoted(pattern)) for pattern in barred):
            return False
        return any(fnmatchcase(name.lower(), _quoted(pattern)) for pattern in patterns)


class KnownHosts:
    """The keys of some known_hosts files, parsed once."""

    def __init__(self, files: tuple[Path, ...]) -> None:
        self._files = files
        self._entries: list[_Entry] = []
        self._revoked: set[str] = set()
        for path in files:
            if path.is_file():
                for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
                    self._take(line.split())

    def algorithms(self, target: Target) -> tuple[str, ...]:
        """Return the key algorithms to ask the host for first: those a key is known of."""
        found: list[str] = []
        for entry in self._known(target):
            found += _RSA_SIGNATURES if entry.kind == "ssh-rsa" else (entry.kind,)
        return tuple(dict.fromkeys(found))

    def check(self, target: Target, key: paramiko.PKey) -> None:
        """Raise HostKeyRefused unless `key` is one that is known of this host."""
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
        if not any(entry.blob == key.get_base64() for entry in known):
            was = next((entry for entry in known if entry.kind == key.get_name()), known[0])
            raise HostKeyRefused(
                f"{target.host}: the host key of {name} is {key.fingerprint}, known_hosts says {_fingerprint(was)}",
                hint=f"somebody may be in between; if the host was reinstalled: ssh-keygen -R {name}",
            )

    def _take(self, words: list[str]) -> None:
        if len(words) >= 4 and words[0] == "@revoked":
            self._revoked.add(words[3])
        elif len(words) >= 3 and words[0][0] not in "#@":
            # A certificate authority (@cert-authority) signs keys and is none: its hosts count as unknown here.
            self._entries.append(_Entry(*words[:3]))

    def _known(self, target: Target) -> list[_Entry]:
        name = _entry_name(target)
        return [entry for entry in self._entries if entry.is_of(name)]


def _hashes_to(names: str, name: str) -> bool:
    """Say whether `|1|SALT|HASH` is the hash of a name; a line that is damaged is of nobody."""
    try:
        _, _, salt, digest = names.split("|")
        salted = hmac.digest(base64.b64decode(salt, validate=True), name.encode(), "sha1")
        return hmac.compare_digest(salted, base64.b64decode(digest, validate=True))
    except (ValueError, binascii.Error):
        return False


def _quoted(pattern: str) -> str:
    # In known_hosts [host]:port is no set of characters.
    return pattern.replace("[", "[[]")


def _fingerprint(entry: _Entry) -> str:
    try:
        digest = hashlib.sha256(base64.b64decode(entry.blob, validate=True)).digest()
    except binascii.Error:
        return "a line that holds no key"
    return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")


def known_hosts(files: tuple[Path, ...]) -> KnownHosts:
    """Return the parsed files: parsed once, and again when one of them has changed.

    A rollout lasts for hours. A host that became known meanwhile is reached, and a key that was revoked is refused.
    """
    return _parsed(files, tuple(_version(path) for path in files))


@lru_cache(maxsize=64)
def _parsed(files: tuple[Path, ...], _versions: tuple[_Version | None, ...]) -> KnownHosts:
    return KnownHosts(files)


def _version(path: Path) -> _Version | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def _entry_name(target: Target) -> str:
    if target.key_alias:
        return target.key_alias
    return target.hostname if target.port == 22 else f"[{target.hostname}]:{target.port}"
