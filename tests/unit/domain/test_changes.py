from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tcptune.domain.changes import HostPlan, Plan, Skipped, plan_digest, sha256
from tests.unit.builders import NOW, SOMAXCONN, SYNCOOKIES, change, cohort, dropin, plan

VALUE = st.integers(0, 65535).map(str)
CHANGES = st.lists(
    st.builds(change, key=st.sampled_from([SOMAXCONN, SYNCOOKIES]), before=VALUE, after=VALUE), max_size=4
)


@given(CHANGES)
def test_undoing_twice_is_the_plan_again(changes: list[Any]) -> None:
    there = HostPlan(host="web1", changes=tuple(changes), files=())

    assert there.inverse().inverse() == there


def test_the_way_back_goes_backwards_with_both_values_swapped() -> None:
    there = HostPlan(
        host="web1", changes=(change(SOMAXCONN, "128", "4096"), change(SYNCOOKIES, "0", "1")), files=(dropin(),)
    )

    assert [(c.key, c.before, c.after) for c in there.inverse().changes] == [
        (SYNCOOKIES, "1", "0"),
        (SOMAXCONN, "4096", "128"),
    ]


def test_a_change_of_the_next_boot_alone_writes_nothing_at_runtime() -> None:
    assert change(before="128", after="4096").at_runtime
    assert not change(before="4096", after="4096").at_runtime


def test_a_file_that_does_not_exist_has_a_digest_of_its_own() -> None:
    assert dropin(before=None).before_sha256 == "absent"
    assert dropin(before="").before_sha256 == sha256("")
    assert sha256("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_the_id_of_a_plan_is_the_digest_of_its_content_but_for_the_date() -> None:
    made = plan()

    assert plan(made_at=NOW + timedelta(days=1)).plan_id == made.plan_id
    assert plan_digest(json.loads(made.model_dump_json())) == made.plan_id
    assert plan_digest(made.model_dump(mode="json")) == made.plan_id


def test_the_id_of_a_plan_covers_the_order_of_the_writes() -> None:
    made = (change(SOMAXCONN, "128", "4096"), change(SYNCOOKIES, "0", "1"))

    assert (
        plan(cohort(changes=made)).plan_id != plan(cohort(changes=made[::-1], files=cohort(changes=made).files)).plan_id
    )


def leaves(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    if isinstance(node, dict):
        return [found for key in node for found in leaves(node[key], (*path, key))]
    if isinstance(node, list) and node:
        return [found for index, item in enumerate(node) for found in leaves(item, (*path, index))]
    return [path]


FULL = json.loads(
    plan(
        cohort("web1", "web2", changes=(change(), change(SYNCOOKIES, "0", "1"))),
        fine=("web3",),
        skipped=(Skipped(host="web4", key=SOMAXCONN, why="read-only", hint="there"),),
    ).model_dump_json()
)


@pytest.mark.parametrize("path", leaves(FULL), ids=lambda path: ".".join(str(part) for part in path))
def test_any_edit_of_a_plan_shows(path: tuple[Any, ...]) -> None:
    edited = json.loads(json.dumps(FULL))
    node = edited
    for part in path[:-1]:
        node = node[part]
    node[path[-1]] = "edited"

    assert (plan_digest(edited) == FULL["plan_id"]) is (path in {("plan_id",), ("made_at",)})


def test_taking_something_out_of_a_plan_shows() -> None:
    edited = json.loads(json.dumps(FULL))
    del edited["cohorts"][0]["changes"][1]

    assert plan_digest(edited) != FULL["plan_id"]


def test_a_plan_counts_changes_over_all_hosts() -> None:
    two = (change(), change(SYNCOOKIES, "0", "1"))

    assert plan(cohort("a", "b", changes=two), cohort("c", name="cohort2")).change_count == 5


def test_a_plan_knows_the_cohort_of_each_host_it_changes() -> None:
    made = plan(cohort("a", "b"), cohort("c", name="cohort2"), fine=("d",))

    assert made.cohort_of("c").name == "cohort2"
    with pytest.raises(KeyError):
        made.cohort_of("d")


def test_only_a_host_that_could_not_be_read_counts_as_unread() -> None:
    lost = Skipped(host="web9", key=None, why="no SSH session")
    made = plan(skipped=(Skipped(host="web4", key=SOMAXCONN, why="read-only"), lost))

    assert made.unread == (lost,)


def test_a_plan_survives_a_round_trip_through_json() -> None:
    made = plan()

    assert Plan.model_validate_json(made.model_dump_json()) == made
