from __future__ import annotations

from configparser import ConfigParser
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tcptune.domain.changes import Change, Plan
from tcptune.planning.playbook import GROUP, RenderOptions, render
from tests.unit.builders import PORTS, RMEM, SOMAXCONN, SYNCOOKIES, change, cohort, connection, dropin, plan

SETTINGS = (
    change(SOMAXCONN, "128", "4096"),
    change(SYNCOOKIES, "0", "1"),
    change(PORTS, "32768 60999", "10240 65535"),
    change(RMEM, "4096 131072 6291456", "4096 131072 33554432"),
)
INVENTORY = "inventory/hosts.yml"
COHORT1 = "inventory/group_vars/tcptune_cohort1.yml"


class _Loader(yaml.SafeLoader):
    """Reads what Ansible marks as not to be templated as the text it is."""


_Loader.add_constructor("!unsafe", lambda _loader, node: node.value)


def read(files: dict[str, str], name: str) -> Any:
    return yaml.load(files[name], Loader=_Loader)  # noqa: S506  # a safe loader


def variables(made: Plan, **options: Any) -> dict[str, Any]:
    found: dict[str, Any] = read(render(made, "run1", RenderOptions(**options)), COHORT1)
    return found


def test_the_project_is_made_of_these_files() -> None:
    made = plan(cohort("a"), cohort("b", name="cohort2"))

    assert set(render(made, "run1")) == {
        "README.md",
        "ansible.cfg",
        "site.yml",
        "confirm.yml",
        "extend.yml",
        "rollback.yml",
        INVENTORY,
        f"inventory/group_vars/{GROUP}.yml",
        COHORT1,
        "inventory/group_vars/tcptune_cohort2.yml",
    }


def test_every_value_is_still_text_after_yaml_was_read() -> None:
    found = variables(plan(cohort(changes=SETTINGS)))

    assert found["tcp_settings_values"] == {c.key: c.after for c in SETTINGS}
    assert found["tcp_settings_before"] == {c.key: c.before for c in SETTINGS}


@pytest.mark.parametrize("changes", [SETTINGS, SETTINGS[::-1]])
def test_the_values_are_in_the_order_of_the_writes(changes: tuple[Change, ...]) -> None:
    assert [*variables(plan(cohort(changes=changes)))["tcp_settings_values"]] == [c.key for c in changes]


@pytest.mark.parametrize("text", ["4096", "0", "1", "010", "0x10", "1_000", "1:30", "1e3", "on", "no", "null", "~", ""])
def test_a_value_that_yaml_has_an_opinion_of_is_still_text(text: str) -> None:
    found = variables(plan(cohort(changes=(change(SOMAXCONN, text, "4096"),))))

    assert found["tcp_settings_before"] == {SOMAXCONN: text}


def test_a_file_travels_with_its_bytes_and_the_digest_of_what_it_replaces() -> None:
    file = dropin(*SETTINGS, before="net.ipv4.tcp_fin_timeout = 30\n")
    [found] = variables(plan(cohort(changes=SETTINGS, files=(file,))))["tcp_settings_files"]

    assert found == {"path": file.path, "content": file.after, "before_sha256": file.before_sha256}


@settings(max_examples=50)
@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=40))
def test_any_text_of_a_file_comes_out_of_yaml_as_it_went_in(text: str) -> None:
    file = dropin(change()).model_copy(update={"after": text})
    [found] = variables(plan(cohort(files=(file,))))["tcp_settings_files"]

    assert found["content"] == text


@pytest.mark.parametrize("text", ["{{ lookup('pipe', 'id') }}", "{% for x in y %}", "{# no #}"])
def test_what_a_host_says_is_never_a_template_on_the_controller(text: str) -> None:
    """A host that lies must not get its text evaluated by the Ansible that applies the plan."""
    one = change(SOMAXCONN, text, "4096")
    kept = dropin(change(), before=f"{SYNCOOKIES} = {text}\n")
    rendered = render(plan(cohort(changes=(one,), files=(kept,))), "run1")[COHORT1]

    events = list(yaml.parse(rendered, Loader=yaml.SafeLoader))
    told = [e for e in events if isinstance(e, yaml.ScalarEvent) and text in e.value]
    assert all(event.tag == "!unsafe" for event in told)


# Groups and hosts


def test_every_group_has_a_name_that_ansible_takes() -> None:
    made = plan(*(cohort(f"h{n}", name=f"cohort{n}") for n in range(1, 13)))
    groups = read(render(made, "run1"), INVENTORY)["all"]["children"]

    assert list(groups) == [GROUP]
    assert len(groups[GROUP]["children"]) == 12
    assert all(name.isidentifier() for name in (GROUP, *groups[GROUP]["children"]))


def test_each_host_stands_in_the_group_of_its_cohort() -> None:
    made = plan(cohort("a", "b"), cohort("c", name="cohort2"))
    groups = read(render(made, "run1"), INVENTORY)["all"]["children"][GROUP]["children"]

    assert {name: set(group["hosts"]) for name, group in groups.items()} == {
        "tcptune_cohort1": {"a", "b"},
        "tcptune_cohort2": {"c"},
    }


def test_a_host_is_reached_as_the_plan_says() -> None:
    where = connection(
        "192.0.2.1",
        port=2222,
        user="deploy",
        key_file="/keys/id",
        ssh_args=("-o", "ProxyCommand=ssh -W %h:%p bastion"),
        become=True,
        become_user="root",
        python="/usr/bin/python3",
    )
    [found] = read(render(plan(hosts={"web1": where}), "run1"), INVENTORY)["all"]["children"][GROUP]["children"][
        "tcptune_cohort1"
    ]["hosts"].values()

    assert found == {
        "ansible_connection": "ssh",
        "ansible_host": "192.0.2.1",
        "ansible_port": 2222,
        "ansible_user": "deploy",
        "ansible_ssh_private_key_file": "/keys/id",
        "ansible_ssh_common_args": "-o 'ProxyCommand=ssh -W %h:%p bastion'",
        "ansible_become": True,
        "ansible_become_method": "sudo",
        "ansible_become_user": "root",
        "ansible_python_interpreter": "/usr/bin/python3",
    }


def test_what_the_plan_does_not_know_of_a_host_is_left_to_ansible() -> None:
    text = render(plan(hosts={"web1": connection("192.0.2.1")}), "run1")[INVENTORY]

    assert text.count("ansible_") == 2
    assert "ansible_connection: ssh" in text
    assert "ansible_host: 192.0.2.1" in text


def test_words_for_ssh_travel_even_where_another_inventory_says_the_rest() -> None:
    where = connection(ssh_args=("-o", "ProxyCommand=ssh -W %h:%p bastion"))
    text = render(plan(hosts={"web1": where}), "run1", RenderOptions(connections=False))[INVENTORY]

    assert "tcptune_ssh_args: -o 'ProxyCommand=ssh -W %h:%p bastion'" in text


def test_another_inventory_may_say_how_hosts_are_reached() -> None:
    files = render(plan(), "run1", RenderOptions(connections=False))

    assert "ansible_" not in files[INVENTORY]
    assert "web1" in files[INVENTORY]


# What runs


@pytest.mark.parametrize(
    ("name", "playbook"), [("site", "apply"), ("confirm", "confirm"), ("extend", "extend"), ("rollback", "rollback")]
)
def test_a_playbook_imports_the_one_of_the_collection_for_the_hosts_of_the_plan(name: str, playbook: str) -> None:
    [play] = read(render(plan(), "run1"), f"{name}.yml")

    assert play["ansible.builtin.import_playbook"] == f"tcptune.linux.{playbook}"
    assert play["vars"] == {"tcptune_hosts": GROUP}


def test_the_run_is_named_once_for_all_hosts() -> None:
    assert read(render(plan(), "20260314-a1b2c3"), f"inventory/group_vars/{GROUP}.yml") == {
        "tcp_settings_run": "20260314-a1b2c3",
        "tcp_settings_revert_after_s": 0,
    }


def test_the_time_to_confirm_is_one_for_all_hosts_and_in_the_readme() -> None:
    files = render(plan(), "run1", RenderOptions(revert_after_s=600))

    assert read(files, f"inventory/group_vars/{GROUP}.yml")["tcp_settings_revert_after_s"] == 600
    assert "they are gone after 600 s, or a reboot" in files["README.md"]
    assert "a reboot takes them back" in render(plan(), "run1")["README.md"]


def test_a_danger_travels_with_its_reason_and_is_allowed_only_by_name() -> None:
    risky = change(SOMAXCONN).model_copy(update={"danger": "it strands the host."})
    made = plan(cohort("a", changes=(risky, change(SYNCOOKIES))))

    assert variables(made)["tcp_settings_dangers"] == {SOMAXCONN: "it strands the host."}
    assert "tcp_settings_allow_risk" not in variables(made)
    assert variables(made, allow_risk=(SOMAXCONN, SYNCOOKIES))["tcp_settings_allow_risk"] == [SOMAXCONN]


def test_a_forced_key_reaches_the_cohorts_that_change_it_and_no_other() -> None:
    made = plan(cohort("a", changes=(change(SOMAXCONN),)), cohort("b", changes=(change(SYNCOOKIES),), name="cohort2"))
    files = render(made, "run1", RenderOptions(force_keys=(SOMAXCONN,)))

    assert read(files, COHORT1)["tcp_settings_force_keys"] == [SOMAXCONN]
    assert "tcp_settings_force_keys" not in read(files, "inventory/group_vars/tcptune_cohort2.yml")


def test_host_keys_are_checked_whatever_else_is_configured() -> None:
    config = ConfigParser(interpolation=None)
    config.read_string(render(plan(), "run1")["ansible.cfg"])

    assert config.getboolean("defaults", "host_key_checking") is True
    # ssh takes the first of two answers.
    assert config["ssh_connection"]["ssh_args"].startswith("-o StrictHostKeyChecking=yes ")


@pytest.mark.parametrize(("hosts", "forks"), [(0, 1), (3, 3), (40, 25)])
def test_as_many_hosts_as_are_sensible_are_worked_on_at_once(hosts: int, forks: int) -> None:
    made = (
        plan(cohort(*(f"h{n}" for n in range(hosts)))) if hosts else plan(cohort()).model_copy(update={"cohorts": ()})
    )
    config = ConfigParser(interpolation=None)
    config.read_string(render(made, "run1")["ansible.cfg"])

    assert config.getint("defaults", "forks") == forks


def test_the_readme_names_plan_profile_and_counts() -> None:
    made = plan(cohort("a", "b", changes=SETTINGS))
    readme = render(made, "run1")["README.md"]

    assert made.plan_id in readme
    assert "Profile test, 8 changes on 2 hosts" in readme


def test_who_is_known_to_write_a_setting_reaches_the_host() -> None:
    made = plan(cohort("a", changes=(change(SOMAXCONN, writer="tuned"), change(SYNCOOKIES))))

    assert read(render(made, "run1"), COHORT1)["tcp_settings_writers"] == {SOMAXCONN: "tuned"}
    assert "tcp_settings_writers" not in read(render(plan(cohort("a")), "run1"), COHORT1)
