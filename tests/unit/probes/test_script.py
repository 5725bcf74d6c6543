from __future__ import annotations

from collections.abc import Sequence

import pytest

from tcptune.domain.facts import Value
from tcptune.errors import ProbeFailed
from tcptune.probes import OPTIONAL, PROBES, REQUIRED, sysctl, sysctl_files, system
from tcptune.probes.script import BEGIN, BOOTSTRAP, END, assemble, parse
from tests.unit.builders import NOW, SOMAXCONN, SYNCOOKIES, answer

ANSWER = answer({SOMAXCONN: "4096", SYNCOOKIES: "1"}, {"/etc/sysctl.conf": "net.core.somaxconn = 1\n"})


def test_a_whole_answer_becomes_facts() -> None:
    said = parse("web1", ANSWER, NOW)

    assert (said.host, said.collected_at, said.system.kernel) == ("web1", NOW, "6.12.0")
    assert said.sysctl[SOMAXCONN] == Value(text="4096", writable=True)
    assert [(f.path, f.content) for f in said.sysctl_files] == [("/etc/sysctl.conf", "net.core.somaxconn = 1\n")]


@pytest.mark.parametrize("length", range(0, len(ANSWER) - len("done\n"), 7))
def test_a_cut_answer_is_no_answer(length: int) -> None:
    with pytest.raises(ProbeFailed, match="web1: the answer is cut short"):
        parse("web1", ANSWER[:length], NOW)


def test_a_banner_before_the_answer_and_talk_after_it_do_no_harm() -> None:
    assert parse("web1", f"Welcome!\nkernel 1.0\n{ANSWER}logout\n", NOW) == parse("web1", ANSWER, NOW)


@pytest.mark.parametrize(
    ("good", "bad", "said"),
    [
        ("kernel 6.12.0", "kernel ", "no kernel release"),
        ("kernel 6.12.0", "kern 6.12.0", "'kernel'"),
        ("cpus 4", "cpus four", "four"),
        ("memory_kib 4194304\n", "", "'memory_kib'"),
        ("user 0\n", "", "'user'"),
        ("rw net/core", "rx net/core", "unexpected line 'rx net/core/somaxconn'"),
        ("rw net/core/somaxconn\n", "", "unexpected line 'net/core/somaxconn:4096'"),
        ("rw net/core/somaxconn", "rw net/ipv4/tcp_fastopen_key", "unexpected line"),
        ("file 0", "fill 0", "unexpected line 'fill 0 /etc/sysctl.conf'"),
        ("@tcptune sysctl_files", "@tcptune other", "'sysctl_files'"),
    ],
)
def test_an_answer_that_makes_no_sense_is_refused_with_the_reason(good: str, bad: str, said: str) -> None:
    assert good in ANSWER

    with pytest.raises(ProbeFailed, match="web1: the answer makes no sense") as failed:
        parse("web1", ANSWER.replace(good, bad, 1), NOW)
    assert said in str(failed.value)


@pytest.mark.parametrize("text", ["", "\n", "This account is currently not available.\n", "\0\x1b[2J", "@tcptune done"])
def test_garbage_is_refused(text: str) -> None:
    with pytest.raises(ProbeFailed):
        parse("web1", text, NOW)


def test_a_file_cannot_end_the_answer_or_begin_a_section() -> None:
    said = parse("web1", answer({}, {"/etc/sysctl.conf": "@tcptune done\n@tcptune sysctl\nfile 0 /x\n"}), NOW)

    assert [(f.path, f.content) for f in said.sysctl_files] == [
        ("/etc/sysctl.conf", "@tcptune done\n@tcptune sysctl\nfile 0 /x\n")
    ]


def test_keys_travel_as_data_after_the_script() -> None:
    script, _, keys = assemble([SOMAXCONN, "net.ipv4.conf.eth0/100.rp_filter"]).partition(f"\n{END}\n")

    assert script.startswith(f"{BEGIN}\n")
    assert "somaxconn" not in script
    assert keys == "net/core/somaxconn\nnet/ipv4/conf/eth0.100/rp_filter\n\n"


def test_only_what_the_host_needs_travels() -> None:
    script, _, _ = assemble([]).partition(f"\n{END}\n")
    lines = script.removeprefix(f"{BEGIN}\n").splitlines()

    assert [line for line in lines if not line or line.startswith("#") or line != line.strip()] == []


def test_every_probe_has_its_section_in_the_script() -> None:
    lines = assemble([]).splitlines()
    marks = [line for line in lines if "@tcptune" in line]

    assert marks == [f"printf '%s\\n' '@tcptune {name}'" for name in (*PROBES, "done")]


def test_the_command_line_is_the_same_for_every_host_and_set_of_keys() -> None:
    assert BOOTSTRAP.count("\n") == 1
    assert "somaxconn" not in BOOTSTRAP


@pytest.mark.parametrize("folder", sysctl_files.FOLDERS)
def test_every_folder_of_the_boot_model_is_read(folder: str) -> None:
    assert f" {folder}" in sysctl_files.SCRIPT


@pytest.mark.parametrize("lines", [["/proc/sys/net/core/other:1"], ["total nonsense"]])
def test_a_line_of_the_sysctl_section_that_is_none_of_ours_is_refused(lines: Sequence[str]) -> None:
    with pytest.raises(ValueError, match="unexpected line"):
        sysctl.parse(lines)


def test_keys_keep_the_order_in_which_they_were_asked_for() -> None:
    assert list(sysctl.parse(["rw net/b/b", "absent net/a/a", "/proc/sys/net/b/b:1"])) == ["net.b.b", "net.a.a"]


def test_the_size_of_a_page_is_the_usual_one_where_the_host_does_not_say() -> None:
    lines = ["kernel 6.1", "memory_kib 4", "cpus 1", "boot_id b", "hostname h", "systemd 1", "user 0"]

    assert system.parse(lines).page_size_bytes == 4096
    assert system.parse([*lines, "page_kib 64"]).page_size_bytes == 65536


def test_a_section_that_nobody_asked_for_is_a_gap_that_says_so() -> None:
    script = assemble([SOMAXCONN], REQUIRED)

    assert [name for name in PROBES if f"'@tcptune {name}'" in script] == list(REQUIRED)
    said = parse("web1", ANSWER, NOW, REQUIRED)
    assert said.gaps == dict.fromkeys(OPTIONAL, "nobody asked")
    assert parse("web1", ANSWER, NOW).gaps == dict.fromkeys(OPTIONAL, "the answer has no such section")
