"""The rules for two hops that talk to each other, each both ways; laws that hold for any numbers."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tcptune.domain.chain import Aspect, Hop, Known, Origin
from tcptune.domain.chain_verdicts import Broken, Fine, Judged, NotJudged, Rule
from tcptune.domain.concerns import Severity
from tcptune.planning.chain_rules import LEAST_MARGIN_S, judged

TIMES = st.none() | st.floats(0, 100_000).map(lambda value: round(value, 3))
SHORT = st.none() | st.sampled_from([0, 0.5, 1, 2, 5, 10, 59, 60, 61, 65, 75, 90, 240, 350, 600, 7200])


def known(value: float | None) -> Known:
    return Known(value=value, origin=Origin.DECLARED, said="chain.yml:1")


def hop(name: str, settings: dict[str, float | None], **more: Any) -> Hop:
    return Hop(name=name, settings={Aspect(key): known(value) for key, value in settings.items()}, **more)


def proxy(idle: float | None, *, probes: float | None = None, **more: Any) -> Hop:
    return hop("proxy", {"sends.idle_timeout": idle, "sends.tcp_keepalive": probes}, reuse=True, **more)


def app(idle: float | None, *, probes: float | None = None, **more: Any) -> Hop:
    return hop("app", {"receives.idle_timeout": idle, "receives.tcp_keepalive": probes}, **more)


def nat(idle: float | None, **more: Any) -> Hop:
    return hop("nat", {"idle_timeout": idle}, layer=4, **more)


def of(rule: Rule, found: tuple[Judged, ...]) -> list[Judged]:
    return [one for one in found if one.rule is rule]


def judge(requester: Hop, receiver: Hop, *between: Hop) -> tuple[Judged, ...]:
    return judged(requester, receiver, between, [receiver])


def broken(found: tuple[Judged, ...], rule: Rule | None = None) -> list[Broken]:
    return [one for one in found if isinstance(one, Broken) and rule in {None, one.rule}]


@pytest.mark.parametrize(
    ("keeps", "closes", "holds"),
    [
        (60, 75, True),
        (60, 61, True),
        (60, 60.5, False),
        (60, 60, False),
        (75, 60, False),
        (None, 60, False),
        (60, None, True),
        (None, None, True),
        (75, 0, True),
        (0, 5, True),
    ],
)
def test_the_side_that_sends_requests_has_to_close_first(
    keeps: float | None, closes: float | None, holds: bool
) -> None:
    [found] = of(Rule.IDLE, judge(proxy(keeps), app(closes)))

    assert isinstance(found, Fine if holds else Broken)
    if isinstance(found, Broken):
        assert found.severity is Severity.HARM
        assert found.causes[0] == "reset.keepalive_race"


@pytest.mark.parametrize("most", [0, 1])
def test_who_answers_one_request_on_each_connection_leaves_none_to_reuse(most: float) -> None:
    closes = app(60).settings | {Aspect.RECEIVES_REQUESTS: known(most)}
    found = judge(proxy(90), app(60).model_copy(update={"settings": closes}), nat(30))

    assert broken(found) == []
    assert any("after each answer" in one.what for one in of(Rule.IDLE, found) if isinstance(one, Fine))


def test_who_opens_a_connection_for_each_request_cannot_lose_that_race() -> None:
    [found] = of(Rule.IDLE, judge(hop("proxy", {"sends.idle_timeout": 90}, reuse=False), app(5)))

    assert isinstance(found, Fine)


@pytest.mark.parametrize(
    ("requester", "receiver", "named"),
    [
        (hop("proxy", {}), app(60), "proxy: sends.idle_timeout is not known"),
        (proxy(60), hop("app", {}), "app: receives.idle_timeout is not known"),
        (hop("proxy", {}, unknown={Aspect.SENDS_IDLE: "it purges"}), app(60), "it purges"),
    ],
)
def test_what_is_not_known_is_not_fine(requester: Hop, receiver: Hop, named: str) -> None:
    [found] = of(Rule.IDLE, judge(requester, receiver))

    assert isinstance(found, NotJudged)
    assert named in found.why


def test_keepalive_of_tcp_is_said_to_be_of_no_use_for_the_race() -> None:
    [found] = broken(judge(proxy(90, probes=15), app(60)), Rule.IDLE)

    assert "proxy's TCP keepalive of 15 s does not help" in found.evidence[-1]


@pytest.mark.parametrize(
    ("keeps", "closes", "fixed", "first"),
    [
        (90, 75, (), ("proxy", "70 s")),
        (60, 5, (), ("app", "65 s")),
        (90, 75, (Aspect.SENDS_IDLE,), ("app", "95 s")),
        (None, 60, (), ("proxy", "55 s")),
    ],
)
def test_the_change_that_is_named_first(
    keeps: float | None, closes: float, fixed: tuple[Aspect, ...], first: tuple[str, str]
) -> None:
    [found] = broken(judge(proxy(keeps, fixed=fixed), app(closes)), Rule.IDLE)

    assert (found.remedies[0].hop, found.remedies[0].after) == first


def test_where_nothing_can_be_set_no_change_is_named_and_the_way_out_is() -> None:
    fixed = proxy(None, fixed=(Aspect.SENDS_IDLE,))
    [found] = broken(judge(fixed, app(60, fixed=(Aspect.RECEIVES_IDLE,))), Rule.IDLE)

    assert found.remedies == ()
    assert "no kernel setting helps" in found.otherwise


@pytest.mark.parametrize(
    ("idle", "probes", "forgets", "holds"),
    [
        (60, None, 350, True),
        (400, None, 350, False),
        (350, None, 350, False),
        (349, None, 350, True),
        (None, None, 350, False),
        (None, 60, 350, True),
        (None, 349, 350, True),
        (None, 350, 350, False),
        (None, 7200, 350, False),
    ],
)
def test_a_keepalive_probe_or_the_end_comes_before_something_forgets(
    idle: float | None, probes: float | None, forgets: float, holds: bool
) -> None:
    [found] = of(Rule.FLOW, judge(proxy(idle, probes=probes), app(None), nat(forgets)))

    assert isinstance(found, Fine if holds else Broken)
    if isinstance(found, Broken):
        assert found.causes == ("reset.l4_idle_middlebox",)


def test_the_other_side_s_probes_count_too() -> None:
    [found] = of(Rule.FLOW, judge(proxy(None), app(None, probes=100), nat(350)))

    assert isinstance(found, Fine)


def test_the_one_that_forgets_first_counts() -> None:
    [found] = broken(judge(proxy(300), app(None), nat(350), nat(240)), Rule.FLOW)

    assert "after 240 s" in found.what


def test_something_on_the_way_whose_timeout_is_not_known_is_not_fine() -> None:
    [found] = of(Rule.FLOW, judge(proxy(60), app(75), hop("firewall", {}, layer=4)))

    assert isinstance(found, NotJudged)


def test_whether_probes_are_sent_has_to_be_known_where_they_are_needed() -> None:
    [found] = of(Rule.FLOW, judge(hop("proxy", {"sends.idle_timeout": None}), app(None), nat(350)))

    assert isinstance(found, NotJudged)
    assert "proxy: sends.tcp_keepalive is not known" in found.why


def test_a_fixed_timeout_is_not_told_to_be_raised() -> None:
    [found] = broken(judge(proxy(700), app(None), nat(600, fixed=(Aspect.FLOW,))), Rule.FLOW)

    assert {one.hop for one in found.remedies} == {"proxy"}


def test_an_answer_that_takes_longer_than_something_remembers() -> None:
    slow = hop("app", {"receives.idle_timeout": 75, "receives.answer_within": 400, "receives.tcp_keepalive": None})
    waits = hop("proxy", {"sends.idle_timeout": 60, "sends.response_timeout": 500, "sends.tcp_keepalive": None})
    found = broken(judge(waits, slow, nat(350)), Rule.FLOW)

    assert ["may take 400 s to answer" in one.what for one in found] == [True]
    assert broken(judge(waits, slow, nat(401)), Rule.FLOW) == []


@pytest.mark.parametrize(("waits", "needs", "holds"), [(61, 60, True), (60, 60, False), (60, 120, False)])
def test_who_waits_for_an_answer_waits_longer_than_it_takes(waits: float, needs: float, holds: bool) -> None:
    [found] = of(
        Rule.ANSWER,
        judge(hop("proxy", {"sends.response_timeout": waits}), hop("app", {"receives.answer_within": needs})),
    )

    assert isinstance(found, Fine if holds else Broken)
    if isinstance(found, Broken):
        assert (found.severity, found.causes[0]) == (Severity.HARM, "proxy.timeout")


def test_the_slowest_of_those_behind_counts() -> None:
    behind = [hop("proxy", {}), hop("app", {"receives.answer_within": 90})]
    [found] = broken(judged(hop("lb", {"sends.response_timeout": 60}), behind[0], (), behind), Rule.ANSWER)

    assert "app may take 90 s" in found.what
    assert found.remedies[0].after == "95 s"


@pytest.mark.parametrize(
    ("outer", "inner", "holds"), [(75, 60, True), (60, 60, False), (1, 60, False), (None, 60, True)]
)
def test_who_is_in_front_gives_up_last(outer: float | None, inner: float, holds: bool) -> None:
    [found] = of(
        Rule.ANSWER,
        judge(hop("lb", {"sends.response_timeout": outer}), hop("proxy", {"sends.response_timeout": inner})),
    )

    assert isinstance(found, Fine if holds else Broken)
    assert not isinstance(found, Broken) or found.severity is Severity.ADVICE


@pytest.mark.parametrize(
    ("most", "sends", "holds"), [(100, None, False), (1000, None, True), (100, 100, True), (100, 99, True)]
)
def test_a_connection_that_is_counted_out_early(most: float, sends: float | None, holds: bool) -> None:
    receiver = hop("app", {"receives.requests": most})
    [found] = of(Rule.REQUESTS, judge(hop("proxy", {"sends.requests": sends}), receiver))

    assert isinstance(found, Fine if holds else Broken)


def test_what_a_configuration_means_and_does_not_do_is_told() -> None:
    [found] = broken(judge(proxy(60, remarks=("keepalive has no effect",)), app(75)), Rule.REUSE)

    assert found.what == "keepalive has no effect"


@given(TIMES, TIMES, st.floats(0, 1000))
def test_a_longer_timeout_of_the_receiver_never_adds_a_finding(
    keeps: float | None, closes: float | None, more: float
) -> None:
    raised = None if closes is None else closes + more if closes else closes
    before = {one.rule for one in broken(judge(proxy(keeps), app(closes)))}
    after = {one.rule for one in broken(judge(proxy(keeps), app(raised)))}

    assert after <= before


@given(SHORT, SHORT, SHORT, st.lists(SHORT, max_size=2))
def test_the_first_change_cures_and_breaks_nothing_else(
    keeps: float | None, closes: float | None, probes: float | None, forgets: list[float | None]
) -> None:
    requester, receiver = proxy(keeps, probes=probes or None), app(closes)
    between = [nat(one) for one in forgets if one != 0]
    for finding in broken(judge(requester, receiver, *between), Rule.IDLE):
        for remedy in finding.remedies[:1]:
            value = float(remedy.after.removesuffix(" s"))
            side = requester if remedy.hop == "proxy" else receiver
            aspect = Aspect.SENDS_IDLE if side is requester else Aspect.RECEIVES_IDLE
            changed = side.model_copy(update={"settings": side.settings | {aspect: known(value)}})
            now = (changed, receiver) if side is requester else (requester, changed)

            assert broken(judge(*now, *between)) == []
            assert value >= 0


@given(TIMES, TIMES)
def test_fine_means_that_the_requester_is_at_least_a_second_earlier(keeps: float | None, closes: float | None) -> None:
    [found] = of(Rule.IDLE, judge(proxy(keeps), app(closes)))

    if isinstance(found, Fine) and closes:
        assert keeps is not None
        assert keeps + LEAST_MARGIN_S <= closes
