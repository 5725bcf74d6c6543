# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One file of nginx's configuration that is ours: checked with all the others, written, put back where they do not fit.

nginx that runs reads nothing before it is told to reload, and it is told so only once `nginx -t` has taken the whole.
One that is started reads what is there. So the file is tried first, where this host allows it, in a place that nobody
else sees; and whoever dies between writing it and reloading leaves the previous one beside it, for the next call.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
from typing import Iterable, Iterator, NamedTuple, Sequence

from . import storage, trial, unfinished
from .errors import ChangeError, Failed, Refused

OWNED = re.compile(r"/(?:(?!\.\.?/)[A-Za-z0-9._-]+/)*[0-9]{1,3}-tcptune[A-Za-z0-9_-]*\.conf")
TIMEOUT_S = 60

_WORDS = re.compile(r"[^\s;{}]+")


class Outcome(NamedTuple):
    """What a change did, or would do."""

    changed: bool
    before: bytes | None
    after: bytes | None
    reloaded: bool = False
    recovered: bool = False
    """Whether a change that died had to be taken back first."""


class Nginx:
    """The nginx of this host, called by `command`, with `given` as its standard input."""

    def __init__(self, command: Sequence[str] = ("nginx",), given: bytes = b"") -> None:
        self.command = tuple(command)
        self.given = given

    def run(self, *options: str) -> tuple[int, str, str]:
        """Return status, standard output and error of nginx with these options. Raises Refused if it cannot run."""
        try:
            done = subprocess.run(  # noqa: S603  an argument list, no shell
                [*self.command, *options],
                input=self.given,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                timeout=TIMEOUT_S,
                check=False,
            )
        except FileNotFoundError:
            raise Refused(f"there is no {self.command[0]} on this host", hint="install nginx, or name it") from None
        except subprocess.TimeoutExpired:
            raise Failed(f"nginx {' '.join(options)} took longer than {TIMEOUT_S} s") from None
        return done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace")

    def can_see(self, path: str, data: bytes | None) -> bool:
        """Return whether this host has a place to try a file: one in which nginx takes `data`, which it takes now."""
        return shutil.which("unshare") is not None and self.seeing(path, data).mistake() is None

    def seeing(self, path: str, data: bytes | None) -> Nginx:
        """Return one that sees `data` in the file at `path`, or no file where that is None."""
        return Nginx([*trial.seeing(path, data is not None), *self.command], data or b"")

    def mistake(self) -> str | None:
        """Return what nginx says is wrong with its whole configuration, None if it takes it."""
        status, said = self.run("-t", "-q")[::2]
        return (_told(said) or f"nginx -t ended with status {status}") if status else None

    def configuration(self) -> str:
        """Return the whole configuration as nginx reads it, each file behind a line with its name."""
        status, text, said = self.run("-T", "-q")
        if status:
            raise Failed(_told(said) or f"nginx -T ended with status {status}")
        return text

    def master(self, configuration: str) -> int | None:
        """Return the process id of the nginx that runs with this configuration, None if none does."""
        found = re.search(r"^\s*pid\s+([^;]+);", configuration, re.MULTILINE)
        path = found.group(1).strip("\"' ") if found else None
        if path is None or not os.path.isabs(path):
            built = self.run("-V")[2]
            prefix = re.search(r"--prefix=(\S+)", built)
            compiled = re.search(r"--pid-path=(\S+)", built)
            path = os.path.join(
                prefix.group(1) if prefix else "/usr/local/nginx",
                path or (compiled.group(1) if compiled else "logs/nginx.pid"),
            )
        try:
            with open(path, encoding="ascii") as file:
                pid = int(file.read())
            with open(f"/proc/{pid}/comm", encoding="utf-8") as file:
                return pid if file.read().strip() == "nginx" else None
        except (OSError, ValueError):
            # No file, or one that a process left which is gone.
            return None


def bring(
    nginx: Nginx, path: str, wanted: bytes | None, *, listens: Iterable[str] = (), reload: bool = True, check: bool
) -> Outcome:
    """Make the file at `path` be `wanted`, or be gone where that is None.

    `listens` are addresses for which the file has a server that must not become the one that answers by default. Raises
    Refused where the host does not allow it, Failed where nginx did not take it: then the previous bytes are there.
    What a call has left that died is put back first.
    """
    if not OWNED.fullmatch(path):
        raise Refused(f"{path} is not ours to write", hint="/etc/nginx/conf.d/99-tcptune.conf is", key=path)
    folder = os.path.dirname(path)
    if not os.path.isdir(folder):
        raise Refused(f"there is no {folder}", hint="install nginx, or name the folder that it includes", key=path)
    try:
        left = unfinished.look(path)
    except OSError as error:
        raise Refused(f"{path} cannot be put back: {error}", hint="an earlier call died; see that folder") from error
    recovered = left is not None and left.stands
    found = left.before if left and recovered else _look(path)
    before = found.data if found else None
    if check:
        return Outcome(before != wanted or recovered, before, wanted, recovered=recovered)
    with _undisturbed():
        unfinished.settle(path)
    wrong = nginx.mistake()
    if recovered and reload and not wrong:
        # The one that died may have come as far as that.
        _reloaded(nginx, path, nginx.configuration())
    # A file of ours that is wrong may be what this call is to repair.
    if wrong and (found is None or before == wanted):
        raise Refused(f"nginx does not take its configuration as it is: {wrong}", hint="nginx -t", key=path)
    if before == wanted and not recovered:
        if wanted is not None:
            _fits(nginx, path, listens)
        return Outcome(False, before, wanted)
    if not wrong:
        _try(nginx, path, before, wanted, listens)
    with _undisturbed():
        kept = unfinished.keep(path, found, wanted)
        try:
            unfinished.put(path, _as_wanted(found, wanted))
            configuration = _taken(nginx, path, wanted, listens)
            reloaded = reload and _reloaded(nginx, path, configuration)
        except Exception as error:
            _put_back(path, found, kept, error)
            raise
        storage.remove(kept)
    return Outcome(True, before, wanted, reloaded, recovered)


def has_other_default(configuration: str, address: str) -> bool:
    """Return whether a server is named by the configuration as the one that answers on `address` by default."""
    for words in _listens(configuration):
        if _spelt(words[0]) == _spelt(address) and ("default_server" in words or "default" in words):
            return True
    return False


def _as_wanted(found: storage.FileState | None, wanted: bytes | None) -> storage.FileState | None:
    if wanted is None:
        return None
    return found._replace(data=wanted) if found else storage.new_file(wanted)


def _try(nginx: Nginx, path: str, before: bytes | None, wanted: bytes | None, listens: Iterable[str]) -> None:
    """Raise Failed where nginx would not take the file, before it is there. Where it cannot be tried, do nothing."""
    if not nginx.can_see(path, before):
        return
    try:
        _taken(nginx.seeing(path, wanted), path, wanted, listens)
    except ChangeError as error:
        error.message += "; the file was not touched"
        raise


def _taken(nginx: Nginx, path: str, wanted: bytes | None, listens: Iterable[str]) -> str:
    """Return the whole configuration as it is now. Raises Failed where nginx does not take it."""
    wrong = nginx.mistake()
    if wrong:
        raise Failed(f"nginx does not take {path}: {wrong}", hint=_hint(wrong), key=path)
    return nginx.configuration() if wanted is None else _fits(nginx, path, listens)


def _reloaded(nginx: Nginx, path: str, configuration: str) -> bool:
    """Tell a running nginx to reload. Return False if none runs."""
    if nginx.master(configuration) is None:
        return False
    status, said = nginx.run("-s", "reload")[::2]
    if status:
        raise Failed(f"nginx was not reloaded: {_told(said)}", hint="nginx -s reload", key=path)
    return True


def _fits(nginx: Nginx, path: str, listens: Iterable[str]) -> str:
    """Return the whole configuration. Raises Failed where the file is not read, or would answer for others."""
    configuration = nginx.configuration()
    if f"# configuration file {path}:\n" not in configuration:
        hint = f"include {os.path.dirname(path)}/*.conf in the http block of nginx.conf"
        raise Failed(f"nginx does not read {path}", hint=hint, key=path)
    for address in listens:
        if not has_other_default(configuration, address):
            raise Failed(
                f"no server has `listen {address} default_server`, so that ours could answer for yours",
                hint=f"add default_server to the `listen {address}` of the server that answers now",
                key=path,
            )
    return configuration


def _listens(configuration: str) -> Iterator[list[str]]:
    for line in configuration.splitlines():
        for found in re.finditer(r"(?:^|[\s;{}])listen\s+([^;]+);", line.partition("#")[0]):
            yield _WORDS.findall(found.group(1))


def _spelt(address: str) -> str:
    address = address.strip("\"'")
    if address.isdigit():
        return f"*:{address}"
    return re.sub(r"^0\.0\.0\.0:", "*:", address)


def _look(path: str) -> storage.FileState | None:
    try:
        return storage.look(path)
    except OSError as error:
        raise Refused(f"{path} cannot be ours: {error.strerror}", hint="put a regular file there", key=path) from error


def _put_back(path: str, found: storage.FileState | None, kept: str, error: Exception) -> None:
    try:
        unfinished.put(path, found)
        storage.remove(kept)
    except OSError as second:
        if isinstance(error, ChangeError):
            error.message += f"; not put back: {second.strerror}"
            error.hint = f"put {path} back by hand before nginx is started or reloaded: it is kept as {kept}"
            error.facts["not_restored"] = [path]
        return
    if isinstance(error, ChangeError):
        error.message += "; the previous file is back" if found else "; the file is gone again"


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """Let no lost connection end us between a write and the check of it."""
    kept = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)


def _told(said: str) -> str:
    lines = [line for line in said.splitlines() if "[emerg]" in line or "[alert]" in line] or said.splitlines()
    return re.sub(r"^nginx: \[\w+\] ", "", lines[0]) if lines else ""


def _hint(wrong: str) -> str:
    if "directive is duplicate" in wrong:
        return "another file says it in the http block too: leave it there, or take it out of that file"
    return "nginx -t"
