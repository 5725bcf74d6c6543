from __future__ import annotations

from pathlib import Path

import pytest

from tcptune.domain.parameters import ARITY, Parameter, Shape
from tcptune.domain.values import numbers
from tcptune.knowledge import catalogue as module
from tcptune.knowledge.catalogue import catalogue

FILES = sorted((Path(module.__file__).parent / "data" / "parameters").iterdir())

every_parameter = pytest.mark.parametrize("parameter", catalogue().values(), ids=lambda p: p.key)


def test_every_file_of_the_catalogue_is_loaded_under_its_own_name() -> None:
    assert [f"{key}.yml" for key in catalogue()] == [file.name for file in FILES]
    assert len(FILES) >= 13


@every_parameter
def test_every_default_is_a_value_the_setting_may_have(parameter: Parameter) -> None:
    for default in parameter.defaults:
        if default.value is not None:
            assert parameter.mistake(default.value) is None


@every_parameter
def test_every_default_has_a_value_or_says_how_it_is_computed(parameter: Parameter) -> None:
    assert parameter.defaults
    assert all(default.value or default.formula for default in parameter.defaults)


@every_parameter
def test_defaults_stand_newest_first_and_the_last_holds_for_every_older_kernel(parameter: Parameter) -> None:
    since = [default.since for default in parameter.defaults]

    assert since == sorted(set(since), reverse=True)
    assert since[-1] == (0, 0)


@every_parameter
def test_what_is_sensible_is_what_the_kernel_takes(parameter: Parameter) -> None:
    assert parameter.kernel_accepts.min <= parameter.sensible.min <= parameter.sensible.max
    assert parameter.sensible.max <= parameter.kernel_accepts.max


@every_parameter
def test_no_setting_is_accepted_negative(parameter: Parameter) -> None:
    assert parameter.sensible.min >= 0


@every_parameter
def test_every_fact_has_a_source_and_says_how_it_was_verified(parameter: Parameter) -> None:
    assert all(source.strip() for source in parameter.sources)
    assert parameter.verified.strip()


@every_parameter
def test_every_text_a_reader_is_shown_is_there(parameter: Parameter) -> None:
    for text in (parameter.summary, parameter.unit, parameter.effect_note, parameter.risk_note, parameter.since):
        assert text.strip()


@every_parameter
def test_an_enumeration_and_nothing_else_has_meanings_for_its_range(parameter: Parameter) -> None:
    bounds = parameter.sensible
    values = [str(n) for n in range(bounds.min, bounds.max + 1)] if parameter.shape is Shape.ENUM else []

    assert list(parameter.meanings) == values


@every_parameter
def test_a_default_has_as_many_numbers_as_the_setting(parameter: Parameter) -> None:
    for default in parameter.defaults:
        if default.value is not None:
            assert len(numbers(default.value) or ()) == ARITY.get(parameter.shape, 1)


@pytest.mark.parametrize(
    ("key", "release", "value"),
    [
        ("net.core.somaxconn", "4.19.0-27-amd64", "128"),
        ("net.core.somaxconn", "5.10.0-28-amd64", "4096"),
        ("net.ipv4.tcp_tw_reuse", "4.18.0-553.el8", "0"),
        ("net.ipv4.tcp_tw_reuse", "6.1.0-37-amd64", "2"),
        ("net.ipv4.ip_local_port_range", "3.10.0-1160.el7", "32768 61000"),
        ("net.ipv4.ip_local_port_range", "6.1.0-37-amd64", "32768 60999"),
        ("net.ipv4.tcp_syncookies", "6.1.0-37-amd64", "1"),
        ("net.ipv4.tcp_rmem", "6.1.0-37-amd64", None),
    ],
)
def test_defaults_that_changed_between_kernels_are_known(key: str, release: str, value: str | None) -> None:
    assert catalogue()[key].default(release) == value
