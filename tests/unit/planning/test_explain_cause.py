"""From what a program or a kernel prints to the causes that can make it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tcptune.domain.causes import Advice, Claim
from tcptune.domain.explanation import CauseList, CausePage, Hits
from tcptune.knowledge.catalogue import catalogue
from tcptune.knowledge.causes import advice, causes, claims, errors
from tcptune.knowledge.wording import wording
from tcptune.planning.explain_cause import find_cause, search_causes
from tcptune.workflows.explain import resolve
from tests.fuzz.examples import fuzz
from tests.unit.knowledge.test_causes import KERNEL_SAYS


def errors_of(text: str) -> list[str]:
    found = find_cause(text)
    assert isinstance(found, CauseList), text
    return [error.name for error in found.errors]


@pytest.mark.parametrize("cause", causes())
def test_an_id_leads_to_its_page(cause: str) -> None:
    found = find_cause(f" {cause} ")

    assert isinstance(found, CausePage)
    assert found.cause.id == cause


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("reset", ["ECONNRESET"]),
        ("refused", ["ECONNREFUSED"]),
        ("connection reset by peer", ["ECONNRESET"]),
        ("Connection Refused", ["ECONNREFUSED"]),
        ("ECONNRESET", ["ECONNRESET"]),
        ("econnreset", ["ECONNRESET"]),
        ("104", ["ECONNRESET"]),
        ("EOF", ["EOF"]),
        ("broken pipe", ["EPIPE"]),
        ("dial tcp 10.0.0.9:8080: connect: connection refused", ["ECONNREFUSED"]),
        ("read tcp 10.0.0.5:1->10.0.0.9:2: read: connection reset by peer", ["ECONNRESET"]),
        ("accept4() failed (24: Too many open files)", ["EMFILE"]),
        ("socket: too many open files in system", ["ENFILE"]),
        ("connect() failed (99: Cannot assign requested address)", ["EADDRNOTAVAIL"]),
        ("upstream timed out (110: Connection timed out) while connecting", ["ETIMEDOUT"]),
        ("No route to host", ["EHOSTUNREACH"]),
    ],
)
def test_what_a_program_prints_leads_to_its_error_and_causes(text: str, names: list[str]) -> None:
    found = find_cause(text)

    assert errors_of(text) == names
    assert isinstance(found, CauseList)
    assert {one.id for one in found.causes} == {one.id for one in causes().values() if {*names} & {*one.errors}}


@pytest.mark.parametrize("error", errors(), ids=lambda error: error.name)
def test_each_text_of_an_error_leads_to_it(error: object) -> None:
    found = next(one for one in errors() if one is error)

    for text in found.texts:
        assert found.name in errors_of(text), text


def test_a_line_of_the_kernel_leads_to_its_cause_first() -> None:
    found = find_cause("[12.3] nf_conntrack: nf_conntrack: table full, dropping packet")

    assert isinstance(found, CauseList)
    assert [one.id for one in found.causes] == ["drop.conntrack_full"]


def test_what_is_no_error_of_the_kernel_is_said() -> None:
    found = find_cause("read tcp 10.0.0.9:2: i/o timeout")

    assert isinstance(found, CauseList)
    assert found.errors == ()
    assert found.corrections == ("'i/o timeout': Go's own deadline; the kernel gave nothing up",)


def test_a_line_that_no_kernel_prints_is_said() -> None:
    found = find_cause("tx timeout reset adapter")

    assert isinstance(found, CauseList)
    assert "NETDEV WATCHDOG" in found.corrections[0]


@pytest.mark.parametrize("text", ["", " ", "connection", "zzz", "net.core.somaxconn", "TIME_WAIT", "e", "backlog"])
def test_other_words_lead_to_no_error(text: str) -> None:
    assert find_cause(text) is None


def test_words_are_searched_for_in_the_pages() -> None:
    found = search_causes("slow clients nolinger")
    named = search_causes("haproxy nolinger")

    assert found is None
    assert named is not None
    assert [one.id for one in named.causes] == ["reset.so_linger_zero"]


@fuzz(100)
@given(st.text(max_size=4000))
def test_any_text_has_an_answer(text: str) -> None:
    assert find_cause(text) is None or isinstance(find_cause(text), CauseList | CausePage)
    assert search_causes(text) is None or isinstance(search_causes(text), CauseList)


@pytest.mark.parametrize("claim", claims(), ids=lambda claim: claim.texts[0])
def test_a_claim_that_is_wrong_is_corrected_and_leads_to_what_it_is_said_of(claim: Claim) -> None:
    for text in claim.texts:
        found = find_cause(f"they say: {text.upper()}!")

        assert isinstance(found, CauseList)
        assert any(claim.truth in said for said in found.corrections)
        assert set(claim.causes) <= {one.id for one in found.causes} <= set(causes())


def test_what_programs_and_kernels_really_print_is_no_claim() -> None:
    printed = [
        *(text for error in errors() for text in error.texts),
        *(text for phrase in wording().phrases for text in phrase.texts),
        *(line for lines in KERNEL_SAYS.values() for line in lines),
    ]
    truths = [claim.truth for claim in claims()]

    for text in printed:
        found = find_cause(text)
        said = found.corrections if isinstance(found, CauseList) else ()
        assert not [truth for truth in truths for one in said if truth in one], text


@pytest.mark.parametrize("one", advice(), ids=lambda one: f"{one.language} {one.causes[0]}")
def test_advice_is_of_known_causes_and_on_their_pages(one: Advice) -> None:
    for cause in one.causes:
        found = find_cause(cause)
        assert isinstance(found, CausePage)
        assert one in found.advice


@pytest.mark.parametrize(
    "word", ["pprof goroutine", "exponential backoff", "liveness probes", "Little's law", "HAProxy nolinger"]
)
def test_what_is_only_in_remedies_and_advice_is_found_too(word: str) -> None:
    found = search_causes(word)

    assert found is not None
    assert found.causes


def test_a_line_that_the_kernel_does_print_is_not_called_a_myth() -> None:
    found = find_cause("e1000e 0000:00:1f.6 eth0: NIC Link is Down")

    assert isinstance(found, CauseList)
    assert (found.corrections, [one.id for one in found.causes]) == ((), ["drop.link_flap"])


def test_settings_that_a_word_leads_to_come_with_the_causes_that_speak_of_it() -> None:
    found = resolve("SO_LINGER", catalogue())

    assert isinstance(found, Hits)
    assert found.causes == ("reset.so_linger_zero",)
