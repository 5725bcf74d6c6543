from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tcptune.adapters.profiles import load_profile
from tcptune.dialects import READERS, WRITERS
from tcptune.dialects.profile_text import to_yaml
from tcptune.dialects.writing import ExportOptions
from tcptune.domain.demands import AtLeast, AtMost, Between, Demand, Elements, Exactly, Leave, OneOf
from tcptune.domain.exchange import Exported, Imported, Operator, Setting
from tcptune.domain.pods import InPod
from tcptune.domain.profile import Entry, Profile
from tcptune.knowledge.catalogue import catalogue
from tcptune.knowledge.pods import pod_settings

SOMAXCONN = "net.core.somaxconn"
RMEM = "net.ipv4.tcp_rmem"
KEEPALIVE = "net.ipv4.tcp_keepalive_time"
NOTHING = ExportOptions()
# Which format reads what another one, or the same, writes.
THERE_AND_BACK = {"sysctl.d": "sysctl", "tuned": "tuned", "kernel-settings": "kernel-settings"}


def profile(**demands: Demand) -> Profile:
    entries = tuple(
        Entry(key=key.replace("__", "."), demand=demand, why="a reason", source="a book", profile="p")
        for key, demand in demands.items()
    )
    return Profile(name="p", summary="", origin="here", entries=entries, digest="0")


def of(key: str, demand: Demand) -> Profile:
    return profile(**{key.replace(".", "__"): demand})


def only(exported: Exported) -> str:
    [text] = exported.files.values()
    return text


def asked(found: Imported) -> set[tuple[str, Operator, str]]:
    return {(s.key, s.operator, s.value) for s in found.settings}


def again(imported: Imported, to: str, folder: Path) -> tuple[Imported, Exported]:
    """Import -> profile file -> export -> import."""
    path = folder / "imported.yml"
    path.write_text(to_yaml("imported", imported), encoding="utf-8")
    exported = WRITERS[to].write(load_profile(str(path)), NOTHING)
    return READERS[THERE_AND_BACK[to]].read(exported.files, catalogue()), exported


def imported_from(*said: tuple[str, Operator, str]) -> Imported:
    return Imported(
        settings=tuple(
            Setting(key=key, operator=operator, value=value, path="a file: odd # name", line=at)
            for at, (key, operator, value) in enumerate(said, 1)
        )
    )


def numbers(low: int = 1, high: int = 60) -> st.SearchStrategy[str]:
    return st.integers(low, high).map(str)


TRIPLES = st.lists(st.integers(4096, 2147483647), min_size=3, max_size=3).map(lambda n: " ".join(map(str, sorted(n))))
VALUES = st.fixed_dictionaries(
    {},
    optional={
        SOMAXCONN: numbers(128, 65535),
        KEEPALIVE: numbers(60, 7200),
        "net.ipv4.tcp_syncookies": st.just("1"),
        RMEM: TRIPLES,
        "net.ipv4.tcp_wmem": TRIPLES,
    },
).filter(bool)


@given(values=VALUES, to=st.sampled_from(sorted(THERE_AND_BACK)))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_import_export_import_gives_the_same_settings(values: dict[str, str], to: str, tmp_path: Path) -> None:
    first = imported_from(*((key, Operator.EXACTLY, value) for key, value in values.items()))

    second, exported = again(first, to, tmp_path)

    assert asked(second) == asked(first)
    assert exported.left_out == ()


@given(
    value=numbers(128, 65535),
    operator=st.sampled_from([Operator.AT_LEAST, Operator.AT_MOST, Operator.EXACTLY]),
)
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_tuned_keeps_the_bounds_of_single_numbers(value: str, operator: Operator, tmp_path: Path) -> None:
    first = imported_from((SOMAXCONN, operator, value))

    assert asked(again(first, "tuned", tmp_path)[0]) == asked(first)


@pytest.mark.parametrize("to", sorted(THERE_AND_BACK))
def test_what_does_not_come_back_was_listed(to: str, tmp_path: Path) -> None:
    first = imported_from(
        (SOMAXCONN, Operator.AT_LEAST, "4096"),
        (RMEM, Operator.AT_LEAST, "4096 87380 6291456"),
        (KEEPALIVE, Operator.LEAVE, ""),
        ("net.ipv4.tcp_syncookies", Operator.EXACTLY, "1"),
    )

    second, exported = again(first, to, tmp_path)

    missing = {key for key, *_ in asked(first) - asked(second)}
    assert missing == {one.text.partition(":")[0] for one in exported.left_out}
    assert {key for key, *_ in asked(second)} >= {"net.ipv4.tcp_syncookies"}


def test_an_imported_profile_says_where_each_setting_stood(tmp_path: Path) -> None:
    path = tmp_path / "p.yml"
    path.write_text(
        to_yaml("p", imported_from((SOMAXCONN, Operator.AT_LEAST, "4096"), (KEEPALIVE, Operator.LEAVE, "")))
    )

    entries = {entry.key: entry for entry in load_profile(str(path)).entries}

    assert entries[SOMAXCONN].demand == AtLeast(value="4096")
    assert entries[KEEPALIVE].demand == Leave()
    assert entries[SOMAXCONN].why == "imported from a file: odd # name:1"
    assert entries[SOMAXCONN].source == "a file: odd # name"


@pytest.mark.parametrize(
    "demand",
    [AtLeast(value="4096"), AtMost(value="4096"), Between(low="1", high="2"), OneOf(values=("1", "2"))],
    ids=str,
)
def test_a_file_of_fixed_values_leaves_out_what_would_lower_a_host(demand: Demand) -> None:
    exported = WRITERS["sysctl.d"].write(of(SOMAXCONN, demand), NOTHING)

    assert exported.files == {}
    assert str(demand) in exported.left_out[0].why


def test_with_the_values_of_a_host_a_bound_is_settled_as_a_plan_would() -> None:
    options = ExportOptions(host="web1", actual={SOMAXCONN: "8192", RMEM: "4096 131072 33554432"})
    wanted = profile(
        net__core__somaxconn=AtLeast(value="4096"),
        net__ipv4__tcp_rmem=Elements(each=(Leave(), AtMost(value="65536"), AtLeast(value="6291456"))),
        net__ipv4__tcp_keepalive_time=AtMost(value="300"),
    )

    exported = WRITERS["sysctl.d"].write(wanted, options)

    assert f"{SOMAXCONN} = 8192\n" in only(exported)
    assert f"{RMEM} = 4096 65536 33554432\n" in only(exported)
    assert "tcp_keepalive_time" not in only(exported)
    assert "web1 has no such value" in exported.left_out[-1].why


def test_bounds_are_written_where_they_are_asked_for_and_still_listed() -> None:
    exported = WRITERS["sysctl.d"].write(of(SOMAXCONN, AtLeast(value="4096")), ExportOptions(bounds=True))

    assert f"{SOMAXCONN} = 4096\n" in only(exported)
    assert "whatever a host has" in exported.left_out[0].why


def test_a_vector_that_leaves_a_number_alone_has_no_bound_to_write() -> None:
    demand = Elements(each=(Leave(), AtLeast(value="1"), AtLeast(value="2")))

    assert WRITERS["sysctl.d"].write(of(RMEM, demand), ExportOptions(bounds=True)).files == {}


def test_a_vector_of_another_length_settles_to_nothing() -> None:
    options = ExportOptions(host="web1", actual={RMEM: "1 2"})

    exported = WRITERS["sysctl.d"].write(of(RMEM, AtLeast(value="1 2 3")), options)

    assert (exported.files, len(exported.left_out)) == ({}, 1)


def test_tuned_says_a_bound_of_one_number_and_not_of_three() -> None:
    exported = WRITERS["tuned"].write(
        profile(net__core__somaxconn=AtLeast(value="4096"), net__ipv4__tcp_rmem=AtLeast(value="1 2 3")), NOTHING
    )

    assert list(exported.files) == ["p/tuned.conf"]
    assert f"{SOMAXCONN} = >4096\n" in only(exported)
    assert [one.text.partition(":")[0] for one in exported.left_out] == [RMEM]


def test_the_variables_of_the_role_are_yaml_without_booleans() -> None:
    data = yaml.safe_load(only(WRITERS["kernel-settings"].write(of(RMEM, Exactly(value="4096 5 6")), NOTHING)))

    assert data == {"kernel_settings_sysctl": [{"name": RMEM, "value": "4096 5 6"}]}


def pod(*keys: str) -> tuple[list[dict[str, object]], Exported]:
    wanted = profile(**{key.replace(".", "__"): Exactly(value="1") for key in keys})
    exported = WRITERS["kubernetes"].write(wanted, NOTHING)
    return [document for text in exported.files.values() for document in yaml.safe_load_all(text)], exported


def test_a_pod_keeps_safe_and_unsafe_settings_apart() -> None:
    documents, exported = pod(KEEPALIVE, SOMAXCONN)

    assert documents == [
        {"spec": {"securityContext": {"sysctls": [{"name": KEEPALIVE, "value": "1"}]}}},
        {"spec": {"securityContext": {"sysctls": [{"name": SOMAXCONN, "value": "1"}]}}},
    ]
    assert "needs Kubernetes 1.29, Linux 4.5" in only(exported)
    assert f"--allowed-unsafe-sysctls={SOMAXCONN}\n" in only(exported)


@pytest.mark.parametrize(
    ("key", "why"),
    [
        ("net.core.rmem_max", "refuses a write"),
        ("net.ipv4.tcp_mem", "does not have the key"),
        ("fs.file-max", "belongs to no namespace"),
        ("net.ipv4.tcp_tw_recycle", "removed in Linux 4.12"),
        ("net.example.unheard_of", "not known whether"),
    ],
)
def test_what_no_pod_can_set_is_listed_with_the_reason(key: str, why: str) -> None:
    documents, exported = pod(key)

    assert documents == []
    assert [why in one.why for one in exported.left_out] == [True]


def test_what_no_pod_can_set_is_listed_once_though_it_was_settled() -> None:
    exported = WRITERS["kubernetes"].write(of("net.core.rmem_max", AtLeast(value="1")), ExportOptions(bounds=True))

    assert [one.why for one in exported.left_out] == [
        "no pod can set it: a pod's network namespace shows the node's value and refuses a write"
    ]


def test_every_setting_of_the_catalogue_has_its_place_in_a_pod() -> None:
    assert set(catalogue()) - set(pod_settings()) == set()


def test_the_settings_of_a_pod_are_named_once_and_the_safe_ones_say_since_when() -> None:
    text = (Path(__file__).parents[3] / "tcptune/knowledge/data/pods.yml").read_text()

    assert all(text.count(f" {key},") + text.count(f" {key}\n") == 1 for key in pod_settings())
    assert all(one.since for one in pod_settings().values() if one.pod is InPod.SAFE)


@pytest.mark.parametrize("to", sorted(WRITERS))
def test_each_entry_of_a_built_in_profile_is_written_or_listed(to: str) -> None:
    wanted = load_profile("web-frontend")

    exported = WRITERS[to].write(wanted, NOTHING)

    listed = {one.text.partition(":")[0] for one in exported.left_out}
    said = "".join(exported.files.values())
    assert all((entry.key in said) != (entry.key in listed) for entry in wanted.entries)
