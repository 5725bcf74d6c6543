"""From the name of a counter to what it counts, and what it is a sign of."""

from __future__ import annotations

import pytest

from tcptune.knowledge.catalogue import catalogue
from tcptune.knowledge.counters import counters
from tcptune.planning.explain_counter import find_counter
from tcptune.workflows.explain import cause_of


@pytest.mark.parametrize("name", counters())
def test_each_of_its_names_leads_to_it_and_to_nothing_else(name: str) -> None:
    for spelt in counters()[name].names:
        found = find_counter(f" {spelt} ", catalogue())
        assert found is not None
        assert found.counter.name == name


@pytest.mark.parametrize("word", ["tcpextlistenoverflows", "TCPEXT.LISTENOVERFLOWS"])
def test_a_full_name_may_be_spelt_anyhow(word: str) -> None:
    found = find_counter(word, catalogue())

    assert found is not None
    assert found.counter.name == "TcpExt.ListenOverflows"


@pytest.mark.parametrize("word", ["tw", "listenoverflows", "overflow", "", "dropped", "net.core.somaxconn"])
def test_another_word_is_no_counter(word: str) -> None:
    assert find_counter(word, catalogue()) is None


def test_it_knows_the_causes_and_settings_that_speak_of_it() -> None:
    found = find_counter("ListenOverflows", catalogue())

    assert found is not None
    assert {"listen.accept_queue_overflow", "limit.emfile"} <= {one.id for one in found.causes}
    assert "net.core.somaxconn" in found.settings


def test_a_counter_goes_before_settings_that_mention_it_and_behind_none() -> None:
    assert cause_of("OutRsts", catalogue()) == find_counter("OutRsts", catalogue())
    # A level of its own, and no counter: the setting of that name comes first.
    assert cause_of("net.netfilter.nf_conntrack_count", catalogue()) is None
