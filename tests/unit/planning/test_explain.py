"""`tcptune explain`, from the words to the text."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from tcptune.adapters.files import facts_lines
from tcptune.cli.app import app
from tcptune.domain.facts import HostFacts, SysctlFile, System, Unread, Value
from tcptune.domain.state import Conntrack, Rival, Rivals
from tcptune.errors import UsageError
from tcptune.knowledge.catalogue import catalogue
from tcptune.planning.explain import find_key, near_misses, search
from tcptune.reports import FORMATS
from tcptune.workflows.explain import explain, split_hosts
from tests.unit.builders import ETC, SOMAXCONN, facts

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["explain", *words])


def text(*words: str) -> str:
    """Return what is printed, in one line."""
    result = run(*words)
    assert result.exit_code == 0, result.output
    return " ".join(result.stdout.split())


def test_fin_timeout_does_not_set_time_wait() -> None:
    assert "not the length of TIME_WAIT" in text("net.ipv4.tcp_fin_timeout")
    assert "TIME_WAIT is a compile-time 60 s" in text("net.ipv4.tcp_fin_timeout")


def test_tw_recycle_was_removed() -> None:
    assert "removed in Linux 4.12" in text("net.ipv4.tcp_tw_recycle", "--kernel", "6.1")
    assert "removed in Linux 4.12, so" not in text("net.ipv4.tcp_tw_recycle", "--kernel", "4.9")


def test_somaxconn_takes_effect_at_the_next_listen() -> None:
    assert "new listeners: next listen() call only" in text("net.core.somaxconn")


def test_default_and_range_are_those_of_the_kernel_asked_for() -> None:
    assert "128 on Linux 5.3" in text("net.core.somaxconn", "--kernel", "5.3")
    assert "4096 on Linux 5.10" in text("net.core.somaxconn", "-k", "5.10")
    assert "the kernel takes -2147483648..2147483647 (int)" in text("net.ipv4.tcp_sack", "-k", "5.4")
    assert "the kernel takes 0..255 (byte)" in text("net.ipv4.tcp_sack", "-k", "6.1")


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize("key", list(catalogue()))
def test_every_setting_has_a_page_in_every_format(key: str, format_: str) -> None:
    page = catalogue()[key]
    for release in ("4.9", "6.18"):
        said = FORMATS[format_](explain(key, page, kernel=release, parameters=catalogue()))
        flat = " ".join(said.split())
        assert key in flat
        for needed in (page.risk.value, page.effect.value.split()[0]):
            assert needed in flat


@pytest.mark.parametrize(
    ("word", "key"),
    [
        ("somaxconn", "net.core.somaxconn"),
        ("net/ipv4/tcp_sack", "net.ipv4.tcp_sack"),
        ("/proc/sys/net/ipv4/tcp_sack", "net.ipv4.tcp_sack"),
        ("net.ipv4.conf.eth0.rp_filter", "net.ipv4.conf.all.rp_filter"),
        ("net.ipv4.conf.eth0/100.rp_filter", "net.ipv4.conf.all.rp_filter"),
        ("net.nf_conntrack_max", "net.netfilter.nf_conntrack_max"),
        ("gc_thresh3", None),
        ("backlog", None),
        ("net.ipv6.tcp_sack", None),
    ],
)
def test_a_key_is_found_in_any_spelling(word: str, key: str | None) -> None:
    assert find_key(word, catalogue()) == key


def test_a_word_searches_and_names_come_first() -> None:
    found = [hit.key for hit in search("backlog", catalogue()).hits]
    assert set(found[:2]) == {"net.core.netdev_max_backlog", "net.ipv4.tcp_max_syn_backlog"}
    assert "net.core.somaxconn" in found
    assert "net.ipv4.tcp_tw_reuse" in {hit.key for hit in search("time-wait", catalogue()).hits}
    assert "net.core.somaxconn" in {hit.key for hit in search("ListenOverflows", catalogue()).hits}
    assert "net.core.netdev_max_backlog" in {hit.key for hit in search("fifo overrun", catalogue()).hits}


def test_a_search_ends_well_and_in_every_format() -> None:
    assert "net.ipv4.tcp_tw_reuse" in text("TIME_WAIT")
    assert "settings for" in text("accept", "queue")
    assert json.loads(run("TIME_WAIT", "--format", "json").stdout)["hits"]
    assert "# Settings for" in run("TIME_WAIT", "--format", "markdown").stdout


@pytest.mark.parametrize("words", [["tcp_fin_timout"], ["nonsense"], [""], ["net.ipv4.tcp_fastopen_key"]])
def test_what_is_not_known_is_a_usage_error(words: list[str]) -> None:
    problem = run(*words).exception
    assert isinstance(problem, UsageError)
    assert problem.exit_code == 2


def test_near_misses_are_named() -> None:
    assert near_misses("tcp_fin_timout", catalogue())[0] == "net.ipv4.tcp_fin_timeout"
    assert near_misses("net.core.somaxcon", catalogue())[0] == "net.core.somaxconn"
    assert near_misses("tcp_finn", catalogue())[0] == "net.ipv4.tcp_fin_timeout"


def test_a_host_of_which_nobody_knows_how_it_boots_is_shown_all_the_same() -> None:
    web = facts(sysctl={SOMAXCONN: "4096"}, systemd=None)
    page = explain(SOMAXCONN, catalogue()[SOMAXCONN], kernel="6.12", collected=[web], parameters=catalogue())

    assert "this host boots so" not in FORMATS["terminal"](page)


def test_milliseconds_in_a_file_are_shown_as_the_host_rounds_them_where_its_timer_rate_is_known() -> None:
    key = "net.ipv4.tcp_invalid_ratelimit"

    def shown(hz: int | None) -> str:
        web = facts(sysctl={key: "500"}, files={f"{ETC}/a.conf": f"{key} = 501\n"}, hz=hz)
        return FORMATS["terminal"](
            explain(key, catalogue()[key], kernel="6.12", collected=[web], parameters=catalogue())
        )

    assert "504, written '501'" in shown(250)
    assert "written '501'" not in shown(1000)
    assert "written '501'" not in shown(None)


def on_host(rivals: Rivals | None, key: str = "net.core.rmem_max", **more: Any) -> str:
    web = facts(sysctl={key: "212992"}).model_copy(update={"rivals": rivals, **more})
    page = explain(key, catalogue()[key], kernel="6.12", collected=[web], parameters=catalogue())
    return " ".join(FORMATS["terminal"](page).partition("\nweb1")[2].split())


def test_a_file_that_cannot_be_read_may_speak_of_it() -> None:
    unread = facts(files={f"{ETC}/60-a.conf": "net.ipv4.tcp_sack = 1\n"})
    closed = tuple(one.model_copy(update={"content": None}) for one in unread.sysctl_files)

    assert "no file speaks of it" in on_host(None)
    said = on_host(None, sysctl_files=closed)
    assert "no file that could be read speaks of it" in said
    assert "(not certain)" in said


def test_who_writes_the_setting_and_is_active_on_a_host_is_named_with_what_it_is_set_to() -> None:
    tuned = Rival(name="tuned", running=True, enabled=True, detail="throughput-performance")
    said = on_host(Rivals(found=(tuned, Rival(name="docker", running=True))))

    assert "written by tuned: running, starts at boot, profile throughput-performance; " in said
    assert "docker" not in said


@pytest.mark.parametrize(
    ("fields", "label"),
    [
        ({"running": True}, "written by"),
        ({"running": None}, "written by"),
        ({"running": False, "enabled": True}, "written by"),
        ({"running": False, "files": ("/etc/tuned/active_profile",)}, "also here"),
    ],
)
def test_a_rival_that_only_left_files_is_told_from_one_that_may_write(fields: dict[str, Any], label: str) -> None:
    assert f"{label} tuned: " in on_host(Rivals(found=(Rival(name="tuned", **fields),)))


def test_the_active_rivals_come_first() -> None:
    found = (Rival(name="bpftune", running=True), Rival(name="tuned", running=False))
    said = on_host(Rivals(found=found), key="net.ipv4.tcp_rmem")

    assert said.index("written by bpftune") < said.index("also here tuned")


def test_a_kube_proxy_may_be_inside_of_k3s() -> None:
    said = on_host(Rivals(found=(Rival(name="k3s", running=True),)), key="net.netfilter.nf_conntrack_max")

    assert "written by k3s: running; " in said


def test_a_host_whose_rivals_are_not_known_is_not_one_without() -> None:
    assert "is not known: these facts do not tell" in on_host(None)
    assert "is not known: the answer is odd" in on_host(None, gaps={"rivals": "the answer is odd"})
    assert "not known" not in on_host(Rivals(found=()))
    assert "who of those" not in on_host(None, key="net.ipv4.tcp_sack")


def test_a_kernel_that_is_none_is_a_usage_error() -> None:
    assert isinstance(run("somaxconn", "--kernel", "new").exception, UsageError)


def test_a_host_is_shown_with_every_definer_the_winners_and_its_runtime_value(tmp_path: Path) -> None:
    files = (
        SysctlFile(path="/etc/sysctl.d/60-web.conf", content="net.core.somaxconn = 0x400\n"),
        SysctlFile(path="/etc/sysctl.conf", content="# old\nnet.core.somaxconn = 128\n"),
    )
    system = System(
        kernel="6.1.0-37-amd64",
        distribution="debian",
        version="12",
        memory_bytes=8 << 30,
        cpus=4,
        page_size_bytes=4096,
        boot_id="x",
        hostname="web1",
        systemd=True,
        user="0",
    )
    web = HostFacts(
        host="web1",
        collected_at=NOW,
        system=system,
        sysctl={"net.core.somaxconn": Value(text="4096", writable=True)},
        sysctl_files=files,
    )
    path = tmp_path / "facts.jsonl"
    path.write_text("".join(facts_lines([web, Unread(host="web2", error="timed out")], NOW)), encoding="utf-8")

    result = run("net.core.somaxconn", "--facts", str(path))

    assert result.exit_code == 4
    assert "on Linux 6.1.0-37-amd64" in result.stdout
    shown = " ".join(result.stdout[result.stdout.index("web1") :].split())
    assert "runtime 4096" in shown
    assert "at boot, systemd-sysctl 1024, written '0x400' (/etc/sysctl.d/60-web.conf:1) (this host boots so)" in shown
    assert "at boot, sysctl --system 128 (/etc/sysctl.conf:2)" in shown
    assert "/etc/sysctl.d/60-web.conf:1 0x400 wins /etc/sysctl.conf:2 128 wins" in shown
    assert "web2 could not be read: timed out" in shown


def written(tmp_path: Path, *hosts: HostFacts) -> str:
    path = tmp_path / "facts.jsonl"
    path.write_text("".join(facts_lines(list(hosts), NOW)), encoding="utf-8")
    return str(path)


def test_a_value_that_a_late_module_loses_is_marked(tmp_path: Path) -> None:
    key = "net.netfilter.nf_conntrack_max"
    web = facts(sysctl={key: "65536"}, files={f"{ETC}/60-web.conf": f"{key} = 65536\n"})
    web = web.model_copy(update={"config_files": (), "conntrack": Conntrack(loaded=True, built_in=False)})

    shown = text(key, "--facts", written(tmp_path, web))

    assert "! nf_conntrack is loaded after the files are read" in shown


@pytest.mark.parametrize(
    ("words", "asked", "hosts"),
    [
        ((SOMAXCONN,), SOMAXCONN, None),
        ((SOMAXCONN, "web1"), SOMAXCONN, "web1"),
        (("somaxconn", "web1", "db*"), "somaxconn", "web1,db*"),
        (("net/ipv4/tcp_rmem", "web1"), "net/ipv4/tcp_rmem", "web1"),
        (("connection", "reset"), "connection reset", None),
        (("TIME_WAIT", "web1"), "TIME_WAIT web1", None),
    ],
)
def test_hosts_may_stand_behind_a_setting_and_never_behind_a_search(
    words: tuple[str, ...], asked: str, hosts: str | None
) -> None:
    assert split_hosts(words, catalogue()) == (asked, hosts)


def test_hosts_are_named_once() -> None:
    result = run(SOMAXCONN, "web1", "--limit", "web2")

    assert isinstance(result.exception, UsageError)
    assert str(result.exception) == "hosts are named twice"
    assert result.exception.hint == "leave out --limit web2, or web1"
