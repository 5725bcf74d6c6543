"""A PostgreSQL server of the tests' own: made in a temporary folder, and gone with it."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

PACKAGE = "postgresql"
PASSWORD = "s3cret-of-the-tests"


def programs() -> Path | None:
    """Give the folder of the newest server's programs; Debian keeps them out of PATH."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[4]))
    on_path = shutil.which("postgres")
    return found[-1].parent if found else Path(on_path).parent if on_path else None


def missing() -> list[str]:
    """Give the reasons why no server can run here, each a line for a person; empty if one can."""
    reasons = [] if programs() else [f"there is no PostgreSQL server (Debian package {PACKAGE})"]
    if find_spec("psycopg") is None:
        reasons.append("psycopg is not installed (requirements/dev.txt)")
    if os.geteuid() == 0 and _unprivileged() is None:
        reasons.append(f"root may not run a server, and there is no user postgres (Debian package {PACKAGE})")
    return reasons


def _unprivileged() -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam("postgres")
    except KeyError:
        return None


class Server:
    """One cluster, on a loopback port. It can be stopped, killed and started again."""

    def __init__(self) -> None:
        bin_folder = programs()
        assert bin_folder is not None
        self._programs = bin_folder
        self._process: subprocess.Popen[bytes] | None = None
        self.folder = Path(tempfile.mkdtemp(prefix="tcptune-postgresql-"))
        self._as_user = []
        if os.geteuid() == 0:
            user = _unprivileged()
            assert user is not None
            os.chown(self.folder, user.pw_uid, user.pw_gid)
            self._as_user = [f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
        self.port = _free_port()
        password = self.folder / "password"
        password.write_text(PASSWORD)
        password.chmod(0o644)
        words = [
            "-D",
            f"{self.folder}/data",
            "-U",
            "postgres",
            f"--pwfile={password}",
            "--no-sync",
            "--no-instructions",
        ]
        subprocess.run(
            self._command("initdb", *words, "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C"),
            check=True,
            capture_output=True,
            cwd=self.folder,
            timeout=120,
        )
        self.start()

    def _command(self, program: str, *words: str) -> list[str]:
        # Whatever becomes of the tests, the server ends with them: with the thread that starts it, to be precise.
        return ["setpriv", "--pdeathsig=INT", *self._as_user, str(self._programs / program), *words]

    def start(self, *settings: str) -> None:
        """Start it, with settings such as 'max_connections=5', and wait until it answers."""
        given = [f"port={self.port}", "listen_addresses=127.0.0.1", f"unix_socket_directories={self.folder}"]
        # The machine does not lose its power here; a killed server keeps what it has written.
        given += ["fsync=off", "timezone=Asia/Kolkata", *settings]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                self._command("postgres", "-D", f"{self.folder}/data", *(f"--{word}" for word in given)),
                stdout=log,
                stderr=log,
                cwd=self.folder,
            )
        until = time.monotonic() + 60
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > until:
                raise RuntimeError((self.folder / "log").read_text()[-2000:])
            time.sleep(0.05)

    def _answers(self) -> bool:
        asked = [str(self._programs / "pg_isready"), "-q", "-h", str(self.folder), "-p", str(self.port)]
        return subprocess.run(asked, check=False, capture_output=True).returncode == 0

    @property
    def running(self) -> bool:
        return self._process is not None

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop it. SIGINT ends all sessions, SIGQUIT does so without a clean end, as a crash would."""
        if self._process is None:
            return
        self._process.send_signal(how)
        self._process.wait(60)
        self._process = None

    def remove(self) -> None:
        """Stop it, and leave nothing behind."""
        self.stop()
        shutil.rmtree(self.folder)

    def sql(self, *statements: str, database: str = "postgres") -> list[tuple[object, ...]]:
        """Run statements as the administrator, and give the rows of the last."""
        import psycopg

        rows: list[tuple[object, ...]] = []
        with psycopg.connect(self.plain_url("postgres", PASSWORD, database), autocommit=True) as connection:
            for statement in statements:
                cursor = connection.execute(statement.encode())
                rows = cursor.fetchall() if cursor.description else []
        return rows

    def plain_url(self, user: str, password: str, database: str) -> str:
        """Give the URL that psql and psycopg know."""
        return f"postgresql://{user}:{password}@127.0.0.1:{self.port}/{database}"

    def new_database(self) -> str:
        """Make an empty database, and give its name. It belongs to a user of the same name and PASSWORD."""
        name = f"t{secrets.token_hex(6)}"
        self.sql(f"CREATE ROLE {name} LOGIN PASSWORD '{PASSWORD}'", f"CREATE DATABASE {name} OWNER {name}")
        return name


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port
