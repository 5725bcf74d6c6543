"""The part of a host's page that `facts --evidence` adds, made of what hosts really said."""

from __future__ import annotations

import pytest

from tcptune.domain.facts import HostFacts, Value
from tcptune.probes import EVIDENCE
from tcptune.reports import host_page
from tests.unit.builders import facts
from tests.unit.conftest import GOLDEN, Golden

ROOT_ON_DEBIAN = {
    "sockets": "debian-12-root",
    "pressure": "linux-6.18",
    "drops": "linux-6.18",
    "kernel_log": "dmesg-with-every-message",
}
OLD_AND_SMALL = {
    "sockets": "too-many-sockets-to-look-for-owners",
    "pressure": "linux-3.10",
    "drops": "linux-4.9-short-rows",
    "kernel_log": "journal-of-a-quiet-kernel",
}
ELSEWHERE = {
    "sockets": "busybox-without-ss",
    "pressure": "child-namespace",
    "drops": "child-namespace-with-the-machines-sys",
}


def told(samples: dict[str, str], **gaps: str) -> HostFacts:
    said = {
        name: EVIDENCE[name].parse([line for line in (GOLDEN / name / f"{sample}.txt").read_text().split("\n") if line])
        for name, sample in samples.items()
    }
    span = {
        "net.ipv4.ip_local_port_range": Value(text="32768 60999", writable=True),
        "net.ipv4.ip_local_reserved_ports": Value(text="", writable=True),
    }
    return facts("web1").model_copy(update={**said, "gaps": gaps, "sysctl": span})


@pytest.mark.parametrize(
    ("name", "one"),
    [
        ("everything", told(ROOT_ON_DEBIAN)),
        ("an-old-kernel-with-many-sockets", told(OLD_AND_SMALL)),
        ("a-login-that-sees-little", told(ELSEWHERE, kernel_log="this login may read neither")),
    ],
)
def test_evidence_has_a_place_on_the_page_of_its_host(golden: Golden, name: str, one: HostFacts) -> None:
    golden(f"reports/evidence/{name}.txt", host_page.render(one))


def test_a_process_cannot_steer_the_terminal_by_its_name() -> None:
    one = told(ROOT_ON_DEBIAN)
    assert one.sockets is not None
    owner = one.sockets.owners[0].model_copy(update={"name": "\x1b[2J"})
    page = host_page.render(one.model_copy(update={"sockets": one.sockets.model_copy(update={"owners": (owner,)})}))

    assert "\x1b" not in page
    assert "[2J" in page


def test_a_page_without_evidence_says_nothing_of_it() -> None:
    assert "sockets, as" not in host_page.render(facts("web1"))


def test_pages_of_a_size_that_is_not_known_are_no_bytes() -> None:
    one = told(ROOT_ON_DEBIAN)
    unknown = one.model_copy(update={"system": one.system.model_copy(update={"page_size_bytes": None})})

    assert "TCP has" in host_page.render(one)
    assert "TCP has" not in host_page.render(unknown)
