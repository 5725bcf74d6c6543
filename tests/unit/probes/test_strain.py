"""The probes of pressure, drops and the kernel's log, run for real, and fed with what no host should say."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tcptune.domain.facts import HostFacts
from tcptune.domain.strain import Drops, KernelLog, KernelMessage, Pressure
from tcptune.domain.values import Frozen
from tcptune.probes import EVIDENCE, PROBES, drops, kernel_log, pressure
from tcptune.probes.closed import Closed
from tcptune.probes.script import BOOTSTRAP, assemble, parse
from tests.fuzz.examples import fuzz
from tests.unit.builders import SOMAXCONN

GOLDEN = Path(__file__).parents[2] / "golden"
NOW = datetime(2026, 3, 14, 15, 9, 26, tzinfo=UTC)
SHELLS = [shell for shell in ("dash", "bash --posix", "busybox sh") if shutil.which(shell.partition(" ")[0])]
AWKS = [awk for awk in ("mawk", "gawk", "original-awk", "busybox awk") if shutil.which(awk.partition(" ")[0])]
_NOBODY = 65534
SYN_FLOOD = "TCP: request_sock_TCP: Possible SYN flooding on port 0.0.0.0:80. Sending cookies."
REQUIRED = """@tcptune system
kernel 6.12.0
boot_id b1
hostname web1
systemd 1
memory_kib 4194304
cpus 4
user 0
@tcptune sysctl
@tcptune sysctl_files
"""


def said(*sections: str) -> HostFacts:
    answer = "\n".join([REQUIRED.rstrip(), *sections, "@tcptune done", ""])
    return parse("web1", answer, NOW, (*PROBES, *EVIDENCE))


def run(section: str, shell: str = SHELLS[0], path: Path | None = None) -> list[str]:
    environment = {**os.environ, **({"PATH": f"{path}:/usr/bin:/bin"} if path else {})}
    done = subprocess.run(
        [*shell.split(), "-c", EVIDENCE[section].SCRIPT], capture_output=True, env=environment, check=False
    )
    assert done.stderr == b""
    return [line for line in done.stdout.decode(errors="replace").split("\n") if line]


def program(folder: Path, name: str, script: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


def logging(folder: Path, dmesg: str | None, journal: str | None = None, awk: str = AWKS[0]) -> list[str]:
    """Run the section of the log where `dmesg` and `journalctl` say this; None is a refusal."""
    for name, text in (("dmesg", dmesg), ("journalctl", journal)):
        (folder / f"{name}.txt").write_text(text or "", encoding="utf-8")
        told = f"cat {folder}/{name}.txt" if text is not None else "echo 'not permitted' >&2; exit 1"
        program(folder, name, told)
    program(folder, "awk", f'exec {shutil.which(awk.partition(" ")[0])} {awk.partition(" ")[2]} "$@"')
    return run("kernel_log", path=folder)


@pytest.mark.parametrize("shell", SHELLS)
def test_this_machine_tells_its_pressure_and_its_drops(shell: str) -> None:
    strained = pressure.parse(run("pressure", shell))
    lost = drops.parse(run("drops", shell))

    total = int(Path("/proc/meminfo").read_text().split()[1]) * 1024
    assert strained.memory_bytes == total
    assert abs(strained.uptime_s - float(Path("/proc/uptime").read_text().split()[0])) < 10
    assert strained.max_files == int(Path("/proc/sys/fs/file-nr").read_text().split()[2])
    rows = Path("/proc/net/softnet_stat").read_text().splitlines()
    assert [cpu.cpu for cpu in lost.softnet] == list(range(len(rows)))
    assert "lo" in {link.name for link in lost.links} or lost.notes or lost.links_left_out


@pytest.mark.parametrize("shell", SHELLS)
def test_a_whole_answer_with_evidence_has_no_gap_but_the_log(shell: str) -> None:
    script = assemble([SOMAXCONN], (*PROBES, *EVIDENCE))
    done = subprocess.run([*shell.split(), "-c", BOOTSTRAP], input=script, capture_output=True, text=True, check=False)
    facts = parse("here", done.stdout, NOW, (*PROBES, *EVIDENCE))

    assert done.stderr == ""
    assert set(facts.gaps) <= {"kernel_log"}
    assert facts.sockets is not None
    assert facts.pressure is not None
    assert HostFacts.model_validate_json(facts.model_dump_json()) == facts


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_login_without_root_is_told_what_it_may_know_and_what_is_missing() -> None:
    script = assemble([], (*PROBES, *EVIDENCE))
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()):
        taken, _ = listener.accept()
        done = subprocess.run(
            ["sh", "-c", BOOTSTRAP],
            input=script,
            capture_output=True,
            text=True,
            check=False,
            cwd="/",
            user=_NOBODY,
            group=_NOBODY,
            extra_groups=[],
        )
        taken.close()
    facts = parse("here", done.stdout, NOW, (*PROBES, *EVIDENCE))

    assert done.stderr == ""
    assert set(facts.gaps) <= {"kernel_log"}
    assert facts.sockets is not None
    # Root's sockets have an owner, and nobody cannot see whom: they are not called ownerless.
    unseen = [one for one in facts.sockets.owners if one.owned and one.pid is None]
    assert sum(one.sockets for one in unseen if one.state == "ESTABLISHED") >= 2


def test_evidence_is_no_part_of_facts_unless_somebody_asks() -> None:
    assert not EVIDENCE.keys() & PROBES.keys()
    assert not [name for name in EVIDENCE if f"@tcptune {name}" in assemble([])]


@pytest.mark.parametrize("name", EVIDENCE)
@pytest.mark.parametrize("line", ["nonsense", "/proc/net/softnet_stat:xyz", "source", "lines x", "\0", "state X 1 1"])
def test_a_section_that_makes_no_sense_is_a_gap_and_the_host_is_read(name: str, line: str) -> None:
    facts = said(f"@tcptune {name}", line)

    assert facts.system.kernel == "6.12.0"
    assert getattr(facts, name) is None
    assert name in facts.gaps


def test_a_section_that_is_missing_is_a_gap() -> None:
    assert {name: said().gaps[name] for name in EVIDENCE} == dict.fromkeys(EVIDENCE, "the answer has no such section")


@pytest.mark.parametrize("awk", AWKS)
def test_of_the_log_only_lines_that_bear_on_tcp_leave_the_host(tmp_path: Path, awk: str) -> None:
    lines = ["[    0.000000] Linux version 6.1.0", "[   7.1] audit: password=hunter2", f"[ 100.500000] {SYN_FLOOD}"]
    answer = logging(tmp_path, "\n".join(lines) + "\n", awk=awk)
    found = kernel_log.parse(answer)

    assert "hunter2" not in "".join(answer)
    assert (found.source, found.lines, found.since_s) == ("dmesg", 3, 0.0)
    assert [(one.message, one.lines, one.last_s) for one in found.counts] == [
        (KernelMessage.POSSIBLE_SYN_FLOODING, 1, 100.5)
    ]
    assert [(one.at_s, one.text) for one in found.newest] == [(100.5, SYN_FLOOD)]


@pytest.mark.parametrize("awk", AWKS)
def test_every_message_is_found_by_the_host_as_it_is_by_us(tmp_path: Path, awk: str) -> None:
    sample = (GOLDEN / "kernel_log/dmesg-with-every-message.txt").read_text()
    texts = [line.split(" ", 3)[3] for line in sample.splitlines() if line.startswith("line ")]
    found = kernel_log.parse(logging(tmp_path, "".join(f"[{n}.0] {text}\n" for n, text in enumerate(texts)), awk=awk))

    assert {one.message for one in found.counts} == set(KernelMessage)
    assert sorted(one.text for one in found.newest) == sorted(texts)


@pytest.mark.parametrize("awk", AWKS)
def test_a_log_full_of_one_message_is_counted_and_its_newest_lines_are_told(tmp_path: Path, awk: str) -> None:
    flood = "".join(f"[{n}.25] {SYN_FLOOD} {'x' * 900}\n" for n in range(20_000))
    answer = logging(tmp_path, flood, awk=awk)
    found = kernel_log.parse(answer)

    assert sum(map(len, answer)) < 1500
    assert (found.counts[0].lines, found.counts[0].first_s, found.counts[0].last_s) == (20_000, 0.25, 19_999.25)
    assert [one.at_s for one in found.newest] == [19_997.25, 19_998.25, 19_999.25]
    assert max(len(one.text) for one in found.newest) == 300


@pytest.mark.parametrize("awk", AWKS)
def test_a_dmesg_that_shows_levels_is_read_alike(tmp_path: Path, awk: str) -> None:
    """As busybox does where it was built to be small."""
    found = kernel_log.parse(logging(tmp_path, f"<6>[    5.250000] eth0: up\n<4>[  100.500000] {SYN_FLOOD}\n", awk=awk))

    assert (found.since_s, [one.at_s for one in found.newest]) == (5.25, [100.5])
    assert found.newest[0].text == SYN_FLOOD


def test_where_dmesg_is_refused_the_journal_is_read(tmp_path: Path) -> None:
    found = kernel_log.parse(logging(tmp_path, None, f"[  100.500000] web1 kernel: {SYN_FLOOD}\n"))

    assert (found.source, found.newest[0].at_s) == ("journal", 100.5)


@pytest.mark.parametrize("journal", [None, ""])
def test_a_log_that_may_not_be_read_is_a_gap_and_never_a_quiet_kernel(tmp_path: Path, journal: str | None) -> None:
    answer = logging(tmp_path, None, journal)

    with pytest.raises(Closed, match="neither dmesg nor the journal"):
        kernel_log.parse(answer)
    facts = said("@tcptune kernel_log", *answer)
    assert facts.kernel_log is None
    assert facts.gaps["kernel_log"].startswith("this login may read neither dmesg")


def test_a_log_that_was_read_and_holds_no_such_line_says_how_much_was_read(tmp_path: Path) -> None:
    found = kernel_log.parse(logging(tmp_path, "[   12.250000] eth0: renamed from veth0\n"))

    assert (found.lines, found.since_s, found.counts, found.newest) == (1, 12.25, (), ())


def test_a_line_that_looks_like_ours_is_only_text(tmp_path: Path) -> None:
    found = kernel_log.parse(
        logging(tmp_path, f"[1.0] closed\n[2.0] source x\n@tcptune done\n[3.0] {SYN_FLOOD} $(id) 'a\n")
    )

    assert (found.lines, len(found.newest), found.newest[0].text[-8:]) == (4, 1, "$(id) 'a")


WORDS = st.sampled_from(
    [
        *(
            "source dmesg",
            "lines 5 1.0",
            "lines",
            "count martian 1 - -",
            "count x 1 2 3",
            "line martian 1.0 martian source",
        ),
        *("line", "closed", "total 2", "total", "here lo", "/proc/net/softnet_stat:0 0 0", "/proc/net/softnet_stat:g"),
        *("/sys/class/net/lo/statistics/rx_packets:5", "/sys/class/net/lo", "/proc/uptime:5 6", "/proc/uptime:"),
        *(
            "/proc/sys/net/ipv4/tcp_mem:1 2",
            "/proc/net/sockstat:TCP: inuse",
            "/proc/meminfo:x",
            "/proc/vmstat:pswpin 1",
        ),
        *("/proc/net/stat/arp_cache:table_fulls", "/proc/net/stat/arp_cache:1", "/proc/sys/fs/file-nr:1 0 x"),
    ]
)
LINES = st.lists(WORDS | st.text(alphabet=st.characters(blacklist_characters="\n"), min_size=1), max_size=20)


@pytest.mark.parametrize(("probe", "kind"), [(pressure, Pressure), (drops, Drops), (kernel_log, KernelLog)])
@fuzz(100)
@given(lines=LINES)
def test_whatever_the_host_says_is_understood_or_refused(
    probe: ModuleType, kind: type[Frozen], lines: Sequence[str]
) -> None:
    # `script.parse` turns these two into a gap.
    with contextlib.suppress(ValueError, LookupError):
        assert isinstance(probe.parse(lines), kind)
