"""Waves: sizes, the canary, cohorts, failure domains, order, and what cannot be met."""

from __future__ import annotations

import pytest

from tcptune.domain.changes import Plan
from tcptune.domain.hosts import Declared
from tcptune.domain.rollout import Waves
from tcptune.errors import PolicyError
from tcptune.planning.waves import cut_waves, failures
from tests.unit.builders import change, cohort, declared, plan, policy

RACKS = {"web1": "r1", "web2": "r1", "web3": "r2", "web4": "r2", "web5": "r3", "web6": "r3"}


def fleet(*sizes: int) -> Plan:
    """Return a plan with cohorts of these sizes: web1, web2, ... through all of them."""
    names = [f"web{number}" for number in range(1, sum(sizes) + 1)]
    cohorts = []
    for number, size in enumerate(sizes, start=1):
        hosts, names = names[:size], names[size:]
        cohorts.append(cohort(*hosts, changes=(change(after=str(4096 * number)),), name=f"cohort{number}"))
    return plan(*cohorts)


def sizes(found: Waves) -> list[int]:
    return [len(wave.hosts) for wave in found.waves]


def hosts(found: Waves) -> list[tuple[str, ...]]:
    return [wave.hosts for wave in found.waves]


@pytest.mark.parametrize(
    ("waves", "number", "cut"),
    [
        ([1, "5%", "25%", "100%"], 40, [1, 2, 10, 27]),
        ([1, "5%", "25%", "100%"], 1, [1]),
        ([1, "5%", "25%", "100%"], 2, [1, 1]),
        ([1, "5%", "25%", "100%"], 4, [1, 1, 1, 1]),
        ([1, "5%", "25%", "100%"], 7, [1, 1, 1, 4]),
        (["100%"], 3, [3]),
        ([5], 3, [3]),
        # The last size is repeated.
        ([1, 3], 9, [1, 3, 3, 2]),
        ([1, "20%"], 10, [1, 2, 2, 2, 2, 1]),
        # A part of a host does not count, and a wave is never empty.
        (["19%", "100%"], 10, [1, 9]),
        (["0.1%", "100%"], 10, [1, 9]),
    ],
)
def test_sizes_are_counts_or_shares_of_all_hosts(waves: list[object], number: int, cut: list[int]) -> None:
    assert sizes(cut_waves(fleet(number), policy(waves=waves), {})) == cut


def test_names_are_ordered_as_people_do() -> None:
    found = cut_waves(fleet(11), policy(waves=[2, "100%"]), {})

    assert hosts(found)[0] == ("web1", "web2")
    assert hosts(found)[1][-1] == "web11"


def test_the_order_of_the_plan_is_that_of_its_cohorts() -> None:
    made = plan(cohort("b", "a"), cohort("d", "c", changes=(change(after="1"),), name="cohort2"))

    found = cut_waves(made, policy(waves=[1], order="plan", cohorts="any"), {})

    assert found.hosts == ("b", "a", "d", "c")


def test_a_shuffled_order_has_a_seed_that_is_kept() -> None:
    made = fleet(30)
    by_plan = cut_waves(made, policy(order="shuffled"), {})
    by_seed = cut_waves(made, policy(order={"by": "shuffled", "seed": 7}), {})

    assert by_plan.seed == int(made.plan_id[:8], 16)
    assert by_seed.seed == 7
    assert by_plan.hosts != by_seed.hosts
    # Written down: a run that is resumed by another version has to find the same waves.
    assert by_seed.hosts[:4] == ("web16", "web3", "web23", "web2")
    assert cut_waves(made, policy(), {}).seed is None


def test_hosts_with_a_label_come_first_in_the_order_of_the_selectors() -> None:
    said = {"web5": Declared(labels={"stage": "canary"}), "web3": Declared(groups=("staging",))}
    order = {"by": "name", "first": [{"labels": {"stage": "canary"}}, {"group": "stag*"}]}

    found = cut_waves(fleet(6), policy(waves=[1], order=order), said)

    assert found.hosts == ("web5", "web3", "web1", "web2", "web4", "web6")


def test_a_selector_that_no_host_meets_is_told() -> None:
    order = {"first": [{"labels": {"stage": "canry"}}]}

    found = cut_waves(fleet(2), policy(order=order), {"web1": Declared(labels={"stage": "canary"})})

    assert "order.first: no host of the rollout has stage=canry" in found.waves[0].reasons


def test_the_canary_is_of_the_largest_cohort_and_each_other_begins_with_one_host() -> None:
    found = cut_waves(fleet(6, 3, 1), policy(waves=[1, 2, 3, "100%"]), {})

    assert hosts(found)[:2] == [("web1",), ("web7", "web10")]
    assert [wave.tries for wave in found.waves] == [("cohort1",), ("cohort2", "cohort3"), (), ()]
    assert found.waves[0].reasons == ("has no host of cohort2, cohort3: these are tried in later waves",)
    assert found.waves[1].reasons == ("tried here first: cohort2 (1 host), cohort3 (1 host)",)


def test_a_cohort_that_was_not_tried_yet_has_one_host_in_a_wave_that_others_can_fill() -> None:
    found = cut_waves(fleet(8, 4), policy(waves=[1, 4, "100%"]), {})

    assert [host in {"web9", "web10", "web11", "web12"} for host in hosts(found)[1]].count(True) == 1


def test_where_cohorts_make_no_difference_the_order_alone_counts() -> None:
    found = cut_waves(fleet(2, 2), policy(waves=[2, 2], cohorts="any"), {})

    assert hosts(found) == [("web1", "web2"), ("web3", "web4")]
    assert all(wave.reasons == () for wave in found.waves)


def test_a_canary_of_each_cohort_that_has_room_for_them() -> None:
    found = cut_waves(fleet(4, 2, 1), policy(waves=[3, "100%"], cohorts="each"), {})

    assert found.waves[0].hosts == ("web1", "web5", "web7")
    assert found.waves[0].tries == ("cohort1", "cohort2", "cohort3")


def test_a_canary_of_each_cohort_is_filled_up_with_others() -> None:
    found = cut_waves(fleet(4, 2), policy(waves=[4, "100%"], cohorts="each"), {})

    assert sizes(found) == [4, 2]
    assert found.waves[0].tries == ("cohort1", "cohort2")


def test_a_canary_with_fewer_seats_than_cohorts_is_refused_with_their_hosts() -> None:
    with pytest.raises(PolicyError) as refused:
        cut_waves(fleet(2, 1), policy(cohorts="each"), {})

    assert str(refused.value) == (
        "test.yml: cohorts: the canary takes 1 host, and the plan has 2 cohorts: cohort1 (web1, web2); cohort2 (web3)"
    )
    assert refused.value.hint == "waves: [2, ...], or cohorts: spread"
    assert refused.value.exit_code == 3


def test_cohorts_are_seated_even_where_the_first_choice_takes_anothers_only_rack() -> None:
    # cohort1 could sit in r1 or r2, cohort2 in r1 alone.
    said = declared(web1="r1", web2="r2", web3="r1")

    found = cut_waves(fleet(2, 1), policy(waves=[2, 1], cohorts="each", failure_domain="rack"), said)

    assert set(found.waves[0].hosts) == {"web2", "web3"}


def test_the_canary_spreads_over_cohorts_even_where_the_first_choice_takes_anothers_only_rack() -> None:
    said = declared(web1="r1", web2="r2", web3="r1", web4="r2")

    found = cut_waves(fleet(2, 1, 1), policy(waves=[2, 2], failure_domain="rack"), said)

    assert found.waves[0].tries == ("cohort1", "cohort2")
    assert set(found.waves[0].hosts) == {"web2", "web3"}


def test_cohorts_do_not_push_out_a_host_that_comes_first() -> None:
    said = declared(web1="r1", web2="r2", web3="r3")
    said["web2"] = Declared(labels={"rack": "r2", "stage": "canary"})
    order = {"first": [{"labels": {"stage": "canary"}}]}

    found = cut_waves(fleet(1, 1, 1), policy(waves=[1, 2], failure_domain="rack", order=order), said)

    assert found.waves[0].hosts == ("web2",)


def test_a_canary_of_cohorts_leaves_no_rack_whole_to_the_last_wave() -> None:
    # The host of cohort1 is alone in its rack; taking it would leave r2 whole.
    said = declared(web1="r1", web2="r2", web3="r2")

    found = cut_waves(fleet(1, 1, 1), policy(waves=[1, 2], failure_domain="rack"), said)

    assert found.waves[0].hosts == ("web2",)
    assert found.waves[1].whole_domains == ()


def test_cohorts_that_share_one_rack_cannot_all_be_in_the_canary() -> None:
    said = declared(web1="r2", web2="r3", web3="r1", web4="r1")

    with pytest.raises(PolicyError) as refused:
        cut_waves(fleet(2, 1, 1), policy(waves=[3, 1], cohorts="each", failure_domain="rack"), said)

    assert str(refused.value) == (
        "test.yml: cohorts: no canary has a host of each cohort and no two of one rack: "
        "cohort2, cohort3 have hosts in r1 alone"
    )
    assert refused.value.hint == "cohorts: spread"


def test_the_canary_has_no_two_hosts_of_one_rack() -> None:
    found = cut_waves(fleet(6), policy(waves=[3, "100%"], failure_domain="rack"), declared(**RACKS))

    assert found.waves[0].hosts == ("web1", "web3", "web5")
    assert found.waves[0].reasons == ("no two of them share a rack",)


def test_a_canary_that_needs_more_racks_than_there_are_is_refused_with_hosts_and_labels() -> None:
    said = declared(web1="r1", web2="r1", web3="r1")

    with pytest.raises(PolicyError) as refused:
        cut_waves(fleet(3), policy(waves=[2, "100%"], failure_domain="rack"), said)

    assert str(refused.value) == (
        "test.yml: the canary takes 2 hosts, no two of one rack, and these hosts have 1: r1 (web1, web2, web3)"
    )
    assert refused.value.hint == "waves: [1, ...]"
    assert refused.value.exit_code == 3


def test_one_host_needs_one_rack_however_large_the_canary_may_be() -> None:
    assert sizes(cut_waves(fleet(1), policy(waves=[5], failure_domain="rack"), declared(web1="r1"))) == [1]


def test_groups_of_the_inventory_are_failure_domains_too() -> None:
    said = {host: Declared(groups=("web", f"rack_{rack}")) for host, rack in RACKS.items()}

    found = cut_waves(fleet(6), policy(waves=[2, 2], failure_domain={"groups": "rack_*"}), said)

    assert hosts(found)[0] == ("web1", "web3")


def test_a_host_without_the_label_is_no_rack_of_its_own() -> None:
    with pytest.raises(PolicyError, match=r"test\.yml: failure_domain: web2, web3 have no label 'rack'"):
        cut_waves(fleet(3), policy(failure_domain="rack"), declared(web1="r1"))


def test_a_host_in_two_racks_is_refused() -> None:
    said = {"web1": Declared(groups=("rack_a", "rack_b"))}

    with pytest.raises(PolicyError, match=r"1 host in more than one group rack_\*: web1 is in rack_a, rack_b"):
        cut_waves(fleet(1), policy(failure_domain={"groups": "rack_*"}), said)


def test_no_wave_takes_a_whole_rack_where_there_is_another_way() -> None:
    found = cut_waves(fleet(6), policy(waves=[1, 2, "100%"], failure_domain="rack"), declared(**RACKS))

    assert hosts(found)[:2] == [("web1",), ("web3", "web5")]
    assert all(wave.whole_domains == () for wave in found.waves)


def test_a_host_that_is_alone_in_its_rack_is_taken_before_a_rack_is_taken_whole() -> None:
    said = declared(web1="r1", web2="r1", web3="r2", web4="r2", web5="r3")

    found = cut_waves(fleet(5), policy(waves=[1, 3, 1], failure_domain="rack"), said)

    assert found.waves[2].hosts == ("web4",)
    assert found.waves[1].whole_domains == ()


def test_a_rack_is_begun_before_a_cohort_is_tried_where_the_last_wave_would_take_it_whole() -> None:
    said = declared(web1="r1", web2="r2", web3="r2", web4="r1")

    found = cut_waves(fleet(3, 1), policy(waves=[1, 1, 2], failure_domain="rack"), said)

    assert hosts(found)[:2] == [("web1",), ("web2",)]
    assert found.waves[2].tries == ("cohort2",)
    assert all(wave.whole_domains == () for wave in found.waves)


def test_a_rack_that_has_to_be_taken_whole_is_named() -> None:
    found = cut_waves(fleet(6), policy(waves=[1, "100%"], failure_domain="rack"), declared(**RACKS))

    assert found.waves[1].whole_domains == ("r2", "r3")
    assert found.waves[1].reasons == (
        "takes all hosts of rack r2, r3: the sizes and the other rules left no better choice",
    )


def test_racks_give_in_proportion_to_their_size() -> None:
    racks = {f"web{number}": "big" if number <= 30 else "small" for number in range(1, 41)}

    found = cut_waves(fleet(40), policy(waves=[1, "20%", "100%"], failure_domain="rack"), declared(**racks))

    assert [racks[host] for host in found.waves[1].hosts].count("big") == 6


def test_a_part_of_the_hosts_is_cut_like_a_fleet_of_its_own() -> None:
    found = cut_waves(fleet(6, 4), policy(waves=[1, "50%", "100%"]), {}, hosts={"web2", "web3", "web9", "elsewhere"})

    assert hosts(found) == [("web2",), ("web9",), ("web3",)]


def test_a_share_of_less_than_one_host_is_told() -> None:
    found = cut_waves(fleet(6), policy(), {})

    assert found.waves[1].reasons == ("5% of 6 hosts is less than one; a wave has at least one",)


def test_waves_name_the_plan_and_the_policy_they_are_of() -> None:
    made = fleet(2)
    found = cut_waves(made, policy(), {})

    assert (found.plan_id, found.policy, found.policy_digest) == (made.plan_id, "test", "d" * 64)


@pytest.mark.parametrize(
    ("failed", "said"),
    [
        ((), None),
        # Of 12 hosts 2 may fail in total, of the last wave of 8 hosts 1.
        (("web5",), None),
        (("web5", "web6"), "2 of 8 hosts of the wave failed, and at most 1 (20%) may"),
        (("web1", "web2", "web5"), "3 of 12 hosts failed, and at most 2 may"),
        (("elsewhere", "web5"), None),
    ],
)
def test_failures_are_counted_in_the_wave_and_in_all_waves_so_far(failed: tuple[str, ...], said: str | None) -> None:
    rule = policy(waves=[1, 3, "100%"], failures={"per_wave": "20%", "total": 2})
    found = cut_waves(fleet(12), rule, {})

    assert failures(found, found.waves[2], failed, rule) == said
