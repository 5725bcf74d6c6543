from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tcptune.domain.changes import Change
from tcptune.domain.parameters import Limit, Parameter, Shape
from tcptune.errors import TcptuneError
from tcptune.knowledge.catalogue import catalogue
from tcptune.planning.order import Move, constraints, in_boot_order, in_write_order
from tests.unit.builders import FIN_TIMEOUT, PORTS, SOMAXCONN, SYNCOOKIES, change, parameter

START = "net.ipv4.ip_unprivileged_port_start"
RESERVED = "net.ipv4.ip_local_reserved_ports"
FORWARD = "net.ipv4.ip_forward"
RP_FILTER = "net.ipv4.conf.all.rp_filter"
ALLOWED = "net.ipv4.tcp_allowed_congestion_control"
ALGORITHM = "net.ipv4.tcp_congestion_control"
DEFAULTS = {START: "1024", PORTS: "32768 60999"}


def keys(*changes: Change) -> list[str]:
    return [one.key for one in in_write_order(changes, catalogue())]


def notes(*changes: Change) -> dict[str, str | None]:
    return {one.key: one.order for one in in_write_order(changes, catalogue())}


# By the catalogue


def test_settings_that_know_nothing_of_each_other_are_in_the_order_of_their_keys() -> None:
    assert keys(change(SYNCOOKIES, "0", "1"), change(FIN_TIMEOUT, "60", "30"), change()) == [
        SOMAXCONN,
        FIN_TIMEOUT,
        SYNCOOKIES,
    ]


@pytest.mark.parametrize(
    ("start", "ports", "order"),
    [
        (("1024", "400"), ("32768 60999", "500 60000"), [START, PORTS]),
        (("1024", "2000"), ("1024 60999", "2048 60000"), [PORTS, START]),
        # The low end counts, wherever the high one goes.
        (("1024", "400"), ("32768 50000", "500 65000"), [START, PORTS]),
        (("1024", "2000"), ("1024 65000", "2048 60000"), [PORTS, START]),
        # Apart or towards each other: the kernel takes both orders.
        (("1024", "400"), ("10240 60999", "32768 60999"), [PORTS, START]),
        (("400", "1024"), ("32768 60999", "10240 60999"), [PORTS, START]),
        (("1024", "400"), ("32768 60999", "32768 65535"), [START, PORTS]),
    ],
)
def test_the_start_of_the_free_ports_never_passes_the_low_end_of_the_range(
    start: tuple[str, str], ports: tuple[str, str], order: list[str]
) -> None:
    values = {START: start, PORTS: ports}
    made = [change(key, *pair) for key, pair in values.items()]

    assert keys(*made) == keys(*made[::-1]) == order
    assert _refused(order, values) is None


def _refused(order: list[str], values: dict[str, tuple[str, str]]) -> str | None:
    """Return the key the kernel would refuse, written in this order."""
    now = {key: before for key, (before, _) in values.items()}
    for key in order:
        now[key] = values[key][1]
        if int(now[PORTS].split()[0]) < int(now[START]):
            return key
    return None


def test_a_pattern_of_keys_goes_after_what_resets_them() -> None:
    assert keys(change(RP_FILTER, "0", "1"), change(FORWARD, "0", "1")) == [FORWARD, RP_FILTER]


def test_three_in_a_row() -> None:
    made = (
        change(PORTS, "32768 60999", "500 60000"),
        change(START, "1024", "400"),
        change(RESERVED, "", "8080"),
        change(SYNCOOKIES, "0", "1"),
    )

    assert keys(*made) == [RESERVED, START, PORTS, SYNCOOKIES]


def test_a_name_and_a_list_of_names_have_no_direction_and_are_ordered_all_the_same() -> None:
    assert keys(change(ALGORITHM, "cubic", "bbr"), change(ALLOWED, "cubic", "cubic bbr")) == [ALLOWED, ALGORITHM]


# Why


def test_what_goes_first_says_what_waits_for_it_and_why() -> None:
    found = notes(change(PORTS, "32768 60999", "500 60000"), change(START, "1024", "400"), change(RESERVED, "", "80"))

    assert found == {
        RESERVED: f"written before {PORTS}: ports of services are reserved before the range takes them in",
        START: f"written before {PORTS}: the low end of the range cannot go below the start",
        PORTS: None,
    }


def test_those_that_wait_for_one_reason_share_it() -> None:
    found = notes(
        change(FORWARD, "0", "1"), change(RP_FILTER, "0", "1"), change("net.ipv4.conf.all.arp_ignore", "0", "1")
    )

    assert found[FORWARD] == (
        f"written before net.ipv4.conf.all.arp_ignore and {RP_FILTER}: "
        "a change resets conf keys to the defaults of a router or a host"
    )


def test_what_only_the_next_boot_has_to_change_waits_for_nothing() -> None:
    found = notes(change(FORWARD, "1", "1"), change(RP_FILTER, "0", "1"))

    assert set(found.values()) == {None}


def test_the_way_back_does_not_claim_the_order_of_the_way_there() -> None:
    [first, _] = in_write_order([change(FORWARD, "0", "1"), change(RP_FILTER, "0", "1")], catalogue())

    assert first.order
    assert first.inverse().order is None


# What cannot be


def pages(*orders: tuple[str, str, str], **fields: Any) -> dict[str, Parameter]:
    """Return pages of keys where the first of each three is 'before' or 'after' the last."""
    found: dict[str, list[dict[str, str]]] = {}
    for key, position, other in orders:
        found.setdefault(key, []).append({"position": position, "other": other, "why": "so"})
        found.setdefault(other, [])
    return {key: parameter(key, write_order=orders, **fields) for key, orders in found.items()}


def test_a_circle_is_an_error_that_names_its_keys_and_no_others() -> None:
    known = pages(("a.a", "before", "a.b"), ("a.b", "before", "a.c"), ("a.a", "after", "a.c"), ("a.c", "before", "a.d"))
    made = [change().model_copy(update={"key": key}) for key in known]

    with pytest.raises(
        TcptuneError, match=r"no order to write these in: (\S+) before (\S+) before (\S+) before \1$"
    ) as e:
        in_write_order(made, known)

    assert "a.d" not in str(e.value)
    assert "a.a before a.b" in str(e.value)
    assert e.value.hint


def test_the_number_that_bounds_the_other_gives_the_direction() -> None:
    limit = Limit(relation="at most", key="a.range", element=1, otherwise=0)
    wide = parameter(
        "a.range", Shape.PAIR, write_order=[{"position": "before", "other": "a.top", "when": "raising", "why": "so"}]
    )
    known = {"a.range": wide, "a.top": parameter("a.top", limits=[limit])}

    def found(before: str, after: str) -> int:
        return len(constraints([Move("a.range", before, after), Move("a.top", "1", "2")], known))

    assert [found("5 10", "5 20"), found("5 10", "9 10"), found("5 10", "9 8")] == [1, 0, 0]


# At boot


def test_the_lines_of_a_file_are_ordered_from_what_a_kernel_starts_with() -> None:
    wanted = {PORTS: "500 60000", START: "400", FORWARD: "1", RP_FILTER: "1", SOMAXCONN: "4096"}

    assert in_boot_order(wanted, catalogue(), kernel="6.12.0") == (
        (SOMAXCONN, "4096"),
        (FORWARD, "1"),
        (RP_FILTER, "1"),
        (START, "400"),
        (PORTS, "500 60000"),
    )


def test_a_key_the_catalogue_does_not_know_is_a_line_like_any_other() -> None:
    assert in_boot_order({"net.core.zz": "1", "a.b": "2"}, catalogue(), kernel="6.12.0") == (
        ("a.b", "2"),
        ("net.core.zz", "1"),
    )


# The laws

PORT = st.integers(1, 65535)
LINKED = [*sorted({key for key, page in catalogue().items() if page.write_order and not page.read_only}), SOMAXCONN]


def _value(key: str) -> st.SearchStrategy[str]:
    page = catalogue()[key]
    if key == PORTS:
        return st.tuples(PORT, PORT).map(lambda pair: f"{min(pair)} {max(pair)}")
    return st.sampled_from(["cubic", "bbr"]) if page.shape in {Shape.NAME, Shape.NAMES} else PORT.map(str)


@st.composite
def some_changes(draw: st.DrawFn) -> list[Change]:
    chosen = draw(st.lists(st.sampled_from(LINKED), unique=True, max_size=12))
    return [change(key, draw(_value(key)), draw(_value(key))) for key in chosen]


@given(some_changes())
def test_every_order_that_applies_is_kept_and_nothing_is_lost(changes: list[Change]) -> None:
    made = keys(*changes)

    assert sorted(made) == sorted(one.key for one in changes)
    wanted = constraints([Move(one.key, one.before, one.after) for one in changes], catalogue())
    assert [one for one in wanted if made.index(one.first) > made.index(one.then)] == []


@given(some_changes().flatmap(lambda made: st.tuples(st.just(made), st.permutations(made))))
def test_the_order_in_which_changes_come_makes_no_difference(pair: tuple[list[Change], list[Change]]) -> None:
    assert in_write_order(pair[0], catalogue()) == in_write_order(pair[1], catalogue())


@st.composite
def port_moves(draw: st.DrawFn) -> dict[str, tuple[str, str]]:
    """Two states that the kernel allows."""
    (before, low_before), (after, low_after) = (sorted(draw(st.tuples(PORT, PORT))) for _ in range(2))
    return {START: (str(before), str(after)), PORTS: (f"{low_before} 65535", f"{low_after} 65535")}


@given(port_moves())
def test_between_two_states_the_kernel_allows_no_write_is_refused_there_or_back(
    values: dict[str, tuple[str, str]],
) -> None:
    order = keys(*(change(key, *pair) for key, pair in values.items()))

    assert _refused(order, values) is None
    assert _refused(order[::-1], {key: pair[::-1] for key, pair in values.items()}) is None


@given(port_moves())
def test_no_line_of_our_file_is_refused_at_boot(values: dict[str, tuple[str, str]]) -> None:
    wanted = {key: after for key, (_, after) in values.items()}
    lines = in_boot_order(wanted, catalogue(), kernel="6.12.0")

    assert _refused([key for key, _ in lines], {key: (DEFAULTS[key], wanted[key]) for key in DEFAULTS}) is None
