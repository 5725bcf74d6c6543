"""Every page of the catalogue is complete, and agrees with itself."""

from __future__ import annotations

import time
from fnmatch import fnmatchcase
from pathlib import Path

import jinja2.sandbox
import pytest
import yaml

from tcptune.domain import strict
from tcptune.domain.kernel_values import Stored, stored
from tcptune.domain.parameters import NUMERIC, Effect, Parameter, Risk, Shape, Storage, View
from tcptune.knowledge import catalogue as module
from tcptune.knowledge.catalogue import catalogue

RELEASES = ("4.9", "4.19", "5.10", "6.1", "6.12", "6.18")
STRANDING = (
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.tcp_mem",
    "net.ipv4.conf.all.rp_filter",
    "net.ipv4.conf.all.arp_ignore",
    "net.ipv4.ip_forward",
    "net.ipv6.conf.all.disable_ipv6",
    "net.netfilter.nf_conntrack_max",
    "net.ipv4.tcp_max_tw_buckets",
    "fs.nr_open",
    "fs.file-max",
    "vm.min_free_kbytes",
)


def pages() -> list[Parameter]:
    return list(catalogue().values())


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.key)
def test_a_page_is_complete(page: Parameter) -> None:
    for field in ("summary", "range_note", "introduced", "namespace_note", "effect_note", "risk_note"):
        text = getattr(page, field)
        assert text.strip(), field
    assert page.symptoms, "no symptom"
    assert page.couplings, "no coupling"
    assert page.sources
    assert not page.summary.endswith(".")
    assert page.risk_note.endswith((".", ")")) or len(page.risk_note) > 20
    assert len(page.elements) == (page.arity if page.arity > 1 else 0)
    assert bool(page.meanings) or page.shape not in {Shape.BOOL, Shape.ENUM}
    assert all(myth.claim and myth.correction for myth in page.myths)


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.key)
def test_a_page_agrees_with_itself(page: Parameter) -> None:
    for newer_first in (page.accepts, page.defaults, page.in_child):
        since = [one.since.number for one in newer_first]
        assert since == sorted(since, reverse=True)
    assert (page.accepts[0].storage is Storage.NOTHING) == page.read_only
    assert (page.effect is Effect.NEVER) >= page.read_only
    if page.shape in NUMERIC and not page.read_only:
        bounds = page.kernel_accepts
        assert bounds.min <= page.sensible.min <= page.sensible.max <= bounds.max
    if page.in_child[0].view is View.WRITABLE:
        assert page.namespaced_since is not None
    if page.key.startswith("net.netfilter."):
        assert page.module == "nf_conntrack"


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.key)
def test_a_kernel_would_take_its_own_default_and_so_would_we(page: Parameter) -> None:
    for release in RELEASES:
        here = page.at(release)
        if here.missing is None and here.default is not None and here.default.value is not None:
            assert stored(page, here.default.value, kernel=release) == Stored(text=here.default.value)
            assert strict.mistakes(page, here.default.value) == ()


@pytest.mark.parametrize("page", [p for p in pages() if any(d.formula for d in p.defaults)], ids=lambda page: page.key)
def test_a_formula_gives_a_value_of_the_right_length(page: Parameter) -> None:
    environment = jinja2.sandbox.ImmutableSandboxedEnvironment(undefined=jinja2.StrictUndefined)
    for default in page.defaults:
        if default.formula is None:
            continue
        assert default.words, "a formula wants words as well"
        for memory in (512 << 20, 2 << 30, 24 << 30, 1 << 40):
            value = environment.compile_expression(default.formula)(
                memory_bytes=memory,
                page_size_bytes=4096,
                cpus=8,
                max=max,
                min=min,
                round_up_pow2=lambda number: 1 << (number - 1).bit_length(),
            )
            assert len(value if isinstance(value, list) else [value]) == page.arity


def test_what_can_strand_a_host_is_called_so() -> None:
    assert {key: catalogue()[key].risk for key in STRANDING} == dict.fromkeys(STRANDING, Risk.HIGH)


def test_limits_name_keys_of_the_catalogue() -> None:
    unknown = {
        limit.key
        for page in pages()
        for limit in page.limits
        if limit.key not in catalogue() and limit.key != "net.ipv4.tcp_max_reordering"
    }
    assert not unknown


def test_a_write_order_holds_from_both_sides() -> None:
    opposite = {"before": "after", "after": "before"}
    missing = [
        f"{page.key} {order.position} {order.other}"
        for page in pages()
        for order in page.write_order
        if (other := catalogue().get(order.other))
        and not any(
            fnmatchcase(page.key, back.other) and back.position == opposite[order.position]
            for back in other.write_order
        )
    ]
    assert not missing


def test_one_page_is_read_without_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    genuine = module._load
    monkeypatch.setattr(module, "_load", lambda text: read.append(text[:40]) or genuine(text))
    fresh = module._Catalogue()

    assert len(fresh) == 110
    assert "net.core.somaxconn" in fresh
    assert fresh["net.core.somaxconn"].summary
    assert len(read) == 1


def test_all_pages_load_in_a_blink() -> None:
    started = time.process_time()
    assert len(list(module._Catalogue().values())) == 110
    # 40 ms on the machine this was written on; the rest is for slower ones.
    assert time.process_time() - started < 0.5


def test_the_data_names_no_input_of_ours() -> None:
    folder = Path(str(module._DATA)) / "parameters"
    for file in folder.glob("*.yml"):
        text = file.read_text(encoding="utf-8")
        assert ".txt" not in text, file.name
        assert "seed" not in text.lower(), file.name
        assert yaml.safe_load(text)["key"] == file.stem
