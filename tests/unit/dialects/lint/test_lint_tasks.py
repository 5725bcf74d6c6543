from __future__ import annotations

from datetime import date
from textwrap import dedent

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tcptune.dialects.lint import lint, tasks
from tcptune.domain.lint import LintReport

TODAY = date(2026, 11, 21)
KEY = "net.ipv4.tcp_retries2"


def judged(text: str, path: str = "tasks/main.yml") -> LintReport:
    return lint({path: dedent(text)}, today=TODAY, kernel="6.12")


def said(text: str) -> list[tuple[int, int, str, str | None]]:
    found, _ = tasks.read("tasks/main.yml", dedent(text))
    return [(one.line, one.column, one.key, one.value) for one in found]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (f"- ansible.posix.sysctl:\n    name: {KEY}\n    value: '10'\n", (2, 11, KEY, "10")),
        (f"- ansible.posix.sysctl: {{name: {KEY}, value: 010}}\n", (1, 32, KEY, "010")),
        (f"- sysctl:\n    key: {KEY}\n    val: 10\n", (2, 10, KEY, "10")),
        (f"- sysctl: name={KEY} value=10 state=present\n", (1, 11, KEY, "10")),
        ("- sysctl:\n    name: net.ipv4.tcp_sack\n    value: yes\n", (2, 11, "net.ipv4.tcp_sack", "1")),
        (f"- sysctl:\n    name: {KEY}\n    value: '{{{{ v }}}}'\n", (2, 11, KEY, None)),
        (f"- sysctl: {{name: '{{{{ item.name }}}}', value: 1}}\n  loop:\n    - {{name: {KEY}, value: 9}}\n",
         (3, 14, KEY, "9")),
        (f"sysctl_config:\n  {KEY}: 10\n", (2, 3, KEY, "10")),
        (f"kernel_settings_sysctl:\n  - name: {KEY}\n    value: 10\n", (2, 11, KEY, "10")),
        (f"- shell: sysctl -q -w {KEY}=10\n", (1, 3, KEY, "10")),
        (f"- ansible.builtin.command:\n    argv: [sysctl, -w, '{KEY}=10']\n", (1, 3, KEY, "10")),
        (f"- command:\n    cmd: sysctl --write {KEY}='10'\n", (1, 3, KEY, "10")),
        ("- raw: echo 10 > /proc/sys/net/ipv4/tcp_retries2\n", (1, 3, KEY, "10")),
        (f"- shell: echo '{KEY} = 10' >> /etc/sysctl.conf\n", (1, 3, KEY, "10")),
        ("- shell: echo 10 | sudo tee /proc/sys/net/ipv4/tcp_retries2\n", (1, 3, KEY, "10")),
        (f"- lineinfile: dest=/etc/sysctl.conf line='{KEY} = 10'\n", (1, 15, KEY, "10")),
        (f"- sysctl: {{name: {KEY}, value: 'yes'}}\n", (1, 18, KEY, "1")),
        (f"- sysctl: name={KEY} value=yes\n", (1, 11, KEY, "1")),
        (f"- sysctl: {{name: {KEY}, value: 1_000}}\n", (1, 18, KEY, "1000")),
        (f"- lineinfile:\n    path: /etc/sysctl.conf\n    line: {KEY} = 10\n", (3, 11, KEY, "10")),
        (f"- copy:\n    dest: /etc/sysctl.d/9.conf\n    content: |\n      # x\n      {KEY} = 10\n", (5, 14, KEY, "10")),
    ],
)  # fmt: skip
def test_every_way_to_set_a_key(text: str, found: tuple[int, int, str, str | None]) -> None:
    assert said(text) == [found]


@pytest.mark.parametrize(
    "text",
    [
        f"- sysctl:\n    name: {KEY}\n    state: absent\n    value: 1\n",
        f"- lineinfile:\n    path: /etc/hosts\n    line: {KEY} = 10\n",
        "- debug: {msg: 'sysctl is a word'}\n",
        "- user: {name: bob, value: 3}\n",
        "",
        "--- \n...\n",
    ],
)
def test_what_sets_nothing(text: str) -> None:
    assert said(text) == []


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("- shell: sysctl -p\n", "global-reload"),
        ("- command: sysctl --system\n", "global-reload"),
        ("- command: /sbin/sysctl -p /etc/sysctl.d/9.conf\n", "global-reload"),
        (f"- ansible.posix.sysctl: {{name: {KEY}, value: '10', reload: true}}\n", "global-reload"),
        (f"- shell: sysctl -w {KEY}=10\n", "not-kept"),
        (f"- shell: echo {KEY}=10 >> /etc/sysctl.conf\n", "appends"),
        (f"- shell: echo {KEY}=10 | sudo tee -a /etc/sysctl.conf\n", "appends"),
        (f"- lineinfile: {{path: /etc/sysctl.conf, line: '{KEY} = 10'}}\n", "shared-file"),
        ("- sysctl: {name: net.ipv4.tcp_fastopen_key, value: c0ffee}\n", "secret"),
        (f"- sysctl: {{name: {KEY}, value: '010'}}\n", "octal"),
        ("- sysctl: {name: net.ipv4.tcp_tw_recycle, value: '1'}\n", "gone"),
        (f"- sysctl: {{name: {KEY}, value: 10}}\n- sysctl: {{name: {KEY}, value: 12}}\n", "overridden"),
    ],
)
def test_what_is_found_in_tasks(text: str, rule: str) -> None:
    report = judged(text)

    assert [finding.rule for finding in report.findings] == [rule]
    assert "c0ffee" not in report.model_dump_json()


def test_a_command_that_sets_several_keys_sets_each() -> None:
    text = f"- shell: sysctl -w {KEY}=10 net.ipv4.tcp_rmem='1 2 3' vm.swappiness=5; sysctl -q {KEY}=11 | cat a=b\n"

    assert [(key, value) for _, _, key, value in said(text)] == [
        (KEY, "10"),
        ("net.ipv4.tcp_rmem", "1 2 3"),
        ("vm.swappiness", "5"),
        (KEY, "11"),
    ]


SET = f"ansible.posix.sysctl: {{name: {KEY}, value: '%s'}}"


@pytest.mark.parametrize(
    ("text", "rules"),
    [
        (f"- hosts: web\n  tasks:\n    - {SET % 10}\n- hosts: db\n  tasks:\n    - {SET % 12}\n", []),
        (f"- hosts: web\n  tasks:\n    - {SET % 10}\n- hosts: web\n  tasks:\n    - {SET % 12}\n", ["overridden"]),
        (f"- block:\n    - {SET % 10}\n  rescue:\n    - {SET % 12}\n", []),
        (f"- block:\n    - {SET % 10}\n- {SET % 12}\n", ["overridden"]),
        (f"- hosts: a\n  tasks:\n    - {SET % 10}\n  handlers:\n    - {SET % 12}\n", []),
        (f"- {SET % 10}\n- {SET % 12}\n  delegate_to: other\n", []),
        (f"settings:\n  web: {{{KEY}: 10}}\n  db: {{{KEY}: 12}}\n", []),
        (f"settings:\n  {KEY}: 10\n  {KEY}: 12\n", ["overridden"]),
        (f"web:\n  - {{name: {KEY}, value: 10}}\ndb:\n  - {{name: {KEY}, value: 12}}\n", []),
        (f"web:\n  - {{name: {KEY}, value: 10}}\n  - {{name: {KEY}, value: 12}}\n", ["overridden"]),
        (f"- {SET % 10}\n- sysctl: {{name: '{{{{ i.name }}}}', value: 1}}\n  loop: [{{name: {KEY}, value: 12}}]\n",
         ["overridden"]),
    ],
)  # fmt: skip
def test_two_values_meet_where_both_are_for_the_same_hosts(text: str, rules: list[str]) -> None:
    assert [one.rule for one in judged(text).findings] == rules


def test_two_values_under_conditions_are_no_mistake() -> None:
    assert (
        judged(f"""
        - sysctl: {{name: {KEY}, value: 10}}
          when: big
        - sysctl: {{name: {KEY}, value: 12}}
          when: not big
    """).findings
        == ()
    )


def test_a_comment_answers_for_a_finding_in_yaml() -> None:
    report = judged("""
        # tcptune: allow net.ipv4.tcp_fin_timeout until 2027-01-01 many half-closed clients
        - sysctl: {name: net.ipv4.tcp_fin_timeout, value: 30}
    """)

    assert (len(report.findings), len(report.allowed)) == (0, 1)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("- a: [", "line 1, column"),
        ("a: b: c", "this is no YAML"),
        ("\0", "this is no YAML"),
        ("[" * 3000, "nested too deep"),
        ("a" * (2 * 1024 * 1024 + 1), "larger than any playbook"),
    ],
)
def test_what_is_no_yaml_is_not_judged_and_says_why(text: str, why: str) -> None:
    report = lint({"x.yml": text, "y.yml": "a: 1"}, today=TODAY)

    assert [one.path for one in report.unread] == ["x.yml"]
    assert why in report.unread[0].why


@pytest.mark.parametrize(
    "command",
    [
        "sysctl " * 20_000,
        "sysctl" + " --a" * 20_000 + "!",
        "echo " * 20_000,
        "echo net.a=" + " " * 60_000 + "!",
        ">" * 60_000,
        "a" * 60_000,
        "sysctl a" + " " * 60_000,
        "tee -a " + "x" * 60_000,
    ],
    ids=range(8),
)
@pytest.mark.timeout(20)
def test_no_command_keeps_the_reader_busy(command: str) -> None:
    assert said(f"- shell: '{command}'\n- sysctl: '{command}'\n") == []


def test_anchors_that_stand_for_gigabytes_are_read_once() -> None:
    lines = ["a0: &a0 {net.ipv4.tcp_retries2: 10}"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 30)]

    assert len(said("\n".join(lines))) == 1


def test_an_anchor_that_holds_itself_ends() -> None:
    assert said("a: &a [*a, {net.ipv4.tcp_retries2: 10}]") == [(1, 13, KEY, "10")]


WORDS = st.sampled_from(
    [
        *("- ", "sysctl:", " name: ", "value: ", KEY, "= 10", "\n", "\n  ", "shell: sysctl -w ", "{", "}", "[", "]"),
        *("&a ", "*a", "|\n", "# tcptune: allow ", "until 2027-01-01 x", "net.ipv4.tcp_rmem", " 4096 8192 \t", "\r"),
        "net.ipv4.conf.*.rp_filter",
    ]
)


@given(st.lists(st.one_of(WORDS, st.text(max_size=20)), max_size=40).map("".join), st.sampled_from(["x.yml", "x.conf"]))
@settings(deadline=None)
def test_any_text_is_judged_or_has_its_reason(text: str, path: str) -> None:
    report = lint({path: text}, today=TODAY)

    assert LintReport.model_validate_json(report.model_dump_json()) == report
    assert all(one.line <= text.count("\n") + 1 for one in report.findings)
