"""The drawing of a chain, beside what it is to look like."""

from __future__ import annotations

import pytest

from tcptune.domain.chain import Aspect, Chain, Configuration, Hop, Known, Origin, ProductList, Route
from tcptune.domain.chain_verdicts import ChainReport
from tcptune.knowledge.timeout_chain import products
from tcptune.planning.chain import assess
from tcptune.reports import FORMATS
from tests.unit.conftest import Golden

SUFFIX = {"terminal": "txt", "markdown": "md", "json": "json"}


def read(value: float | None, said: str) -> Known:
    return Known(value=value, origin=Origin.READ, said=said)


def result() -> ChainReport:
    def at(line: int, value: float | None) -> Known:
        return Known(value=value, origin=Origin.DECLARED, said=f"shop.yml:{line}")

    hops = (
        Hop(name="client", settings={Aspect.SENDS_IDLE: at(4, 30), Aspect.SENDS_KEEPALIVE: at(5, None)}),
        Hop(name="nat", settings={Aspect.FLOW: at(8, 20)}, layer=4),
        Hop(name="lb", product="aws-alb"),
        Hop(name="proxy", product="nginx"),
        Hop(name="app", product="tomcat", settings={Aspect.ANSWER: at(15, 90)}),
    )
    routes = (
        Route(
            name="shop.example /",
            upstream="app",
            settings={Aspect.SENDS_IDLE: read(60, "nginx.conf:5"), Aspect.RESPONSE: read(120, "nginx.conf:9")},
            reuse=True,
            reuse_why="nginx.conf:4: keepalive 16",
        ),
        Route(
            name="shop.example /api",
            upstream="app",
            settings={},
            reuse=False,
            reuse_why="nginx.conf:14: proxy_http_version 1.1 is missing",
            remarks=("nginx.conf:4: keepalive has no effect for nginx.conf:14 without proxy_http_version 1.1",),
        ),
    )
    nginx = Configuration(
        product="nginx", origin="nginx.conf", routes=routes, notes=("the stream block is not judged",)
    )
    return assess(Chain(name="shop", origin="shop.yml", hops=hops), products(), {"proxy": nginx})


def over_http2() -> ChainReport:
    def at(line: int, value: float | None) -> Known:
        return Known(value=value, origin=Origin.DECLARED, said=f"orders.yml:{line}")

    sends = {Aspect.PING: at(4, 30), Aspect.SENDS_IDLE: at(4, 600), Aspect.RESPONSE: at(4, 120)}
    receives = {Aspect.RECEIVES_IDLE: at(9, 300), Aspect.AGE: at(9, 1800), Aspect.GRACE: at(9, 30)}
    hops = (
        Hop(name="client", product="grpc-client", settings=sends),
        Hop(name="nlb", product="aws-nlb", layer=4),
        Hop(name="orders", product="grpc", settings=receives),
    )
    return assess(Chain(name="orders", origin="orders.yml", hops=hops), products(), {})


@pytest.mark.parametrize("format_", FORMATS)
def test_a_chain_of_grpc_reads_like_this(format_: str, golden: Golden) -> None:
    golden(f"reports/timeouts_http2.{SUFFIX[format_]}", FORMATS[format_](over_http2()))


@pytest.mark.parametrize("format_", FORMATS)
def test_a_chain_reads_like_this(format_: str, golden: Golden) -> None:
    text = FORMATS[format_](result())

    golden(f"reports/timeouts.{SUFFIX[format_]}", text)
    assert text.endswith("\n")
    assert not text.endswith("\n\n")


def test_nothing_is_lost_in_json() -> None:
    assert ChainReport.model_validate_json(FORMATS["json"](result())) == result()


@pytest.mark.parametrize("format_", ["terminal", "markdown"])
def test_products_are_listed_with_defaults_and_doubts(format_: str) -> None:
    text = FORMATS[format_](ProductList(products=tuple(products().values())))

    assert all(name in text for name in products())
    assert "recalled" in text
    assert "idle_timeout.timeout_seconds" in text
