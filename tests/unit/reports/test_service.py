"""A probe's report, beside what it is to look like."""

from __future__ import annotations

import pytest

from tcptune.domain.service import Error, ServiceReport, Stage, StageResult, Try, target
from tcptune.knowledge.service_errors import service_errors
from tcptune.planning.service import summary
from tcptune.reports import FORMATS
from tests.unit.conftest import Golden

SUFFIX = {"terminal": "txt", "markdown": "md", "json": "json"}


def result() -> ServiceReport:
    def stages(*rows: tuple[Stage, float, Error | None, str]) -> tuple[StageResult, ...]:
        return tuple(StageResult(stage=stage, ms=ms, error=error, said=said) for stage, ms, error, said in rows)

    targets = [target("https://shop.example/health"), target("db.example:5432"), target("none.example:80")]
    dns = (Stage.DNS, 0.8, None, "")
    connect, tls = (Stage.CONNECT, 11.5, None, ""), (Stage.TLS, 24.25, None, "")
    reset = (Stage.HTTP, 3.0, Error.RESET, "Connection reset by peer")
    tries = [
        *(Try(target=at, round=0, stages=stages(dns), addresses=2, left_off=at) for at in (0, 1)),
        Try(target=2, round=0, stages=stages((Stage.DNS, 2, Error.NAME_NOT_FOUND, "Name or service not known"))),
        *(
            Try(
                target=0,
                round=at,
                address="192.0.2.1",
                stages=stages(connect, tls, reset if at == 2 else (Stage.HTTP, 30.0 + at, None, "")),
                syn_retransmits=0,
            )
            for at in range(3)
        ),
        Try(
            target=0,
            round=0,
            address="2001:db8::1",
            stages=stages((Stage.CONNECT, 1014.5, None, ""), (Stage.TLS, 5, Error.TLS_ALERT, "handshake_failure")),
            syn_retransmits=1,
        ),
        Try(
            target=1,
            round=0,
            address="192.0.2.9",
            stages=stages((Stage.CONNECT, 0.1, Error.NO_LOCAL_PORT, "Cannot assign requested address")),
        ),
    ]
    return summary(targets, tries, service_errors(), count=3, origin="web1")


@pytest.mark.parametrize("format_", FORMATS)
def test_a_probe_reads_like_this(format_: str, golden: Golden) -> None:
    text = FORMATS[format_](result())

    golden(f"reports/probe.{SUFFIX[format_]}", text)
    assert text.endswith("\n")
    assert not text.endswith("\n\n")


def test_nothing_is_lost_in_json() -> None:
    assert ServiceReport.model_validate_json(FORMATS["json"](result())) == result()
