"""Hops that speak HTTP/2: who does, what GOAWAY makes of an idle connection, of an old one, and of too many PINGs."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tcptune.domain.chain import Aspect, Chain, Hop, Product, Verified
from tcptune.domain.chain_verdicts import Broken, Fine, Judged, NotJudged, Rule, Way
from tcptune.domain.concerns import Severity
from tcptune.knowledge.timeout_chain import products
from tcptune.planning.chain import assess
from tcptune.planning.chain_http2 import nonsense, spoken
from tests.unit.planning.test_chain_rules import hop, judge, known, nat, of

PERIODS = st.floats(1, 10_000).map(lambda value: float(f"{value:.6g}"))


def client(settings: dict[str, float | None], **more: Any) -> Hop:
    return hop("client", {"sends.idle_timeout": 60, **settings}, sends_http2=True, **more)


def app(settings: dict[str, float | None], **more: Any) -> Hop:
    return hop("app", {"receives.idle_timeout": None, **settings}, receives_http2=True, **more)


def way(*hops: Hop) -> Way:
    [found] = assess(Chain(name="shop", origin="chain.yml", hops=hops), products(), {}).ways
    return found


def only(rule: Rule, found: tuple[Judged, ...]) -> Judged:
    [one] = of(rule, found)
    return one


@pytest.mark.parametrize(
    ("one", "other", "both"),
    [
        (Hop(name="a", sends_http2=True), Hop(name="b"), True),
        (Hop(name="a"), Hop(name="b", receives_http2=True), True),
        (Hop(name="a", product="grpc-client"), Hop(name="b", product="nginx"), True),
        (Hop(name="a", product="envoy"), Hop(name="b", product="grpc-go"), True),
        (Hop(name="a", product="go-client"), Hop(name="b", product="nginx"), False),
        (Hop(name="a", receives_http2=True), Hop(name="b", sends_http2=True), False),
    ],
)
def test_two_hops_speak_http2_where_one_of_them_says_so(one: Hop, other: Hop, both: bool) -> None:
    between = Hop(name="nat", layer=4)

    first, _, last = spoken((one, between, other), products())

    assert (first.sends_http2, last.receives_http2) == (both, both)


def test_a_grpc_server_speaks_to_its_database_what_it_spoke() -> None:
    _, server, _ = spoken((Hop(name="c"), Hop(name="app", product="grpc"), Hop(name="db", product="mysql")), products())

    assert (server.receives_http2, server.sends_http2) == (True, False)


@pytest.mark.parametrize(
    ("hops", "at", "key", "why"),
    [
        (
            (Hop(name="a", sends_http2=True), Hop(name="b", receives_http2=False)),
            0,
            ("sends", "http2"),
            "a speaks HTTP/2 to b, which takes HTTP/1.1",
        ),
        (
            (Hop(name="a", product="grpc-client"), Hop(name="b", receives_http2=False)),
            1,
            ("receives", "http2"),
            "a speaks HTTP/2 to b, which takes HTTP/1.1",
        ),
        (
            (Hop(name="a"), Hop(name="b", product="grpc", receives_http2=False)),
            1,
            ("receives", "http2"),
            "grpc speaks HTTP/2 alone there",
        ),
        (
            (hop("a", {"sends.ping": 30}), Hop(name="b")),
            0,
            ("sends", "ping"),
            "sends.ping is of HTTP/2, which a does not speak there",
        ),
        (
            (Hop(name="a"), hop("b", {"receives.age_grace": 30})),
            1,
            ("receives", "age_grace"),
            "receives.age_grace is of HTTP/2, which b does not speak there",
        ),
    ],
)
def test_what_cannot_be_is_told_once_with_its_place(
    hops: tuple[Hop, ...], at: int, key: tuple[str, str], why: str
) -> None:
    assert list(nonsense(hops, products())) == [(at, key, why)]


def test_what_can_be_is_no_nonsense() -> None:
    old = hop("b", {"receives.max_age": 3600})

    assert list(nonsense((Hop(name="a"), old), products())) == []
    assert list(nonsense((client({"sends.ping": 30}), Hop(name="b")), products())) == []


def test_the_race_of_an_idle_connection_is_advice_over_http2_and_harm_without() -> None:
    sends, receives = client({"sends.idle_timeout": 90}), app({"receives.idle_timeout": 75})
    plain = (sends.model_copy(update={"sends_http2": False}), receives)

    over = only(Rule.IDLE, judge(sends, receives))
    without = only(Rule.IDLE, judge(*plain))

    assert isinstance(over, Broken)
    assert isinstance(without, Broken)
    assert (over.severity, without.severity) == (Severity.ADVICE, Severity.HARM)
    assert "GOAWAY" in over.effect
    assert over.remedies == without.remedies


def test_few_requests_on_a_connection_end_it_with_goaway() -> None:
    [found] = of(Rule.REQUESTS, judge(client({}), app({"receives.requests": 100})))

    assert isinstance(found, Broken)
    assert found.effect.startswith("GOAWAY")


@pytest.mark.parametrize(
    ("grace", "answer", "waits", "holds"),
    [
        (30, 20, None, True),
        (30, 30, None, True),
        (30, 120, None, False),
        (30, 120, 25, True),
        (30, None, 60, False),
        (30, None, None, False),
        (None, None, None, True),
        (0, 5, None, False),
    ],
)
def test_requests_end_before_an_old_connection_is_cut(
    grace: float | None, answer: float | None, waits: float | None, holds: bool
) -> None:
    receiver = app({"receives.max_age": 1800, "receives.age_grace": grace, "receives.answer_within": answer})

    found = only(Rule.AGE, judge(client({"sends.response_timeout": waits}), receiver))

    assert isinstance(found, Fine if holds else Broken)
    if isinstance(found, Broken):
        assert found.severity is Severity.HARM
        assert any("receives.age_grace" in said for said in found.evidence)


def test_the_grace_that_is_proposed_is_long_enough() -> None:
    requester = client({"sends.response_timeout": 120})
    found = only(Rule.AGE, judge(requester, app({"receives.max_age": 60, "receives.age_grace": 5})))
    assert isinstance(found, Broken)
    [change] = found.remedies

    after = app({"receives.max_age": 60, "receives.age_grace": float(change.after.removesuffix(" s"))})
    assert isinstance(only(Rule.AGE, judge(requester, after)), Fine)


@pytest.mark.parametrize(
    "settings",
    [
        {"receives.max_age": None, "receives.age_grace": 5},
        {"receives.max_age": 60},
        {"receives.max_age": 60, "receives.age_grace": 5},
    ],
)
def test_an_age_is_judged_only_where_all_is_known(settings: dict[str, float | None]) -> None:
    assert of(Rule.AGE, judge(client({}), app(settings))) == []


@pytest.mark.parametrize(
    ("every", "apart", "holds"), [(30, 300, False), (300, 300, True), (30, 0, True), (30, 20, True)]
)
def test_pings_do_not_come_more_often_than_permitted(every: float, apart: float, holds: bool) -> None:
    found = only(Rule.PINGS, judge(client({"sends.ping": every}), app({"receives.pings_apart": apart})))

    assert isinstance(found, Fine if holds else Broken)
    if isinstance(found, Broken):
        assert found.severity is Severity.HARM
        assert "too_many_pings" in found.effect


def test_a_server_that_permits_no_pings_is_not_told_to_the_client_as_a_number() -> None:
    receiver = app({"receives.idle_pings_apart": None})

    found = only(Rule.PINGS, judge(client({"sends.idle_timeout": None, "sends.idle_ping": 30}), receiver))

    assert isinstance(found, Broken)
    assert "permits none" in found.what
    assert [one.hop for one in found.remedies] == ["app"]


def test_what_a_server_permits_has_to_be_known() -> None:
    found = only(Rule.PINGS, judge(client({"sends.ping": 30}), app({})))

    assert isinstance(found, NotJudged)
    assert "app: receives.pings_apart is not known" in found.why


def test_a_connection_that_is_closed_before_sends_no_idle_ping() -> None:
    receiver = app({"receives.idle_timeout": 20, "receives.idle_pings_apart": 7200})

    assert isinstance(only(Rule.PINGS, judge(client({"sends.idle_ping": 30}), receiver)), Fine)


def test_no_ping_is_no_finding() -> None:
    assert of(Rule.PINGS, judge(client({"sends.ping": None, "sends.idle_ping": None}), app({}))) == []


def test_pings_are_not_judged_where_http2_is_not_spoken() -> None:
    plain = client({"sends.ping": 30}).model_copy(update={"sends_http2": False})

    assert of(Rule.PINGS, judge(plain, app({"receives.pings_apart": 300}))) == []


@pytest.mark.parametrize(("forgets", "first"), [(None, "client"), (350.0, "client"), (200.0, "app")])
def test_pings_that_something_on_the_way_needs_are_to_be_permitted_first(forgets: float | None, first: str) -> None:
    between = [] if forgets is None else [nat(forgets)]
    sends = client({"sends.ping": 30, "sends.tcp_keepalive": None})
    receives = app({"receives.pings_apart": 300, "receives.tcp_keepalive": None})

    found = only(Rule.PINGS, judge(sends, receives, *between))

    assert isinstance(found, Broken)
    assert found.remedies[0].hop == first


@given(PERIODS, PERIODS)
def test_each_change_of_pings_cures(every: float, apart: float) -> None:
    sends, receives = client({"sends.ping": every}), app({"receives.pings_apart": apart})
    found = only(Rule.PINGS, judge(sends, receives))

    for change in found.remedies if isinstance(found, Broken) else ():
        value = known(float(change.after.removesuffix(" s")))
        side, aspect = (sends, Aspect.PING) if change.hop == "client" else (receives, Aspect.PINGS_APART)
        changed = side.model_copy(update={"settings": side.settings | {aspect: value}})
        now = (changed, receives) if change.hop == "client" else (sends, changed)
        assert isinstance(only(Rule.PINGS, judge(*now)), Fine)


@pytest.mark.parametrize(("idle_ping", "holds"), [(60, True), (349, True), (350, False), (None, False)])
def test_an_idle_ping_keeps_what_is_between_from_forgetting(idle_ping: float | None, holds: bool) -> None:
    sends = client({"sends.idle_timeout": None, "sends.tcp_keepalive": None, "sends.idle_ping": idle_ping})
    receives = app({"receives.tcp_keepalive": None, "receives.idle_pings_apart": 0})

    found = only(Rule.FLOW, judge(sends, receives, nat(350)))

    assert isinstance(found, Fine if holds else Broken)


@pytest.mark.parametrize(("ping", "holds"), [(60, True), (None, False)])
def test_a_ping_keeps_a_slow_answer_alive(ping: float | None, holds: bool) -> None:
    sends = client({"sends.tcp_keepalive": None, "sends.ping": ping})
    receives = app({"receives.tcp_keepalive": None, "receives.answer_within": 900, "receives.pings_apart": 0})

    found = [one for one in of(Rule.FLOW, judge(sends, receives, nat(350))) if isinstance(one, Broken)]

    assert (found == []) is holds


def test_a_default_of_http1_is_no_answer_for_http2() -> None:
    found = way(client({}), Hop(name="app", product="tomcat"))

    assert Aspect.RECEIVES_IDLE not in found.hops[1].settings
    idle = only(Rule.IDLE, found.links[0].judged)
    assert isinstance(idle, NotJudged)
    assert "what Apache Tomcat does over HTTP/2 is not known here" in idle.why


def test_what_is_known_of_http2_takes_the_place_of_other_defaults_on_that_side_alone() -> None:
    over = way(client({}), Hop(name="app", product="node")).hops[1].settings[Aspect.RECEIVES_IDLE]
    plain = way(Hop(name="c"), Hop(name="app", product="node")).hops[1].settings[Aspect.RECEIVES_IDLE]
    proxy = way(Hop(name="c"), Hop(name="proxy", product="nginx", sends_http2=True), Hop(name="app")).hops[1]

    assert (over.value, plain.value) == (None, 5)
    assert "http2.createServer" in over.said
    assert proxy.knobs[Aspect.RESPONSE] == "grpc_read_timeout"
    assert Aspect.AGE not in proxy.settings


def test_what_is_recalled_of_http2_is_marked() -> None:
    found = way(Hop(name="c", product="go-client", sends_http2=True), Hop(name="app"))

    assert found.hops[0].settings[Aspect.PING].said.endswith("recalled, look it up")
    assert not found.hops[0].settings[Aspect.SENDS_IDLE].said.endswith("look it up")


@pytest.mark.parametrize("product", products().values(), ids=products())
def test_what_is_known_of_http2_has_a_source_and_belongs_to_a_side(product: Product) -> None:
    spoken_sides = tuple(f"{side}." for side in product.only_http2)

    assert not product.only_http2 or all(aspect.startswith(spoken_sides) for aspect in product.defaults)
    if product.http2 is not None:
        assert product.http2.source
        assert product.http2.verified in Verified
        assert product.layer == 7
        assert not product.only_http2
        told = {*product.http2.defaults, *product.http2.knobs}
        assert all(aspect.startswith(("receives.", "sends.")) for aspect in told)


@pytest.mark.parametrize("server", ["grpc", "grpc-go", "grpc-java"])
def test_keepalive_of_a_grpc_client_against_a_server_that_nobody_told_breaks(server: str) -> None:
    impatient = hop("client", {"sends.ping": 30, "sends.idle_timeout": 60}, product="grpc-go-client")

    found = way(impatient, Hop(name="app", product=server))

    [pings] = [one for one in found.links[0].broken if one.rule is Rule.PINGS]
    assert [one.after for one in pings.remedies] == ["300 s", "30 s"]
