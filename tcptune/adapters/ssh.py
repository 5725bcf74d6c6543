"""SSH by paramiko: one connection per host, and one exec, or two where somebody looks twice.

Own socket with TCP_NODELAY and paramiko's Transport directly: without it each connection waits for two delayed ACKs.
Cheap algorithms are asked for first and none is forbidden; the post-quantum exchange stays in front.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shlex
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from tcptune.adapters import become
from tcptune.adapters.known_hosts import known_hosts
from tcptune.adapters.lean_paramiko import paramiko
from tcptune.adapters.ssh_config import Target, jump_target, target
from tcptune.domain.hosts import Host, Secrets
from tcptune.errors import HostUnreachable
from tcptune.ports import Output

_KEX_FIRST = ("mlkem768x25519-sha256", "curve25519-sha256", "curve25519-sha256@libssh.org")
_CIPHERS_FIRST = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com")
_DEFAULT_KEYS = ("id_ed25519", "id_ecdsa", "id_rsa")
_CHUNK = 65536

# paramiko's reader thread logs a traceback for each broken connection; the error reaches us as an exception.
logging.getLogger("paramiko").addHandler(logging.NullHandler())
logging.getLogger("paramiko").propagate = False


class SshTransport:
    """Runs commands over SSH."""

    def run(self, host: Host, command: Sequence[str], stdin: str, *, timeout_s: float) -> Output:
        """Return what the command said. Opens one connection and closes it."""
        line = become.wrapped(host, command)
        settled = target(host)
        deadline = time.monotonic() + timeout_s
        with _as_host_error(settled), contextlib.ExitStack() as stack:
            transport = _connect(settled, host.secrets, stack, deadline)
            output = _exec(_session(transport, deadline), host, shlex.join(line), stdin, deadline)
        become.check(host, output)
        return output


class KeptSsh:
    """Runs commands over SSH, two by two: the connection of the first is kept for the second, and closed by it.

    Of at most `most` hosts at a time: each kept connection is a thread. Where one has died meanwhile, as after a boot,
    the second command has a connection of its own. `close` ends those that no second command came for.
    """

    def __init__(self, most: int = 256) -> None:
        self._most = most
        self._kept: dict[str, tuple[paramiko.Transport, contextlib.ExitStack]] = {}
        self._lock = threading.Lock()

    def run(self, host: Host, command: Sequence[str], stdin: str, *, timeout_s: float) -> Output:
        """Return what the command said."""
        line = shlex.join(become.wrapped(host, command))
        settled = target(host)
        deadline = time.monotonic() + timeout_s
        with _as_host_error(settled), contextlib.ExitStack() as stack:
            channel = self._again(host.name, stack, deadline)
            if channel is not None:
                output = _exec(channel, host, line, stdin, deadline)
            else:
                transport = _connect(settled, host.secrets, stack, deadline)
                output = _exec(_session(transport, deadline), host, line, stdin, deadline)
                self._keep(host.name, transport, stack)
        become.check(host, output)
        return output

    def close(self) -> None:
        """Close what is kept."""
        with self._lock:
            kept = list(self._kept.values())
            self._kept.clear()
        for _, stack in kept:
            stack.close()

    def _keep(self, name: str, transport: paramiko.Transport, stack: contextlib.ExitStack) -> None:
        with self._lock:
            if len(self._kept) < self._most:
                self._kept[name] = (transport, stack.pop_all())

    def _again(self, name: str, stack: contextlib.ExitStack, deadline: float) -> paramiko.Channel | None:
        """Return a session on the kept connection, or None where there is none that works.

        Nothing has been asked of the host then, so that no command runs twice.
        """
        with self._lock:
            kept = self._kept.pop(name, None)
        if kept is None:
            return None
        transport, its_own = kept
        stack.enter_context(its_own)
        # Half of the time, so that enough is left for a new connection where nobody answers on this one.
        patience_s = max(0.0, deadline - time.monotonic()) / 2
        with contextlib.suppress(paramiko.SSHException, EOFError, OSError):
            return _session(transport, time.monotonic() + patience_s)
        return None


def _connect(hop: Target, secrets: Secrets, stack: contextlib.ExitStack, deadline: float) -> paramiko.Transport:
    channel = _channel(hop, stack, deadline)
    transport = paramiko.Transport(channel)
    stack.callback(transport.close)
    keys = known_hosts(hop.known_hosts)
    options = transport.get_security_options()
    options.kex = _first(_KEX_FIRST, options.kex)
    options.ciphers = _first(_CIPHERS_FIRST, options.ciphers)
    options.key_types = _first(keys.algorithms(hop), options.key_types)
    transport.banner_timeout = transport.handshake_timeout = transport.auth_timeout = hop.timeout_s
    transport.start_client(timeout=_left(deadline, hop.timeout_s))
    # It returns when time is up, too; the next step would then complain of "No existing session".
    if not transport.initial_kex_done:
        raise TimeoutError("timed out")
    keys.check(hop, transport.get_remote_server_key())
    _log_in(transport, hop, secrets)
    return transport


def _channel(hop: Target, stack: contextlib.ExitStack, deadline: float) -> Any:
    if hop.jumps:
        *earlier, last = hop.jumps
        nearer = jump_target(last, hop)
        if earlier:
            nearer = Target(**{**vars(nearer), "jumps": tuple(earlier)})
        # A jump host is logged in to with keys alone: the inventory's password belongs to the host behind it.
        gateway = _connect(nearer, Secrets(), stack, deadline)
        return gateway.open_channel(
            "direct-tcpip",
            (hop.hostname, hop.port),
            ("127.0.0.1", 0),
            timeout=_left(deadline, hop.timeout_s),
        )
    if hop.proxy_command:
        proxy = paramiko.ProxyCommand(hop.proxy_command)
        stack.callback(proxy.close)
        return proxy
    connection = socket.create_connection((hop.hostname, hop.port), timeout=_left(deadline, hop.timeout_s))
    stack.callback(connection.close)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def _log_in(transport: paramiko.Transport, hop: Target, secrets: Secrets) -> None:
    tried: list[str] = []
    for key, name in _keys(hop):
        tried.append(name)
        try:
            transport.auth_publickey(hop.user, key)
        except paramiko.AuthenticationException:
            continue
        if transport.is_authenticated():
            return
    if secrets.login is not None:
        tried.append("password")
        with contextlib.suppress(paramiko.AuthenticationException):
            transport.auth_password(hop.user, secrets.login.get_secret_value())
            if transport.is_authenticated():
                return
    raise HostUnreachable(
        f"{hop.host}: login as {hop.user} was refused (tried {', '.join(tried) or 'no key: none was found'})",
        hint=f"ssh -l {hop.user} -p {hop.port} {hop.hostname} true",
    )


def _keys(hop: Target) -> Iterator[tuple[paramiko.PKey, str]]:
    seen: set[str] = set()
    defaults = () if hop.identities_only and hop.key_files else _DEFAULT_KEYS
    for path in hop.key_files:
        if key := _load_key(hop, path, named=True):
            seen.add(key.get_base64())
            yield key, str(path)
    if os.environ.get("SSH_AUTH_SOCK") and not (hop.identities_only and hop.key_files):
        for agent_key in _agent_keys():
            if agent_key.get_base64() not in seen:
                yield agent_key, f"agent key {agent_key.comment or agent_key.fingerprint}"
    for name in defaults:
        path = Path.home() / ".ssh" / name
        if path not in hop.key_files and (key := _load_key(hop, path, named=False)):
            yield key, str(path)


def _load_key(hop: Target, path: Path, *, named: bool) -> paramiko.PKey | None:
    try:
        return _key(path)
    except FileNotFoundError:
        return None
    except OSError as problem:
        if not named:
            return None
        raise HostUnreachable(f"{hop.host}: key {path}: {problem.strerror}") from problem
    except (paramiko.SSHException, ValueError, TypeError) as problem:
        # An encrypted key may well be in the agent, whose keys are tried next.
        if not named or os.environ.get("SSH_AUTH_SOCK"):
            return None
        raise HostUnreachable(
            f"{hop.host}: key {path} cannot be used: {problem}",
            hint=f"if it has a passphrase: ssh-add {path}",
        ) from problem


@cache
def _key(path: Path) -> paramiko.PKey:
    return paramiko.PKey.from_path(path)


_agent_lock = threading.Lock()


@cache
def _agent() -> paramiko.Agent:
    return paramiko.Agent()


def _agent_keys() -> tuple[paramiko.AgentKey, ...]:
    with _agent_lock:
        return tuple(_agent().get_keys())


def _session(transport: paramiko.Transport, deadline: float) -> paramiko.Channel:
    return transport.open_session(timeout=_left(deadline))


def _exec(channel: paramiko.Channel, host: Host, line: str, stdin: str, deadline: float) -> Output:
    channel.settimeout(_left(deadline))
    channel.exec_command(line)
    begun, heard = True, b""
    if become.talks(host):

        def hear() -> bytes:
            channel.settimeout(_left(deadline))
            return channel.recv_stderr(_CHUNK)

        begun, heard = become.enter(host, hear, channel.sendall)
    # A command that ends before it has read everything closes the channel: its status tells why.
    with contextlib.suppress(OSError):
        if begun:
            channel.sendall(stdin.encode(errors="surrogateescape"))
        channel.shutdown_write()
    stdout = _drain(channel, channel.recv, deadline)
    stderr = heard.decode(errors="replace") + _drain(channel, channel.recv_stderr, deadline)
    # recv_exit_status() alone would wait for ever on a host that never says.
    if not channel.status_event.wait(_left(deadline)):
        raise TimeoutError("timed out")
    status = channel.recv_exit_status()
    channel.close()
    return Output(status, stdout, stderr)


def _drain(channel: paramiko.Channel, receive: Any, deadline: float) -> str:
    parts: list[bytes] = []
    while True:
        channel.settimeout(_left(deadline))
        part = receive(_CHUNK)
        if not part:
            return b"".join(parts).decode(errors="replace")
        parts.append(part)


def _first(wanted: Sequence[str], offered: Sequence[str]) -> tuple[str, ...]:
    ahead = [name for name in wanted if name in offered]
    return (*ahead, *(name for name in offered if name not in ahead))


def _left(deadline: float, at_most: float = float("inf")) -> float:
    left = min(deadline - time.monotonic(), at_most)
    if left <= 0:
        raise TimeoutError("timed out")
    return left


@contextlib.contextmanager
def _as_host_error(hop: Target) -> Iterator[None]:
    """Turn what sockets and paramiko raise into one sentence with a name in it."""
    check = f"ssh -l {hop.user} -p {hop.port} {hop.hostname} true"
    try:
        yield
    except socket.gaierror as problem:
        raise HostUnreachable(
            f"{hop.host}: {hop.hostname} cannot be resolved: {problem.strerror}", hint=check
        ) from None
    except TimeoutError:
        raise HostUnreachable(f"{hop.host}: no answer from {hop.hostname}:{hop.port} in time", hint=check) from None
    except (EOFError, paramiko.SSHException) as problem:
        reason = str(problem) or "the connection was closed"
        raise HostUnreachable(f"{hop.host}: no SSH session: {reason}", hint=check) from None
    except OSError as problem:
        raise HostUnreachable(f"{hop.host}: {problem.strerror or problem}", hint=check) from None
