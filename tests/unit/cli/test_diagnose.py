"""`tcptune diagnose` offline: exit codes, files, and the way from the diagnosis to the plan."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tcptune.adapters.files import facts_lines, write_whole
from tcptune.domain.facts import Unread
from tcptune.domain.samples import Sampled
from tests.unit.adapters.test_captures import write
from tests.unit.builders import NOW
from tests.unit.captures.talk import Talk
from tests.unit.detectors.cases import CASES
from tests.unit.detectors.hosts import sampled

from .conftest import Command

FAULT = CASES["a kernel that resets on overflow"].sampled
IN_PART = sampled(first={"kernel_log": None})


@pytest.fixture(autouse=True)
def inventory(tmp_path: Path) -> None:
    (tmp_path / "hosts.ini").write_text("[web]\nweb1\n")


def put(folder: Path, *samples: Sampled | Unread) -> tuple[Path, Path]:
    before, after = folder / "before.jsonl", folder / "after.jsonl"
    firsts = [one if isinstance(one, Unread) else one.first for one in samples]
    seconds = [one if isinstance(one, Unread) else one.second for one in samples]
    write_whole(before, facts_lines(firsts, NOW))
    write_whole(after, facts_lines(seconds, NOW))
    return before, after


@pytest.mark.parametrize(
    ("samples", "code", "says"),
    [
        ([sampled()], 0, "nothing is wrong"),
        ([FAULT], 10, "listen.abort_on_overflow  high"),
        ([IN_PART], 4, "nothing was found, and not all was judged"),
        ([FAULT, Unread(host="web2", error="timed out")], 4, "web2  could not be read: timed out"),
    ],
    ids=["well", "fault", "in part", "unread"],
)
def test_it_exits_with_what_it_found(
    tcptune: Command, tmp_path: Path, samples: list[Sampled | Unread], code: int, says: str
) -> None:
    said = tcptune("diagnose", "--facts", *put(tmp_path, *samples))

    assert said.code == code
    assert says in said.out
    assert "Nothing has been changed." in said.out


def test_a_report_for_a_machine_is_all_there_is_on_standard_output(tcptune: Command, tmp_path: Path) -> None:
    said = tcptune("diagnose", "--facts", *put(tmp_path, FAULT), "--format", "json")

    found = json.loads(said.out)
    assert (found["tcptune"], found["format_version"]) == ("diagnosis", 1)
    assert found["hosts"][0]["causes"][0]["cause"] == "listen.abort_on_overflow"


def test_the_profile_it_writes_is_valid_and_a_plan_takes_it(tcptune: Command, tmp_path: Path) -> None:
    before, after = put(tmp_path, FAULT)

    said = tcptune("diagnose", "--facts", before, after, "--emit-profile", "fix.yml")
    assert (said.code, "wrote fix.yml" in said.err) == (10, True)

    assert tcptune("profile", "validate", "fix.yml").code == 0
    planned = tcptune("plan", "fix.yml", "--facts", after, "-i", "hosts.ini")
    assert planned.code == 10
    assert "net.ipv4.tcp_abort_on_overflow" in planned.out
    assert "1 -> 0" in planned.out


def test_where_no_setting_helps_no_profile_is_written(tcptune: Command, tmp_path: Path) -> None:
    said = tcptune("diagnose", "--facts", *put(tmp_path, CASES["SO_LINGER 0"].sampled), "--emit-profile", "fix.yml")

    assert (said.code, (tmp_path / "fix.yml").exists()) == (10, False)
    assert "no kernel setting helps: fix.yml was not written" in said.err


LOG = (
    "2026/03/14 15:09:26 [error] 7#7: *1 recv() failed (104: Connection reset by peer) while reading response header"
    " from upstream"
)
CHAIN = """\
chain: shop
format_version: 1
hops:
  - name: proxy
    layer: 7
    sends: {idle_timeout: 60s, requests: never, response_timeout: 10s}
  - name: app
    layer: 7
    receives: {idle_timeout: 5s, requests: never, answer_within: 5s}
"""


def test_files_are_judged_without_a_host_and_none_is_read(
    tcptune: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TCPTUNE_INVENTORY", "gone.ini")
    (tmp_path / "error.log").write_text(LOG + "\n")
    (tmp_path / "chain.yml").write_text(CHAIN)

    alone = tcptune("diagnose", "--log", "error.log")
    assert alone.code == 10
    assert "reset.keepalive_race  possible" in alone.out
    assert "no host was looked at, the files tell of 1 cause" in alone.out

    both = tcptune("diagnose", "--log", "error.log", "--chain", "chain.yml", "--format", "json")
    assert both.code == 10, both.err
    [cause] = json.loads(both.out)["elsewhere"]["causes"]
    assert (cause["cause"], cause["confidence"]) == ("reset.keepalive_race", "likely")
    assert [one["source"] for one in cause["evidence"]] == ["log", "chain"]


def test_a_chain_is_judged_by_the_configuration_of_its_proxy(tcptune: Command, tmp_path: Path) -> None:
    hops = "[{name: %s, product: nginx}, {name: %s, layer: 7, receives: {idle_timeout: 5s, requests: never}}]"
    for name in ("shop", "desk"):
        (tmp_path / f"{name}.yml").write_text(f"chain: {name}\nhops: {hops % (f'{name}-proxy', f'{name}-app')}\n")
    upstream = "upstream app { server 10.0.0.9:80; keepalive 8; keepalive_timeout %s; }"
    server = "server { location / { proxy_pass http://app; proxy_http_version 1.1; proxy_set_header Connection ''; } }"
    for name, timeout in (("short", "4s"), ("long", "60s")):
        (tmp_path / f"{name}.conf").write_text(f"events {{}}\nhttp {{ {upstream % timeout} {server} }}\n")

    both = ["--chain", "shop.yml", "--chain", "desk.yml"]
    found = {
        given: json.loads(tcptune("diagnose", *both, *given.split(), "--format", "json").out)["elsewhere"]["causes"]
        for given in (
            "--nginx shop-proxy=short.conf --nginx desk-proxy=short.conf",
            "--nginx shop-proxy=long.conf --nginx desk-proxy=short.conf",
        )
    }

    races = [[one for one in causes if one["cause"] == "reset.keepalive_race"] for causes in found.values()]
    assert races[0] == []
    [race] = races[1]
    assert [one["name"] for one in race["evidence"]] == ["shop.yml, shop-proxy to shop-app"]

    unclear = tcptune("diagnose", *both, "--nginx", "long.conf")
    assert unclear.code == 2
    assert "shop.yml and desk.yml have 2 hops of product nginx, not one" in unclear.err
    assert "--nginx shop-proxy=long.conf" in unclear.err


# The product's default, 75 s, is what a chain file alone would be judged by.
BEHIND = """\
chain: shop
hops:
  - name: pool
    sends: {idle_timeout: 10s, requests: never, response_timeout: 10s}
  - name: proxy
    product: nginx
    upstream: app
  - name: app
    receives: {idle_timeout: 65s, requests: never, answer_within: 5s}
"""
SHORT = """\
events {}
http {
    upstream app { server 10.0.0.5:3000; }
    server { listen 80; keepalive_timeout 5s; location / { proxy_pass http://app; } }
}
"""


def test_what_a_proxy_is_really_configured_for_is_evidence(tcptune: Command, tmp_path: Path) -> None:
    (tmp_path / "chain.yml").write_text(BEHIND)
    (tmp_path / "nginx.conf").write_text(SHORT)

    assert tcptune("diagnose", "--chain", "chain.yml").code == 0
    said = tcptune("diagnose", "--chain", "chain.yml", "--nginx", "nginx.conf")

    assert said.code == 10, said.err
    assert "reset.keepalive_race" in said.out
    assert "keepalive_timeout 5 s -> 11 s" in " ".join(said.out.split())


def test_a_configuration_is_of_one_chain(tcptune: Command, tmp_path: Path) -> None:
    (tmp_path / "nginx.conf").write_text(SHORT)

    said = tcptune("diagnose", "--nginx", "nginx.conf", "--log", "error.log")

    assert said.code == 2
    assert "no chain is given" in said.err


def test_a_capture_is_judged_as_pcap_judges_it(tcptune: Command, tmp_path: Path) -> None:
    talk = Talk().handshake().ask()
    write(tmp_path / "aborted.pcap", talk.abort(talk.server))

    said = tcptune("diagnose", "--pcap", "aborted.pcap", "--format", "json")

    [cause] = json.loads(said.out)["elsewhere"]["causes"]
    assert (said.code, cause["cause"]) == (10, "reset.unread_data_on_close")
    assert cause["evidence"] == [
        {
            "source": "pcap",
            "name": "aborted.pcap, closed with data that it had not read",
            "value": 1.0,
            "unit": "flow",
            "threshold": None,
        }
    ]


def test_a_report_of_a_probe_is_taken_and_a_damaged_one_is_refused(tcptune: Command, tmp_path: Path) -> None:
    tried = tcptune("probe", "127.0.0.1:1", "-n", "1", "--format", "json", "-o", "probe.json")
    assert tried.code == 10, tried.err

    said = tcptune("diagnose", "--probe", "probe.json")
    assert (said.code, "refused.closed_port  possible" in said.out) == (10, True)
    assert "127.0.0.1:1: connect, refused" in said.out

    (tmp_path / "cut.json").write_text('{"tcptune": "probe", "format_version": 1}')
    cut = tcptune("diagnose", "--probe", "cut.json")
    assert (cut.code, "cut.json: the report is damaged: count: Field required" in cut.err) == (3, True)
    (tmp_path / "newer.json").write_text('{"tcptune": "probe", "format_version": 2}')
    assert "newer.json: format version 2" in tcptune("diagnose", "--probe", "newer.json").err


def test_files_are_evidence_on_the_host_that_is_looked_at(tcptune: Command, tmp_path: Path) -> None:
    (tmp_path / "app.log").write_text("2026-03-14T15:09:26Z accept() failed: Too many open files\n")

    said = tcptune("diagnose", "--facts", *put(tmp_path, sampled()), "--log", "app.log", "--format", "json")

    found = json.loads(said.out)
    assert (said.code, found["elsewhere"]) == (10, None)
    assert [one["cause"] for one in found["hosts"][0]["causes"]] == ["limit.emfile"]


def test_files_that_tell_of_nothing_are_no_health(tcptune: Command, tmp_path: Path) -> None:
    (tmp_path / "app.log").write_text("all is well\n")

    quiet = tcptune("diagnose", "--log", "app.log")
    assert (quiet.code, "nothing was found in them" in quiet.out) == (0, True)

    unread = tcptune("diagnose", "--log", "gone.log")
    assert (unread.code, "gone.log: No such file" in unread.out) == (4, True)


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        ("diagnose --pcap hosts.ini", 3, "hosts.ini: "),
        ("diagnose --chain hosts.ini", 3, "hosts.ini"),
        ("diagnose --nginx hosts.ini", 2, "--nginx hosts.ini: it is of a hop of a chain, and no chain is given"),
        ("diagnose --haproxy a=hosts.ini", 2, "--haproxy a=hosts.ini: it is of a hop of a chain"),
        ("diagnose --probe hosts.ini", 3, "hosts.ini: this is no report of a probe"),
        ("diagnose --log hosts.ini --log hosts.ini", 3, "hosts.ini: this is the file hosts.ini once more"),
        ("diagnose --facts gone.jsonl gone.jsonl", 3, "gone.jsonl: No such file"),
        ("diagnose --facts hosts.ini hosts.ini", 3, "hosts.ini:1: this is no facts file"),
        ("diagnose --facts hosts.ini", 2, "requires 2 arguments"),
        ("diagnose -i hosts.ini --window 2s", 2, "--window 2s: two samples lie between 5 s and an hour apart"),
        ("diagnose -i hosts.ini --window never", 2, "--window never"),
        ("diagnose -i hosts.ini --window 2x", 2, "'2x' is no time"),
        # Before any host is read: no name of an inventory, of a run or of a service is looked at.
        ("diagnose -i hosts.ini -o gone/report.txt", 1, "gone/report.txt: No such file or directory"),
        ("diagnose -i hosts.ini --emit-profile hosts.ini/fix.yml", 1, "hosts.ini/fix.yml: Not a directory"),
        ("diagnose -i hosts.ini -o .", 1, ".: Is a directory"),
        ("verify last --window 9s -o gone/report.txt", 1, "gone/report.txt: No such file or directory"),
        ("probe x:1 -o gone/report.txt", 1, "gone/report.txt: No such file or directory"),
        ("verify last --before a b", 2, "--before is what --window compares with"),
        ("verify last --window 1s", 2, "--window 1s: counters are looked at for 5 s or more"),
        ("diagnose --facts hosts.ini hosts.ini --limit web1", 2, "--limit is for hosts that are read"),
        ("diagnose --facts hosts.ini hosts.ini -i hosts.ini", 2, "--inventory is for hosts that are read"),
        ("diagnose --facts hosts.ini hosts.ini --window 5m", 2, "--window is for hosts that are read"),
        ("diagnose --facts hosts.ini hosts.ini --become-user bob", 2, "--become-user is for hosts that are read"),
        ("diagnose --facts hosts.ini hosts.ini -K", 2, "--ask-become-pass is for hosts that are read"),
    ],
)
def test_a_mistake_is_one_message(tcptune: Command, words: str, code: int, says: str) -> None:
    said = tcptune(*words.split())

    assert said.code == code
    assert says in said.err
    assert said.out == ""


def test_metrics_are_written_whole_and_the_exit_code_stays(tcptune: Command, tmp_path: Path) -> None:
    said = tcptune(
        "diagnose", "--facts", *put(tmp_path, FAULT), "--format", "prometheus", "-o", tmp_path / "tcptune.prom"
    )

    assert said.code == 10
    assert said.out == ""
    text = (tmp_path / "tcptune.prom").read_text()
    assert 'tcptune_diagnosis_cause{host="web1",cause="listen.abort_on_overflow",' in text
    assert 'tcptune_diagnosis_well{host="web1"} 0\n' in text
