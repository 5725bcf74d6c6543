"""A server that is stopped in the middle and started again: calls wait, and nothing is lost, halved or done twice."""

from __future__ import annotations

import multiprocessing
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from multiprocessing.queues import SimpleQueue
from pathlib import Path

import pytest
from sqlalchemy.orm import Session

from tcptune.adapters.journal.heartbeat import Heartbeat
from tcptune.adapters.journal.store import SqlJournal
from tcptune.domain.runs import HostState
from tcptune.errors import LeaseLost, TcptuneError
from tests.journal.conftest import Place, new_place
from tests.journal.server import PASSWORD, Server
from tests.unit.builders import NOW, cohort, plan, result, run

PLAN = plan(cohort("web1", "web2"))
RUN = run(result("web1", HostState.PLANNED), result("web2", HostState.PLANNED), run_id="r1", plan_id=PLAN.plan_id)


@pytest.fixture
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    return new_place("postgresql", tmp_path, request)


@pytest.fixture
def own(place: Place) -> Iterator[Server]:
    """Give the server, and start it again if the test left it stopped."""
    assert place.server is not None
    try:
        yield place.server
    finally:
        if not place.server.running:
            place.server.start()


def notes(journal: SqlJournal) -> list[str]:
    return [move.note for move in journal.moves("r1")]


def note(journal: SqlJournal, text: str, host: str = "web1") -> None:
    journal.move("r1", result(host, HostState.PLANNED), at=NOW, note=text)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT])
def test_a_call_waits_for_a_server_that_comes_back(place: Place, own: Server, how: signal.Signals) -> None:
    told: list[str] = []
    journal = SqlJournal(place.url, by="ada@ctl1", patience_s=30, tell=told.append)
    journal.begin(RUN, PLAN)

    own.stop(how)
    waiting = threading.Thread(target=note, args=(journal, "after"))
    waiting.start()
    time.sleep(1.5)
    assert waiting.is_alive()
    own.start()
    waiting.join(30)

    assert notes(journal) == ["after"]
    [line] = told
    assert "does not answer: waiting for it, " in line
    assert place.name in line


def test_nobody_is_told_of_a_restart_that_is_over(place: Place, own: Server) -> None:
    told: list[str] = []
    journal = SqlJournal(place.url, tell=told.append)
    journal.begin(RUN, PLAN)

    own.stop()
    own.start()

    assert journal.find("r1")[0].run_id == "r1"
    assert told == []


def test_a_transaction_that_is_cut_in_the_middle_leaves_nothing_and_is_done_again(place: Place, own: Server) -> None:
    journal = place.open()
    journal.begin(RUN, PLAN)
    stops: list[Callable[[], None]] = [lambda: own.stop(signal.SIGQUIT)]
    seen: list[list[str]] = []

    def work(session: Session, call: str) -> None:
        session.add(journal.database.log("r1", NOW, call, host="web1", before="planned", after="planned", note="1"))
        session.flush()
        if stops:
            stops.pop()()
            own.start()
            seen.append(notes(place.open()))
        session.add(journal.database.log("r1", NOW, call, host="web1", before="planned", after="planned", note="2"))

    journal.database.write(work)

    assert seen == [[]]
    assert notes(journal) == ["1", "2"]


def test_a_server_that_stays_away_is_one_clear_error(place: Place, own: Server) -> None:
    journal = place.open(patience_s=1.0)
    journal.begin(RUN, PLAN)

    own.stop()
    began = time.monotonic()
    with pytest.raises(TcptuneError) as refused:
        note(journal, "never")

    assert 0.9 < time.monotonic() - began < 5
    assert f"the journal {place.name} did not answer for 1 s: no connection to the server" in str(refused.value)
    assert "whether the last step is recorded is not known" in str(refused.value)
    assert PASSWORD not in f"{refused.value} {refused.value.hint}"
    assert "\n" not in str(refused.value)

    own.start()
    assert notes(journal) == []


def test_a_journal_that_is_away_is_not_waited_for_when_it_is_opened(place: Place, own: Server) -> None:
    own.stop()
    began = time.monotonic()
    with pytest.raises(TcptuneError, match="cannot be used: no connection to the server") as refused:
        place.open(patience_s=30)

    assert time.monotonic() - began < 5
    assert "is it running?" in (refused.value.hint or "")


class _Cutting:
    """A way to the server that loses the answer to the first COMMIT: it is done, and nobody is told."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.armed = threading.Event()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            client, _ = self._listener.accept()
            server = socket.create_connection(("127.0.0.1", self._port))
            threading.Thread(target=self._forward, args=(client, server), daemon=True).start()
            threading.Thread(target=self._answer, args=(server, client), daemon=True).start()

    def _forward(self, client: socket.socket, server: socket.socket) -> None:
        while data := _received(client):
            if b"COMMIT" in data and self.armed.is_set():
                self.armed.clear()
                client.shutdown(socket.SHUT_RDWR)
            server.sendall(data)
        server.close()

    @staticmethod
    def _answer(server: socket.socket, client: socket.socket) -> None:
        while data := _received(server):
            try:
                client.sendall(data)
            except OSError:
                return


def _received(one: socket.socket) -> bytes:
    try:
        return one.recv(65536)
    except OSError:
        return b""


def test_a_write_whose_answer_was_lost_is_not_done_twice(place: Place, own: Server) -> None:
    way = _Cutting(own.port)
    journal = SqlJournal(place.url.replace(f":{own.port}/", f":{way.port}/") + "?sslmode=disable&gssencmode=disable")
    journal.begin(RUN, PLAN)

    way.armed.set()
    note(journal, "once")
    assert not way.armed.is_set()
    way.armed.set()
    lease = journal.locks.claim(["web1"], "r1", by="ada@ctl1", lease_s=60)
    assert not way.armed.is_set()

    assert notes(journal) == ["once"]
    assert [lock.token for lock in journal.locks.locks()] == [lease.token]
    assert place.asked("SELECT count(*) FROM claims") == [(1,)]


def test_who_is_stopped_in_a_transaction_keeps_nobody_waiting_and_does_it_again(place: Place, own: Server) -> None:
    assert own.running
    sleeper, other = place.open("ada@ctl1"), place.open("bob@ctl2")
    sleeper.begin(RUN, PLAN)
    sleeping = threading.Event()

    def work(session: Session, call: str) -> None:
        session.add(sleeper.database.log("r1", NOW, call, host="web1", before="planned", after="planned", note="slept"))
        sleeper.locks._one_at_a_time(session)
        if not sleeping.is_set():
            sleeping.set()
            time.sleep(7)

    thread = threading.Thread(target=sleeper.database.write, args=(work,))
    thread.start()
    assert sleeping.wait(10)
    lease = other.locks.claim(["web1"], "r2", by="bob@ctl2", lease_s=60)
    assert thread.is_alive()
    thread.join()

    assert lease.hosts == ("web1",)
    assert notes(other) == ["slept"]


def test_a_heart_goes_on_after_a_restart_within_the_lease(place: Place, own: Server) -> None:
    journal = place.open()
    lease = journal.locks.claim(["web1"], "r1", by="ada@ctl1", lease_s=6)
    with Heartbeat(journal.locks, lease) as heart:
        own.stop(signal.SIGQUIT)
        time.sleep(2.5)  # a renewal falls into it
        own.start()
        until = time.monotonic() + 6
        while time.monotonic() < until:
            heart.check()
            time.sleep(0.1)

    assert [lock.ran_out for lock in journal.locks.locks()] == [False]


def test_a_claim_that_ran_out_while_the_server_was_away_is_ours_again_at_once_if_nobody_took_it(
    place: Place, own: Server
) -> None:
    journal = place.open()
    lease = journal.locks.claim(["web1"], "r1", by="ada@ctl1", lease_s=2)
    with Heartbeat(journal.locks, lease) as heart:
        own.stop()
        time.sleep(2.5)
        with pytest.raises(LeaseLost, match="somebody else may have the hosts"):
            heart.check()
        own.start()
        # Without waiting for the next beat: what waited for the journal goes on as soon as the server answers.
        heart.check()

    assert [lock.ran_out for lock in journal.locks.locks()] == [False]


NOTES = 150


def _writer(url: str, host: str, said: SimpleQueue[str]) -> None:
    try:
        journal = SqlJournal(url, by=host, patience_s=60)
        for number in range(NOTES):
            note(journal, str(number), host)
            time.sleep(0.02)
        said.put("")
    except BaseException as problem:  # whatever it is: the test waits for a word of each
        said.put(f"{type(problem).__name__}: {problem}")


def test_two_controllers_lose_nothing_and_repeat_nothing_while_the_server_crashes(place: Place, own: Server) -> None:
    journal = place.open()
    journal.begin(RUN, PLAN)
    forks = multiprocessing.get_context("fork")
    said: SimpleQueue[str] = forks.SimpleQueue()
    writers = [forks.Process(target=_writer, args=(place.url, host, said)) for host in ("web1", "web2")]
    for writer in writers:
        writer.start()
    for _ in range(3):
        time.sleep(0.7)
        own.stop(signal.SIGQUIT)
        time.sleep(0.3)
        own.start()
    assert [said.get(), said.get()] == ["", ""]
    for writer in writers:
        writer.join()

    found = place.open().moves("r1")
    for host in ("web1", "web2"):
        assert [move.note for move in found if move.host == host] == [str(number) for number in range(NOTES)]
