"""Complaints about writing and about the way back: what happens on the host, and what never does."""

from __future__ import annotations

import ast
import errno
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from module_utils import changeset, status
from module_utils.errors import AbsentKey, Failed, Refused
from module_utils.host import Host
from module_utils.request import make_request

from tcptune.domain.changes import DROPIN_PATH
from tcptune.domain.demands import Unset
from tcptune.domain.findings import Met
from tcptune.knowledge.catalogue import catalogue
from tcptune.planning.audit import audit_host
from tcptune.planning.plan import plan_host
from tests.plugins.fake_host import DROPIN, FakeHost, asking, dropin
from tests.unit.builders import ETC, facts, profile, rule
from tests.unit.cli.conftest import Command

from .conftest import Put

QUEUE = "net.core.somaxconn"
RMEM = "net.ipv4.tcp_rmem"
PORTS = "net.ipv4.ip_local_reserved_ports"
FORWARD = "net.ipv4.ip_forward"

COLLECTION = Path(__file__).resolve().parents[2]


def flat(text: str) -> str:
    return " ".join(text.split())


def test_a_dry_run_shows_each_setting_before_and_after_and_the_file(fake: FakeHost) -> None:
    request = asking({QUEUE: "1024", RMEM: "4096 131072 16777216"}, files=[dropin("net.core.somaxconn = 1024\n")])
    before = fake.everything()
    told = changeset.predict(fake, request)

    assert [(shift.key, shift.now, shift.then) for shift in told.keys] == [
        (QUEUE, "4096", "1024"),
        (RMEM, "4096 131072 6291456", "4096 131072 16777216"),
    ]
    assert [(shift.path, shift.now, shift.then) for shift in told.files] == [
        (DROPIN, None, b"net.core.somaxconn = 1024\n")
    ]
    assert fake.everything() == before


def test_an_apply_writes_only_what_changes_and_never_passes_through_a_default(fake: FakeHost) -> None:
    changeset.apply(fake, asking({QUEUE: "4096", RMEM: "4096 131072 16777216"}))

    assert fake.kernel.writes == [(RMEM, "4096 131072 16777216")]


def test_a_key_that_is_not_there_is_named_and_no_other_is_blamed(fake: FakeHost) -> None:
    with pytest.raises(AbsentKey, match=r"no net\.core\.nosuch") as refused:
        changeset.apply(fake, asking({QUEUE: "1024", "net.core.nosuch": "1"}))

    assert QUEUE not in str(refused.value)
    assert fake.kernel.writes == []


def test_a_value_that_the_kernel_takes_and_does_not_keep_is_a_failure_that_names_what_it_shows(fake: FakeHost) -> None:
    fake.kernel._put = lambda *_: None

    with pytest.raises(Failed, match=f"did not take {QUEUE} = 1024: it shows 4096"):
        changeset.apply(fake, asking({QUEUE: "1024"}))


def test_a_refused_write_is_known_by_its_number_and_not_by_a_text(fake: FakeHost) -> None:
    fake.kernel.refused[QUEUE, "1024"] = (errno.EINVAL, None)

    with pytest.raises(Failed) as failed:
        changeset.apply(fake, asking({QUEUE: "1024"}))
    assert failed.value.facts["errno"] == errno.EINVAL


def test_nothing_that_runs_on_a_host_reloads_all_files() -> None:
    modules = [*COLLECTION.glob("plugins/**/*.py")]
    shipped = [*COLLECTION.glob("roles/**/*.y*ml"), *COLLECTION.glob("playbooks/**/*.y*ml")]
    said = [path.read_text() for path in shipped] + [text for path in modules for text in texts_in(path)]

    assert min(len(modules), len(shipped)) > 10
    for word in ("sysctl --system", "sysctl -p", "systemd-sysctl", "ansible.posix.sysctl"):
        # Who reads the files at boot is named in an answer, by this word alone.
        assert [text for text in said if word in text and text != "systemd-sysctl"] == []


def texts_in(module: Path) -> Iterator[str]:
    """Yield what a module could hand to anybody, without what it says of itself: scripts without their comments."""
    tree = ast.parse(module.read_text())
    told = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and {"DOCUMENTATION", "EXAMPLES", "RETURN"} & set(
            map(ast.unparse, node.targets)
        ):
            told.add(id(node.value))
        if isinstance(node, ast.List | ast.Tuple | ast.Call):
            # An argument of a command is no name in an answer.
            yield from (f"command {ast.unparse(one)}" for one in ast.iter_child_nodes(node) if is_loader(one))
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in told:
            yield "\n".join(line for line in node.value.splitlines() if not line.lstrip().startswith("#"))


def is_loader(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and node.value == "systemd-sysctl"


def test_forwarding_that_a_file_would_switch_off_at_boot_is_a_finding(tcptune: Command, put: Put) -> None:
    # Docker has switched it on; the file is what any global reload would replay.
    host = facts(sysctl={FORWARD: "1"}, files={f"{ETC}/90-hardening.conf": f"{FORWARD} = 0\n"})
    said = tcptune("audit", "wanted.yml", "--facts", put(host, settings={FORWARD: "exactly: 1"}))

    assert said.code == 10
    assert f"0 ({ETC}/90-hardening.conf:1)" in said.out
    [found] = audit_host(host, profile(rule(FORWARD, "1")), catalogue()).deviations
    assert found.where.value == "at boot"


def test_the_same_apply_again_changes_nothing(fake: FakeHost) -> None:
    fake.set(PORTS, "8080-8082,9000")

    assert not changeset.predict(fake, asking({PORTS: "9000,8081,8080,8082"})).changed
    assert not changeset.predict(fake, asking({RMEM: "4096 131072 6291456"})).changed


def test_a_list_of_ports_written_in_another_way_is_no_change_for_ever() -> None:
    # Once applied, the kernel and our own file show the folded list.
    wanted = profile(rule(PORTS, "9000,8081,8080,8082"))
    said = facts(sysctl={PORTS: ""})
    made, _ = plan_host(said, audit_host(said, wanted, catalogue()), catalogue())
    [one] = made.changes
    then = facts(sysctl={PORTS: one.after}, files={DROPIN_PATH: made.files[0].after})

    assert one.after == "8080-8082,9000"
    assert isinstance(audit_host(then, wanted, catalogue()).findings[0], Met)


# The way back


def test_nothing_is_taken_back_but_by_command(fake: FakeHost) -> None:
    changeset.apply(fake, asking({QUEUE: "1024"}))
    # Another process looks, long after the one that wrote has ended.
    again = Host(fake.root, fake.kernel)

    assert fake.get(QUEUE) == "1024"
    assert status.status(again, "run-1")["host_state"] == "held"


def test_taking_back_restores_the_value_that_was_there_and_not_a_default(fake: FakeHost) -> None:
    fake.set(QUEUE, "777")
    changeset.apply(fake, asking({QUEUE: "1024"}, files=[dropin()]))
    changeset.confirm(fake, "run-1")
    changeset.rollback(fake, "run-1")

    assert fake.get(QUEUE) == "777"
    assert not fake.file().exists()


def test_the_record_of_what_was_there_survives_a_reboot(fake: FakeHost) -> None:
    changeset.apply(fake, asking({QUEUE: "1024"}, files=[dropin()]))
    changeset.confirm(fake, "run-1")
    fake.boot("second-boot")
    changeset.rollback(fake, "run-1")

    assert fake.get(QUEUE) == "4096"


def test_a_value_that_the_kernel_refuses_to_take_back_is_named(fake: FakeHost) -> None:
    changeset.apply(fake, asking({QUEUE: "1024"}))
    fake.kernel.refused[QUEUE, "4096"] = (errno.EINVAL, None)

    with pytest.raises(Failed, match=QUEUE) as failed:
        changeset.rollback(fake, "run-1")
    assert failed.value.facts["host_state"] == "failed_restored"


def test_a_value_that_somebody_else_set_since_is_left_and_named(fake: FakeHost) -> None:
    changeset.apply(fake, asking({QUEUE: "1024"}))
    fake.set(QUEUE, "2048")
    [left] = changeset.rollback(fake, "run-1").changed_since

    assert (left.name, left.found, left.before) == (QUEUE, "2048", "4096")
    assert fake.get(QUEUE) == "2048"


def test_a_line_that_no_file_should_hold_needs_a_person_and_is_named() -> None:
    key = "net.ipv4.tcp_fin_timeout"
    host = facts(sysctl={key: "15"}, files={f"{ETC}/60-web.conf": f"{key} = 15\n"})
    made, [skipped] = plan_host(host, audit_host(host, profile(rule(key, Unset())), catalogue()), catalogue())

    assert made.changes == ()
    assert f"remove {ETC}/60-web.conf:1; tcptune edits no file it does not own" in skipped.why
    assert f"sysctl -w {key}=60" in skipped.why


# The role


def test_a_value_that_yaml_would_take_for_a_truth_is_refused_by_the_host_too() -> None:
    values = yaml.safe_load("net.ipv4.tcp_sack: yes")

    with pytest.raises(Refused, match="the kernel has none"):
        make_request(values)
