from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from tcptune.dialects.lint import lint
from tcptune.dialects.lint.values import judge_value
from tcptune.domain.concerns import Severity
from tcptune.domain.lint import How, LintReport, Statement
from tcptune.knowledge.catalogue import built_in_profiles, catalogue
from tcptune.knowledge.habits import habits

TODAY = date(2026, 11, 21)
CONF = "/etc/sysctl.d/50-x.conf"


def judged(text: str, *, path: str = CONF, kernel: str = "6.12") -> LintReport:
    return lint({path: text}, today=TODAY, kernel=kernel)


def rules(report: LintReport) -> list[tuple[int, int, str]]:
    return [(finding.line, finding.column, finding.rule) for finding in report.findings]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("net.ipv4.tcp_tw_recycle = 1", [(1, 1, "gone")]),
        ("net.ipv4.tcp_low_latency = 1", [(1, 1, "no-effect")]),
        ("net.ipv4.tcp_retries2 = 010", [(1, 25, "octal")]),
        ("net.ipv4.tcp_retries2 = 0x0a", [(1, 25, "hex")]),
        ("net.ipv4.tcp_keepalive_time=10m", [(1, 29, "unit")]),
        ("net.ipv4.tcp_keepalive_time = 99999999", [(1, 31, "range")]),
        ("net.ipv4.tcp_keepalive_time = -1", [(1, 31, "negative")]),
        ("net.ipv4.tcp_sack = yes", [(1, 21, "boolean")]),
        ("net.ipv4.tcp_rmem = 4096 131072", [(1, 21, "arity")]),
        ("net.ipv4.tcp_rmem = 4096, 131072, 6291456", [(1, 21, "separator")]),
        ("net.ipv4.tcp_rmem = 9000 8000 7000", [(1, 21, "order")]),
        ('net.ipv4.tcp_congestion_control = "bbr"', [(1, 35, "quoted")]),
        ("net.ipv4.tcp_congestion_control = bbr # fast", [(1, 35, "inline-comment")]),
        ("net.netfilter.nf_conntrack_count = 5", [(1, 36, "read-only")]),
        ("net.ipv4.tcp_syncookie = 1", [(1, 1, "misspelt")]),
        ("  net.ipv4.tcp_abort_on_overflow = 1", [(1, 3, "harmful")]),
        ("net.ipv4.tcp_fin_timeout = 30", [(1, 1, "myth")]),
        ("net.ipv4.tcp_mem = 10000000 10000000 10000000", [(1, 1, "unit")]),
        ("\ufeffnet.ipv4.tcp_sack = 1", [(1, 1, "no-assignment")]),
        ("this says nothing\nnet.ipv4.tcp_sack = 1", [(1, 1, "no-assignment")]),
        (f"net.ipv4.tcp_retries2 = {'9' * 5000}", [(1, 25, "not-a-number")]),
        (f"net.ipv4.ip_local_reserved_ports = {'9' * 5000}", [(1, 36, "port-list")]),
        ("net.ipv4.tcp_sakc = 1", [(1, 1, "misspelt")]),
        ("net.ipv4.tcp_fastopen_key = 1-2-3-4", [(1, 1, "secret")]),
        ("net.ipv4.tcp_sack = 1\nnet.ipv4.tcp_sack = 1", [(1, 1, "duplicate")]),
        ("net.ipv4.tcp_retries2 = 15\nnet.ipv4.tcp_retries2 = 10", [(1, 1, "overridden")]),
        ("net/ipv4/tcp_retries2=15\nnet.ipv4.tcp_retries2=10", [(1, 1, "overridden")]),
        ("net.netfilter.nf_conntrack_max = 262144", [(1, 1, "late-module")]),
        (
            "net.ipv4.ip_local_port_range = 20000 65001\nnet.ipv4.ip_local_reserved_ports = 30000",
            [(2, 1, "order")],
        ),
        ("net.ipv4.ip_local_port_range = 20000 65000", [(1, 1, "together")]),
        (
            "net.ipv4.tcp_tw_reuse = 1\nnet.ipv4.tcp_timestamps = 0",
            [(1, 1, "myth"), (2, 1, "harmful"), (2, 1, "together")],
        ),
    ],
)  # fmt: skip
def test_what_is_found_in_a_sysctl_file(text: str, found: list[tuple[int, int, str]]) -> None:
    assert rules(judged(text)) == found


@pytest.mark.parametrize(("dash", "tells"), [("", "reports an error and"), ("-", "lets what loads the file pass over")])
def test_a_leading_dash_keeps_the_loader_quiet_about_a_key_that_is_gone(dash: str, tells: str) -> None:
    [found] = judged(f"{dash}net.ipv4.tcp_tw_recycle = 0").findings

    assert (found.rule, tells in found.why) == ("gone", True)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# only a comment\n; another\n\n",
        "net.ipv4.tcp_keepalive_time = 600",
        "-net.ipv4.tcp_keepalive_time = 600",
        "net.ipv4.conf.*.rp_filter = 2\n-net.ipv4.conf.eth0.rp_filter",
        "kernel.pid_max = 4194304\nvm.swappiness = 10",
        "net.core.somaxconn = {{ somaxconn }}\n{% if x %}\n{% endif %}",
        "net.ipv4.ip_local_reserved_ports = 30000\nnet.ipv4.ip_local_port_range = 20000 65001",
    ],
)
def test_what_is_fine_is_not_found(text: str) -> None:
    assert rules(judged(text)) == []


def test_a_key_is_gone_or_there_by_the_kernel_that_is_meant() -> None:
    assert rules(judged("net.ipv4.tcp_tw_recycle = 1", kernel="4.4")) == [(1, 1, "harmful")]
    assert rules(judged("net.ipv4.tcp_migrate_req = 1", kernel="5.4")) == [(1, 1, "too-new")]
    # So written as the finding itself asks for.
    assert rules(judged("-net.ipv4.tcp_migrate_req = 1", kernel="5.4")) == []


def test_the_value_of_a_secret_is_not_repeated() -> None:
    assert "c0ffee" not in judged("net.ipv4.tcp_fastopen_key = c0ffee-1-2-3").model_dump_json()


def test_files_of_one_host_are_judged_together() -> None:
    report = lint(
        {
            "/usr/lib/sysctl.d/50-x.conf": "net.ipv4.tcp_sack = 1\n",
            "/etc/sysctl.d/50-x.conf": "net.ipv4.tcp_retries2 = 15\n",
            "/etc/sysctl.d/90-y.conf": "net.ipv4.tcp_retries2 = 10\n",
            "/etc/sysctl.d/notes.txt": "net.ipv4.tcp_retries2 = 12\n",
        },
        today=TODAY,
    )

    assert [(f.path, f.line, f.rule) for f in report.findings] == [
        ("/etc/sysctl.d/50-x.conf", 1, "overridden"),
        ("/etc/sysctl.d/notes.txt", 1, "not-read"),
        ("/usr/lib/sysctl.d/50-x.conf", 1, "shadowed"),
    ]
    assert "/etc/sysctl.d/90-y.conf:1 sets it to 10" in report.findings[0].why


def test_a_template_stands_for_the_file_it_becomes() -> None:
    report = lint(
        {"roles/x/templates/10-a.conf.j2": "net.ipv4.tcp_retries2 = {{ n }}\n", "b.conf": "net.ipv4.tcp_sack = 1\n"},
        today=TODAY,
    )

    assert report.findings == ()


def test_a_file_of_something_else_is_not_judged() -> None:
    report = lint({"nginx.conf": "worker_processes 1;\n"}, today=TODAY)

    assert (report.findings, [one.path for one in report.unread]) == ((), ["nginx.conf"])


def test_loaders_that_differ_are_told() -> None:
    report = lint(
        {
            "/etc/sysctl.d/10-a.conf": "net.ipv4.tcp_rmem = 4096 131072 6291456\n",
            "/etc/sysctl.d/20-b.conf": "net.ipv4.tcp_rmem = 8192\n",
        },
        today=TODAY,
    )

    assert "loaders-differ" in {finding.rule for finding in report.findings}


def test_sysctl_conf_is_taken_to_be_linked_as_distributions_have_it() -> None:
    report = lint(
        {"/etc/sysctl.conf": "net.ipv4.tcp_retries2 = 10\n", "/etc/sysctl.d/a.conf": "net.ipv4.tcp_sack = 1\n"},
        today=TODAY,
    )

    assert report.findings == ()


def test_a_comment_answers_for_a_finding_until_a_day() -> None:
    text = "# tcptune: allow {key} until {until} measured on web1\nnet.ipv4.tcp_fin_timeout = 30"
    kept = judged(text.format(key="net.ipv4.tcp_fin_timeout", until="2026-11-21"))
    late = judged(text.format(key="net.ipv4.tcp_fin_timeout", until="2026-11-20"))
    other = judged(text.format(key="net.ipv4.tcp_sack", until="2027-01-01"))

    assert kept.findings == ()
    assert [(one.finding.rule, one.why) for one in kept.allowed] == [("myth", "measured on web1")]
    assert [f.rule for f in late.findings] == ["allow", "myth"]
    assert [f.rule for f in other.findings] == ["myth"]


@pytest.mark.parametrize(
    "comment",
    [
        "allow net.ipv4.tcp_sack until 2027-01-01",
        "allow net.ipv4.tcp_sack until 2027-13-01 why",
        "allow sack until 2027-01-01 why",
        "alow net.ipv4.tcp_sack until 2027-01-01 why",
    ],
)
def test_a_comment_that_allows_nothing_is_told(comment: str) -> None:
    assert [f.rule for f in judged(f"# tcptune: {comment}").findings] == ["allow"]


REPORTS = {
    "net.core.somaxconn = 65535": "myth",
    "net.ipv4.tcp_max_syn_backlog = 65535": "myth",
    "net.ipv4.tcp_fin_timeout = 30": "myth",
    "net.ipv4.tcp_tw_reuse = 1": "myth",
    "net.ipv4.tcp_tw_recycle = 1": "gone",
    "net.ipv4.tcp_timestamps = 0": "harmful",
    "net.ipv4.tcp_abort_on_overflow = 1": "harmful",
    "net.ipv4.tcp_syncookies = 0": "harmful",
    "net.ipv4.tcp_synack_retries = 2": "myth",
    "net.ipv4.tcp_syn_retries = 2": "myth",
    "net.ipv4.tcp_max_tw_buckets = 5000": "harmful",
    "net.core.rmem_max = 16777216": "myth",
    "net.core.wmem_max = 16777216": "myth",
    "net.ipv4.tcp_rmem = 4096 87380 16777216": "myth",
    "net.ipv4.ip_local_port_range = 1024 65535": "harmful",
    "fs.file-max = 6553560": "myth",
}
"""Advice of the field reports this project began with, and of the guides they quote -> what is wrong with it."""


@pytest.mark.parametrize(("line", "rule"), REPORTS.items())
def test_the_field_reports_advice_is_found(line: str, rule: str) -> None:
    assert rule in {finding.rule for finding in judged(line).findings}


@pytest.mark.parametrize("line", ["net.ipv4.tcp_keepalive_time = 600", "net.ipv4.tcp_keepalive_intvl = 15",
                                  "net.ipv4.tcp_keepalive_probes = 5"])  # fmt: skip
def test_what_is_right_in_the_field_reports_stays(line: str) -> None:
    assert judged(line).findings == ()


@pytest.mark.parametrize("habit", habits(), ids=lambda habit: f"{habit.key}-{habit.rule}-{habit.when.equals}")
def test_a_habit_is_about_a_setting_that_is_known(habit: object) -> None:
    from tcptune.domain.lint import Habit

    assert isinstance(habit, Habit)
    page = catalogue()[habit.key]
    assert habit.when.element < page.arity
    for bound in (habit.when.below, habit.when.above):
        assert bound is None or page.kernel_accepts.min <= bound <= page.kernel_accepts.max


def test_no_kernel_default_is_a_habit() -> None:
    for key, page in catalogue().items():
        default = page.default("6.12")
        if default is not None and not page.read_only and page.at("6.12").missing is None:
            statement = Statement(path="x", line=1, column=1, key=key, value=default, how=How.FILE)
            harmful = [f for f in judge_value(statement, "6.12") if f.severity is Severity.HARM]
            assert harmful == [], key


def test_no_key_of_this_machine_is_called_misspelt() -> None:
    base = Path("/proc/sys/net")
    keys = [str(path.relative_to("/proc/sys")).replace(".", "\0").replace("/", ".").replace("\0", "/")
            for path in base.rglob("*") if path.is_file()]  # fmt: skip
    text = "\n".join(f"{key} = 1" for key in keys if "secret" not in key and "_key" not in key)

    assert [f for f in judged(text).findings if f.rule == "misspelt"] == []


@pytest.mark.parametrize("name", built_in_profiles())
def test_a_built_in_profile_asks_for_no_harm(name: str) -> None:
    from tcptune.adapters.profiles import load_profile
    from tcptune.dialects import sysctl_d
    from tcptune.dialects.writing import ExportOptions

    [text] = sysctl_d.write(load_profile(name), ExportOptions(bounds=True)).files.values()

    assert [f for f in judged(text).findings if f.severity is Severity.HARM] == []
