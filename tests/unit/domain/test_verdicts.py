from __future__ import annotations

import pytest

from tcptune.domain.findings import Boot
from tcptune.domain.runs import HostState
from tcptune.domain.verdicts import Check, HostVerdict
from tests.unit.builders import SOMAXCONN


def check(actual: str | None = "4096", at_boot: str | None = "4096", *, matters: bool = True) -> Check:
    boot = Boot(value=at_boot, by="kernel default")
    return Check(key=SOMAXCONN, expected="4096", actual=actual, at_boot=boot, boot_matters=matters)


@pytest.mark.parametrize(
    ("one", "ok"),
    [
        (check(), True),
        (check(actual="128"), False),
        (check(actual=None), False),
        (check(at_boot="128"), False),
        (check(at_boot=None), False),
        (check(at_boot="128", matters=False), True),
        (check(actual="128", matters=False), False),
    ],
)
def test_a_setting_is_as_left_only_where_every_layer_that_matters_is(one: Check, ok: bool) -> None:
    assert one.ok is ok


def test_a_host_that_could_not_be_read_is_not_called_fine() -> None:
    assert HostVerdict(host="web1", state=HostState.HELD, checks=(check(),)).ok
    assert not HostVerdict(host="web1", state=HostState.HELD, checks=(check(),), error="no SSH session").ok
    assert not HostVerdict(host="web1", state=HostState.HELD, checks=(check(), check(actual="1"))).ok
