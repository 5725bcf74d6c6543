"""A chain is filled in from products and configurations: who wins, which hops talk to each other, which ways it has."""

from __future__ import annotations

import pytest

from tcptune.domain.chain import Aspect, Chain, Configuration, Hop, Known, Origin, Route, Verified, seconds
from tcptune.domain.chain_verdicts import Rule
from tcptune.knowledge.surroundings import idle_timeouts
from tcptune.knowledge.timeout_chain import products
from tcptune.planning.chain import assess


def declared(value: float | None) -> Known:
    return Known(value=value, origin=Origin.DECLARED, said="chain.yml:3")


def chain(*hops: Hop) -> Chain:
    return Chain(name="shop", origin="chain.yml", hops=hops)


def settled(*hops: Hop) -> tuple[Hop, ...]:
    [way] = assess(chain(*hops), products(), {}).ways
    return way.hops


def route(name: str, upstream: str, idle: float) -> Route:
    settings = {Aspect.SENDS_IDLE: Known(value=idle, origin=Origin.READ, said="nginx.conf:3")}
    return Route(name=name, upstream=upstream, settings=settings, reuse=True, reuse_why="nginx.conf:2: keepalive 16")


def configuration(*routes: Route) -> Configuration:
    return Configuration(product="nginx", origin="nginx.conf", routes=routes)


PROXY, APP = Hop(name="proxy", product="nginx"), Hop(name="app", product="node")


def test_a_product_fills_in_what_the_file_leaves_out_and_says_so() -> None:
    [lb, _] = settled(Hop(name="lb", product="aws-alb"), APP)

    found = lb.settings[Aspect.SENDS_IDLE]
    assert (found.value, found.origin) == (60, Origin.DEFAULT)
    assert found.said.startswith("default of aws-alb: docs.aws.amazon.com")
    assert lb.title == "AWS Application Load Balancer"


def test_what_the_file_says_wins_over_the_product() -> None:
    [proxy, _] = settled(Hop(name="proxy", product="nginx", settings={Aspect.RECEIVES_IDLE: declared(620)}), APP)

    assert proxy.settings[Aspect.RECEIVES_IDLE].value == 620
    assert proxy.settings[Aspect.RESPONSE].value == 60


@pytest.mark.parametrize("aspect", [Aspect.FLOW, Aspect.RECEIVES_IDLE, Aspect.SENDS_IDLE])
def test_a_product_with_one_setting_for_all_takes_it_for_all(aspect: Aspect) -> None:
    [lb, _] = settled(Hop(name="lb", product="aws-alb", settings={aspect: declared(300)}), APP)

    assert {lb.settings[one].value for one in products()["aws-alb"].together} == {300}


def test_a_change_of_one_setting_that_is_several_says_so() -> None:
    slow = Hop(name="app", settings={Aspect.ANSWER: declared(90), Aspect.RECEIVES_IDLE: declared(75)})
    [way] = assess(chain(Hop(name="lb", product="aws-alb"), slow), products(), {}).ways
    [finding] = way.links[0].broken

    assert finding.remedies[0].knob == "idle_timeout.timeout_seconds"
    assert finding.remedies[0].note.startswith("it sets receives.idle_timeout, sends.idle_timeout, too")


def test_an_idle_timeout_of_a_hop_is_that_of_both_its_sides() -> None:
    [proxy, _] = settled(Hop(name="proxy", settings={Aspect.FLOW: declared(45)}), APP)

    assert {aspect: one.value for aspect, one in proxy.settings.items()} == {
        Aspect.RECEIVES_IDLE: 45,
        Aspect.SENDS_IDLE: 45,
    }


def test_a_recalled_default_is_marked() -> None:
    recalled = products()["go-client"].model_copy(update={"verified": Verified.RECALLED})
    hops = chain(Hop(name="client", product="go-client"), APP)
    [way] = assess(hops, {**products(), "go-client": recalled}, {}).ways
    client = way.hops[0]

    assert client.settings[Aspect.SENDS_IDLE].said.endswith("recalled, look it up")


def test_what_a_configuration_does_not_tell_is_not_filled_in_with_a_default() -> None:
    unknown = {Aspect.SENDS_IDLE: "nginx.conf:9: a variable names the upstream"}
    one = route("/", "app", 60).model_copy(update={"settings": {}, "unknown": unknown})
    found = assess(chain(PROXY, APP), products(), {"proxy": configuration(one)})
    [idle] = [judged for judged in found.undecided if judged.rule is Rule.IDLE]

    assert "a variable names the upstream" in idle.why
    written = PROXY.model_copy(update={"settings": {Aspect.SENDS_IDLE: declared(4)}})
    assert assess(chain(written, APP), products(), {"proxy": configuration(one)}).undecided == ()


def test_hops_of_layer_4_lie_between_those_that_talk() -> None:
    nlb = Hop(name="nlb", product="aws-nlb", layer=4)
    [way] = assess(chain(Hop(name="client", product="go-client"), nlb, PROXY, APP), products(), {}).ways

    assert [(link.requester, link.through, link.receiver) for link in way.links] == [
        ("client", ("nlb",), "proxy"),
        ("proxy", (), "app"),
    ]


def test_each_route_of_a_configuration_is_a_way_and_equal_ones_are_one() -> None:
    read = configuration(route("/", "app", 60), route("/a", "app", 60), route("/b", "other", 4))
    found = assess(chain(Hop(name="client", product="go-client"), PROXY, APP), products(), {"proxy": read})

    assert [way.route for way in found.ways] == ["/, /a", "/b"]
    assert [way.hops[1].settings[Aspect.SENDS_IDLE].value for way in found.ways] == [60, 4]
    assert [len(way.links[1].broken) for way in found.ways] == [1, 0]


def test_only_the_upstream_that_a_hop_names_counts() -> None:
    named = PROXY.model_copy(update={"upstream": "other"})
    read = configuration(route("/", "app", 60), route("/b", "other", 4))

    assert [way.route for way in assess(chain(named, APP), products(), {"proxy": read}).ways] == ["/b"]


def test_what_the_file_says_wins_over_the_configuration() -> None:
    told = PROXY.model_copy(update={"settings": {Aspect.SENDS_IDLE: declared(3)}})
    [way] = assess(chain(told, APP), products(), {"proxy": configuration(route("/", "app", 60))}).ways

    assert way.hops[0].settings[Aspect.SENDS_IDLE].value == 3


def test_nginx_opens_a_connection_for_each_request_where_nobody_says_otherwise() -> None:
    [proxy, _] = settled(PROXY, APP)

    assert proxy.reuse is False
    assert "nginx does not unless it is told to" in proxy.reuse_why


def test_haproxy_without_its_configuration_is_not_fine() -> None:
    found = assess(chain(Hop(name="client", product="go-client"), Hop(name="lb", product="haproxy")), products(), {})

    assert "no safe default" in found.undecided[0].why


@pytest.mark.parametrize("name", products())
def test_every_default_is_one_that_its_layer_has_and_has_a_source(name: str) -> None:
    product = products()[name]

    assert product.source
    assert product.verified in Verified
    assert all((aspect is Aspect.FLOW) is (product.layer == 4) for aspect in product.defaults)
    assert all(text == "never" or seconds(text) is not None for text in product.defaults.values())
    assert set(product.fixed) | set(product.together) <= set(product.defaults)


@pytest.mark.parametrize(
    ("name", "product"),
    [
        ("AWS Network Load Balancer", "aws-nlb"),
        ("EC2 security groups on Nitro v6 instances", "aws-security-group"),
        ("Azure Load Balancer", "azure-lb"),
        ("GCP VPC firewall", "gcp-vpc"),
    ],
)
def test_what_is_known_twice_is_known_as_the_same(name: str, product: str) -> None:
    [other] = [one for one in idle_timeouts() if one.name == name]

    assert seconds(products()[product].defaults[Aspect.FLOW]) == other.seconds
