"""The probe of sockets, run by every shell and awk that is here, on what `ss` and /proc/net/tcp really said."""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tcptune.domain.sockets import Sockets, SocketState, StateOwner
from tcptune.probes import sockets
from tests.fuzz.examples import fuzz
from tests.unit.conftest import Golden

GOLDEN = Path(__file__).parents[2] / "golden/ss"
AWKS = [awk for awk in ("mawk", "gawk", "original-awk", "busybox awk") if shutil.which(awk.partition(" ")[0])]
SHELLS = [shell for shell in ("dash", "bash --posix", "busybox sh") if shutil.which(shell.partition(" ")[0])]

HEADER = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"


class Bench:
    """A host that has some programs, what they say, and nothing else of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.programs = folder / "bin"
        self.programs.mkdir()
        for name in ("cat", "sed", "grep", "stat", "ls", "wc"):
            (self.programs / name).symlink_to(str(shutil.which(name)))
        self.net = folder / "net"
        self.net.mkdir()
        (self.net / "sockstat").write_text("sockets: used 50\n")
        (self.net / "file-nr").write_text("900\t0\t9223372036854775807\n")

    def program(self, name: str, script: str) -> None:
        path = self.programs / name
        path.unlink(missing_ok=True)
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def ss(self, said: str | bytes) -> None:
        """Let `ss` say this, and note how it was asked."""
        path = self.folder / "ss.txt"
        path.write_bytes(said.encode() if isinstance(said, str) else said)
        self.program("ss", f'echo "$@" >{self.folder}/asked\ncat {path}')

    def lines(self, *, awk: str = AWKS[0], shell: str = SHELLS[0]) -> list[str]:
        """Run the section."""
        self.program("awk", f'exec {shutil.which(awk.partition(" ")[0])} {awk.partition(" ")[2]} "$@"')
        script = sockets.SCRIPT.replace("/proc/net/", f"{self.net}/").replace("/proc/sys/fs/", f"{self.net}/")
        program, *options = shell.split()
        done = subprocess.run(
            [str(shutil.which(program)), *options, "-c", script],
            env={"PATH": str(self.programs), "LC_ALL": "C"},
            capture_output=True,
            check=False,
        )
        assert done.stderr == b""
        return [line for line in done.stdout.decode(errors="replace").split("\n") if line]

    def read(self, **how: str) -> Sockets:
        return sockets.parse(self.lines(**how))


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def settled(found: Sockets) -> Sockets:
    """Leave out what is of the machine that the test runs on: its range of ports and its processes."""
    peers = tuple(peer.model_copy(update={"in_range": 0}) for peer in found.peers)
    return found.model_copy(update={"processes": (), "peers": peers, "local_ports": 0})


def text(found: Sockets) -> str:
    return found.model_dump_json(indent=2) + "\n"


def owner(found: Sockets, state: SocketState, name: str | None = "python3", pid: int | None = None) -> StateOwner:
    [one] = [one for one in found.owners if (one.state, one.name) == (state, name) and (pid is None or one.pid == pid)]
    return one


def proc_row(local: str, remote: str, state: str, *, queues: str = "0:0", timer: str = "0:0", inode: int = 9) -> str:
    unsent, unread = queues.split(":")
    kind, rest = timer.split(":")
    return (
        f"   0: {local} {remote} {state} {int(unsent):08X}:{int(unread):08X} {int(kind):02X}:{int(rest):08X} "
        f"00000000     0        0 {inode} 1 0000000000000000 20 4 0 10 -1\n"
    )


@pytest.mark.parametrize("awk", AWKS)
@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("sample", sorted(GOLDEN.glob("iproute2-*.txt")), ids=lambda path: path.stem)
def test_what_ss_said_is_added_up_alike_by_every_shell_and_awk(
    bench: Bench, golden: Golden, sample: Path, shell: str, awk: str
) -> None:
    bench.ss(sample.read_text())

    golden(f"ss/{sample.stem}.json", text(settled(bench.read(awk=awk, shell=shell))))


@pytest.mark.parametrize("awk", AWKS)
def test_without_ss_the_same_sockets_are_read_from_proc(bench: Bench, golden: Golden, awk: str) -> None:
    shutil.copy(GOLDEN / "proc-tcp", bench.net / "tcp")
    shutil.copy(GOLDEN / "proc-tcp6", bench.net / "tcp6")
    found = settled(bench.read(awk=awk))

    golden("ss/proc.json", text(found))
    bench.ss((GOLDEN / "iproute2-6.1-with-owners-and-details.txt").read_text())
    seen = settled(bench.read(awk=awk))
    # How long somebody waits is what ss alone tells.
    timeless = tuple(port.model_copy(update={"waiting_s": None}) for port in seen.ports)
    seen = seen.model_copy(update={"ports": timeless})
    same = ("total", "states", "peers", "ports", "retransmitting", "zero_window")
    assert found.model_dump(include=set(same)) == seen.model_dump(include=set(same))
    assert found.source == "proc"
    assert not found.owners_known
    assert [one.pid for one in found.owners] == [None] * len(found.owners)


VERSIONS: dict[str, Callable[[str], str]] = {
    "no cgroups: iproute2 before 5.9": lambda said: re.sub(r" cgroup:\S+", "", said),
    "no marks of a half-closed connection": lambda said: re.sub(r" (?:<->|-->|<--)$", "", said, flags=re.MULTILINE),
    "a header": lambda said: "State Recv-Q Send-Q Local Address:Port Peer Address:Port Process\n" + said,
    "tabs between columns": lambda said: re.sub(r"(?<=\S) {2,}(?=\S)", "\t ", said),
    "fields that are not known yet": lambda said: re.sub(r" (sk:\S+)", r" dev:eth0 \1 fwmark:0x1 tos:0", said),
}


@pytest.mark.parametrize("change", VERSIONS.values(), ids=VERSIONS)
@pytest.mark.parametrize("awk", AWKS)
def test_what_versions_of_ss_add_or_leave_out_changes_nothing(
    bench: Bench, change: Callable[[str], str], awk: str
) -> None:
    said = (GOLDEN / "iproute2-6.1-with-owners-and-details.txt").read_text()
    assert change(said) != said
    bench.ss(said)
    known = settled(bench.read(awk=awk))
    bench.ss(change(said))

    assert settled(bench.read(awk=awk)) == known


def test_who_holds_what_and_since_when(bench: Bench) -> None:
    bench.ss((GOLDEN / "iproute2-6.1-with-owners-and-details.txt").read_text())
    found = bench.read()

    leaked = owner(found, SocketState.CLOSE_WAIT)
    # Two of the three have not even read the end.
    assert (leaked.pid, leaked.sockets, leaked.unread, leaked.quiet_s) == (7690, 3, 2, 1.888)
    assert owner(found, SocketState.FIN_WAIT2).sockets == 1
    assert owner(found, SocketState.FIN_WAIT2, None).sockets == found.unowned(SocketState.FIN_WAIT2) == 2
    slow = owner(found, SocketState.ESTABLISHED, pid=7690)
    assert (slow.unread, slow.unread_bytes, slow.unread_s) == (2, 129512, 1.888)
    assert owner(found, SocketState.ESTABLISHED, pid=7478).unsent_bytes == 3782144
    # ss says that it has heard nothing since the boot, as it never has: that is no age.
    assert owner(found, SocketState.SYN_SENT).quiet_s is None
    [full, served] = sorted(found.ports, key=lambda port: -port.port)
    assert (full.port, full.unaccepted, served.port, served.unaccepted, served.unread) == (8081, 1, 8080, 2, 2)
    assert (served.waiting_s, full.waiting_s) == (1.984, 1.884)
    assert (found.retransmitting, found.most_retransmissions, found.zero_window) == (1, 1, 1)
    assert (found.keepalive.on, found.keepalive.unknown, found.keepalive.soonest_s) == (1, 1, 297)
    assert found.peer_window_limited == 1


@pytest.mark.parametrize("awk", AWKS)
def test_ports_used_up_towards_a_destination_are_counted_within_the_range(bench: Bench, awk: str) -> None:
    low, high = map(int, Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())
    # As text, 5 would be more than 32768.
    ports = [5, 700, 9999, low - 1, low, low + 1, high, min(high + 1, 65535)]
    within = sum(low <= port <= high for port in ports)
    bench.ss("".join(f"TIME-WAIT 0 0 10.0.0.5:{port} 10.0.0.9:5432 ino:0\n" for port in ports))

    found = bench.read(awk=awk)

    [peer] = found.peers
    assert (peer.local, peer.address, peer.port) == ("10.0.0.5", "10.0.0.9", 5432)
    assert (peer.sockets, peer.in_range, found.local_ports) == (len(ports), within, within)


def test_an_ipv4_address_in_ipv6_clothes_is_the_same_destination(bench: Bench) -> None:
    bench.ss(
        "ESTAB 0 0 10.0.0.5:40000 10.0.0.9:5432 ino:7\n"
        "ESTAB 0 0 [::ffff:10.0.0.5]:40001 [::ffff:10.0.0.9]:5432 ino:8\n"
        "ESTAB 0 0 [fe80::1]%eth0:40001 [fe80::9]%eth0:5432 ino:8\n"
    )
    (bench.net / "tcp").write_text(HEADER + proc_row("0500000A:9C40", "0900000A:1538", "01"))
    mapped = "0000000000000000FFFF0000"
    (bench.net / "tcp6").write_text(HEADER + proc_row(f"{mapped}0500000A:9C41", f"{mapped}0900000A:1538", "01"))

    first, second = bench.read().peers
    (bench.programs / "ss").unlink()
    [only] = bench.read().peers

    assert (first.address, first.sockets, second.local, second.sockets) == ("10.0.0.9", 2, "fe80::1%eth0", 1)
    assert (only.local, only.address, only.port, only.sockets) == ("10.0.0.5", "10.0.0.9", 5432, 2)


@pytest.mark.parametrize("awk", AWKS)
@pytest.mark.parametrize(
    ("said", "rest_s"),
    [("119min", 7140), ("1min59sec", 119), ("59sec", 59), ("9.412ms", 9.412), ("7sec", 7), ("080ms", 0.08)],
)
def test_the_rest_of_a_timer_is_read_as_ss_spells_it(bench: Bench, said: str, rest_s: float, awk: str) -> None:
    bench.ss(f"ESTAB 0 0 10.0.0.5:80 10.0.0.9:1 timer:(keepalive,{said},2) ino:3\n")
    alive = bench.read(awk=awk).keepalive

    assert (alive.on, alive.soonest_s, alive.latest_s, alive.unanswered) == (1, rest_s, rest_s, 1)


@pytest.mark.parametrize("awk", AWKS)
@pytest.mark.parametrize(
    "name", ["a b", 'q"uote', "x))", "", "50% $(id)", "-e", "timer:(on,1,9)", "\\n", "ünï", "a/b:c"]
)
def test_the_name_of_a_process_is_data_whatever_it_holds(bench: Bench, name: str, awk: str) -> None:
    bench.ss(f'CLOSE-WAIT 1 0 10.0.0.5:80 10.0.0.9:1 users:(("{name}",pid=7,fd=2)) timer:(off,,0) ino:3\n')
    found = bench.read(awk=awk)

    [one] = found.owners
    assert (one.pid, one.name, one.sockets, one.shared) == (7, name, 1, 0)
    assert found.retransmitting == 0


def test_a_socket_that_several_processes_hold_is_counted_once_and_called_shared(bench: Bench) -> None:
    bench.ss(
        'ESTAB 0 0 10.0.0.5:80 10.0.0.9:1 users:(("w",pid=7,fd=2),("w",pid=8,fd=2)) ino:3\n'
        'ESTAB 0 0 10.0.0.5:80 10.0.0.9:2 users:(("w",pid=7,fd=3),("w",pid=7,fd=4)) ino:4\n'
    )
    [one] = bench.read().owners

    assert (one.pid, one.sockets, one.shared) == (7, 2, 1)


@pytest.mark.parametrize(
    ("used", "asked", "note"),
    [
        (20_000, "-Htanoepi", ""),
        (20_001, "-Htanoep", ""),
        (100_001, "-Htanoe", "100001 open sockets, and ss would look at all of them"),
    ],
)
def test_what_costs_too_much_is_not_asked_for_and_that_is_said(bench: Bench, used: int, asked: str, note: str) -> None:
    (bench.net / "sockstat").write_text(f"sockets: used {used}\n")
    bench.ss("LISTEN 0 5 0.0.0.0:80 0.0.0.0:* ino:3\n")
    found = bench.read()

    assert (bench.folder / "asked").read_text().strip() == asked
    assert note in "".join(found.notes)
    assert found.owners_known is (not note)


@pytest.mark.parametrize(("files", "owners"), [("300000\t0\t400000", True), ("300001\t0\t400000", False), (None, True)])
def test_every_open_file_of_the_host_counts_whoever_has_it(bench: Bench, files: str | None, owners: bool) -> None:
    """Those of other network namespaces, and those that are no sockets, are looked at, too."""
    (bench.net / "file-nr").unlink() if files is None else (bench.net / "file-nr").write_text(f"{files}\n")
    bench.ss("LISTEN 0 5 0.0.0.0:80 0.0.0.0:* ino:3\n")
    found = bench.read()

    assert found.owners_known is owners
    assert ("p" in (bench.folder / "asked").read_text()) is owners
    assert ("300001 open files, and ss would look at all of them" in "".join(found.notes)) is not owners


@pytest.mark.parametrize(("known", "nicer"), [(True, "10"), (False, "0")])
def test_the_walk_over_all_sockets_stands_back_where_the_host_can_say_so(bench: Bench, known: bool, nicer: str) -> None:
    if known:
        (bench.programs / "nice").symlink_to(str(shutil.which("nice")))
    was = subprocess.run(["nice"], capture_output=True, text=True, check=True).stdout
    bench.program("ss", f"{shutil.which('nice')} >{bench.folder}/nice\necho 'LISTEN 0 5 0.0.0.0:80 0.0.0.0:* ino:3'")

    assert bench.read().total == 1
    assert int((bench.folder / "nice").read_text()) == min(19, int(was) + int(nicer))


@pytest.mark.parametrize(
    "script", ["exit 1", "echo 'ESTAB 0 0 10.0.0.5:1 10.0.0.9:2'; exit 255", "cat /dev/null; exit 3"]
)
def test_where_ss_fails_proc_is_read(bench: Bench, script: str) -> None:
    bench.program("ss", script)
    (bench.net / "tcp").write_text(HEADER + proc_row("0100007F:1F90", "00000000:0000", "0A"))
    found = bench.read()

    assert (found.source, found.total, found.count(SocketState.LISTEN)) == ("proc", 1, 1)


def test_a_host_that_tells_no_sockets_at_all_is_a_gap() -> None:
    with pytest.raises(ValueError, match="neither ss nor /proc/net/tcp"):
        sockets.parse(["owners looked", "range 0 0", "uptime 5.0 6.0"])


def test_a_host_without_awk_is_a_gap(bench: Bench) -> None:
    bench.ss("LISTEN 0 5 0.0.0.0:80 0.0.0.0:* ino:3\n")
    script = sockets.SCRIPT.replace("/proc/net/", f"{bench.net}/")
    done = subprocess.run(
        ["/bin/sh", "-c", script], env={"PATH": str(bench.programs)}, capture_output=True, check=False
    )

    with pytest.raises(ValueError, match="no awk"):
        sockets.parse([line for line in done.stdout.decode().split("\n") if line])


def many(count: int) -> Iterator[str]:
    """Give rows of /proc/net/tcp: half were accepted, each from another address; half go to 600 destinations."""
    yield HEADER
    yield proc_row("00000000:1F90", "00000000:0000", "0A")
    for n in range(count // 2):
        yield proc_row("0100000A:1F90", f"{n:06X}0B:{1024 + n % 60000:04X}", ("01", "08", "06")[n % 3])
        yield proc_row(f"0100000A:{32768 + n % 28000:04X}", f"{n % 200:02X}00000A:{(80, 5432, 6379)[n % 3]:04X}", "06")


@pytest.mark.parametrize("awk", AWKS)
def test_a_hundred_thousand_sockets_are_a_few_kilobytes(bench: Bench, awk: str) -> None:
    (bench.net / "tcp").write_text("".join(many(100_000)))
    began = time.monotonic()
    lines = bench.lines(awk=awk)
    took_s = time.monotonic() - began
    found = sockets.parse(lines)

    assert (found.total, found.unlisted) == (100_001, 0)
    assert sum(one.sockets for one in found.states) == 100_001
    assert len(found.peers) == 50
    assert found.peers_left_out == 550
    assert [(port.port, port.sockets) for port in found.ports] == [(8080, 50_000)]
    assert sum(map(len, lines)) < 8_000
    # A machine that does nothing else needs less than two.
    assert took_s < 25


def test_many_destinations_are_told_apart_up_to_a_bound_and_the_rest_is_noted(bench: Bench) -> None:
    rows = (proc_row("0100000A:8000", f"{n & 0xFFFFFF:06X}0B:0050", "01") for n in range(100_007))
    (bench.net / "tcp").write_text("".join([HEADER, *rows]))
    found = bench.read()

    assert found.total == 100_007
    assert len(found.peers) == 50
    assert found.peers_left_out == 100_000 - 50
    assert "beyond the first 100000, counted by state alone: 7" in found.notes[-1]


def test_among_many_destinations_the_few_that_do_not_answer_are_told(bench: Bench) -> None:
    busy = (f"ESTAB 0 0 10.0.0.5:{p} 10.1.{p % 100}.9:80 ino:{p}\n" for p in range(10_000, 11_000))
    bench.ss("".join([*busy, "SYN-SENT 0 1 10.0.0.5:9999 10.9.9.9:80 timer:(on,8sec,4) ino:5\n"]))
    found = bench.read()

    [silent] = [peer for peer in found.peers if peer.address == "10.9.9.9"]
    assert (silent.states, silent.retransmitting, silent.most_retransmissions) == ({SocketState.SYN_SENT: 1}, 1, 4)


WORDS = st.sampled_from(
    [
        *("source ss", "source proc", "total 5", "total x", "beyond 0", "odd 0", "state LISTEN 1 0", "state X 1 1"),
        *("keepalive 1 2 3 - - 0", "keepalive", "again 0 0 0", "limited 1", "local_ports 9", "peers_left_out 0 0"),
        *(
            "peer 10.0.0.5 10.0.0.9 80 1 0 0 ESTABLISHED=1",
            "peer a b",
            "peer x x 1 1 1 1 Y=1",
            "port 80 1 - 1 1 1 Z",
            "port 80 1 - 1 1 1 LISTEN=1",
        ),
        *("ports_left_out 0", "owners_left_out 0 0", "owner 1 2 3", "owner 1 0 0 0 0 - - LISTEN 7 1 n", "pid", "pid x"),
        *(
            "uptime",
            "uptime 5.0 6.0",
            "/proc/7/stat:",
            "/proc/7/stat:S 1",
            "/proc/x/stat:S",
            "open 5",
            "open x /proc/7/fd",
        ),
    ]
)


@given(lines=st.lists(WORDS | st.text(alphabet=st.characters(blacklist_characters="\n"), min_size=1), max_size=30))
@fuzz(300)
def test_whatever_the_host_says_is_sockets_or_a_reason(lines: Sequence[str]) -> None:
    # `script.parse` turns these two into a gap.
    with contextlib.suppress(ValueError, LookupError):
        assert isinstance(sockets.parse(lines), Sockets)


PIECES = st.sampled_from(
    [
        *(
            b"ESTAB ",
            b"LISTEN ",
            b"CLOSE-WAIT ",
            b"0 0 ",
            b"9 9 ",
            b"10.0.0.5:80 ",
            b"[::1]:80 ",
            b"*:* ",
            b"\t",
            b"\n",
        ),
        *(b'users:(("a",pid=7,fd=3)) ', b"users:((", b",pid=", b"timer:(keepalive,1min,0) ", b"timer:(", b"ino:5 "),
        *(
            b" rto:200 lastack:5 ",
            b"rwnd_limited:5ms(99.9%)",
            b"failed\n",
            b"State\n",
            b"%s%n",
            b"\\",
            b"'",
            b'"',
            b"$(",
        ),
    ]
)


@given(
    said=st.lists(PIECES | st.binary(max_size=12).map(lambda raw: raw.replace(b"\0", b"")), max_size=40).map(b"".join)
)
@fuzz(60)
def test_whatever_ss_says_the_section_can_be_read(said: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    bench = Bench(tmp_path_factory.mktemp("bench"))
    bench.ss(said)
    (bench.net / "tcp").write_text(HEADER)

    assert bench.read().source in {"ss", "proc"}


def test_the_program_for_awk_stands_whole_in_single_quotes() -> None:
    _, program, rest = sockets.SCRIPT.split("program='")[0], *sockets.SCRIPT.split("program='")[1].split("'", 1)

    assert program.rstrip().endswith("}")
    assert rest.lstrip().startswith("said=")
