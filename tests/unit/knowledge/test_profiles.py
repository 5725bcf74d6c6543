from __future__ import annotations

import pytest

from tcptune.adapters.profiles import load_profile
from tcptune.domain.demands import Between, Demand, Elements, Leave, OneOf, meets
from tcptune.domain.parameters import ARITY, Parameter, Shape
from tcptune.domain.profile import Entry
from tcptune.knowledge.catalogue import built_in_profiles, catalogue

NAMES = sorted(built_in_profiles())
ENTRIES = [(name, entry) for name in NAMES for entry in load_profile(name).entries]
every_entry = pytest.mark.parametrize(("name", "entry"), ENTRIES, ids=[f"{name}:{e.key}" for name, e in ENTRIES])


def witness(parameter: Parameter, demand: Demand) -> str:
    """Return a value that the demand asks for, starting from one that a host may have."""
    known = next((d.value for d in parameter.defaults if d.value), None)
    low = str(max(parameter.sensible.min, 1) if parameter.shape is not Shape.BOOL else parameter.sensible.min)
    return demand.settle(known or " ".join([low] * ARITY.get(parameter.shape, 1)))


def numbers_named(demand: Demand) -> list[str]:
    match demand:
        case Elements():
            return [n for each in demand.each for n in numbers_named(each)]
        case Leave():
            return []
        case Between():
            return [*demand.low.split(), *demand.high.split()]
        case OneOf():
            return [n for value in demand.values for n in value.split()]
        case _:
            return demand.value.split()


def entry_of(name: str, key: str) -> Entry | None:
    return next((entry for entry in load_profile(name).entries if entry.key == key), None)


def test_the_built_in_profiles_are_these() -> None:
    assert NAMES == ["baseline", "web-frontend"]


@pytest.mark.parametrize("name", NAMES)
def test_a_built_in_profile_loads_under_its_own_name(name: str) -> None:
    loaded = load_profile(name)

    assert loaded.name == name
    assert loaded.summary


@every_entry
def test_every_demand_can_be_met_by_a_value_the_setting_may_have(name: str, entry: Entry) -> None:  # noqa: ARG001
    parameter = catalogue()[entry.key]
    value = witness(parameter, entry.demand)

    assert meets(entry.demand, value)
    assert parameter.mistake(value) is None


@every_entry
def test_every_entry_gives_a_reason_and_a_source(name: str, entry: Entry) -> None:  # noqa: ARG001
    assert len(entry.why) > 20
    assert entry.source.strip()
    assert entry.why.isprintable()


def test_a_profile_that_extends_another_says_which_of_the_two_asks() -> None:
    asked_by = {entry.key: entry.profile for entry in load_profile("web-frontend").entries}

    assert asked_by["net.core.somaxconn"] == "web-frontend"
    assert asked_by["net.ipv4.tcp_syncookies"] == "baseline"


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("baseline", {"tcp_mtu_probing"}),
        (
            "web-frontend",
            {"tcp_mtu_probing", "somaxconn", "ip_local_port_range", "tcp_slow_start_after_idle"}
            | {"tcp_keepalive_time", "tcp_keepalive_intvl", "tcp_keepalive_probes"},
        ),
    ],
)
def test_on_a_fresh_kernel_a_profile_changes_no_more_than_it_means_to(name: str, changed: set[str]) -> None:
    found = {
        entry.key.rpartition(".")[2]
        for entry in load_profile(name).entries
        if (default := catalogue()[entry.key].default("6.18.0")) and not meets(entry.demand, default)
    }

    assert found == changed


# What no profile should contain (shared/domain/profiles.md, 3.10)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("key", ["net.ipv4.tcp_tw_recycle", "net.ipv4.tcp_mem", "net.ipv4.tcp_max_tw_buckets"])
def test_no_profile_speaks_of_what_must_not_be_copied_from_a_guide(name: str, key: str) -> None:
    assert entry_of(name, key) is None


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("key", "harmful"),
    [
        ("net.ipv4.tcp_timestamps", "0"),
        ("net.ipv4.tcp_sack", "0"),
        ("net.ipv4.tcp_abort_on_overflow", "1"),
        ("net.ipv4.tcp_syncookies", "0"),
        ("net.core.somaxconn", "65535"),
    ],
)
def test_no_profile_asks_for_a_harmful_value(name: str, key: str, harmful: str) -> None:
    entry = entry_of(name, key)

    assert entry is None or harmful not in numbers_named(entry.demand)


@pytest.mark.parametrize("name", NAMES)
def test_no_profile_sells_fin_timeout_as_a_remedy_for_time_wait(name: str) -> None:
    entry = entry_of(name, "net.ipv4.tcp_fin_timeout")

    assert entry is None or "does not set TIME_WAIT" in entry.why


@every_entry
def test_no_profile_asks_for_a_triple_of_equal_numbers(name: str, entry: Entry) -> None:  # noqa: ARG001
    value = witness(catalogue()[entry.key], entry.demand).split()

    assert len(value) < 3 or isinstance(entry.demand, Leave) or len(set(value)) == 3


@every_entry
def test_no_profile_holds_negative_octal_or_keepalive_zero(name: str, entry: Entry) -> None:  # noqa: ARG001
    for number in numbers_named(entry.demand):
        assert number.isdecimal()
        assert number == str(int(number))
        assert "keepalive" not in entry.key or int(number) > 0
