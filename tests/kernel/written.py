"""Generate what people and programs write for a setting."""

from __future__ import annotations

from collections.abc import Mapping

from hypothesis import strategies as st

from tcptune.domain.parameters import Parameter, Shape

NUMBERS = [-1, 0, 1, 2, 3, 4, 5, 8, 31, 63, 127, 255, 256, 999, 1000, 1024, 32768, 60999, 65535, 65536]
NUMBERS += [2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**32 + 1, -(2**31), -(2**31) - 1, 2**63, 2**64 - 1, 2**64]


def texts(known: Parameter, release: str) -> st.SearchStrategy[str]:
    """Generate what people and programs write for a setting: mostly numbers near its bounds, spelled in every way."""
    if known.shape is Shape.PORTS:
        return port_lists()
    if known.shape in {Shape.NAME, Shape.NAMES}:
        real = st.sampled_from(
            ["reno", "cubic", "bbr", "Reno", "nosuch", "reno bbr", " reno", "reno ", '"reno"', "", "r" * 20]
        )
        return st.one_of(real, st.text(st.sampled_from("abc_- 1\t"), max_size=18))
    bounds = known.accepted(release).bounds(250)
    assert bounds is not None
    edges = [n + d for n in (bounds.min, bounds.max, known.sensible.min, known.sensible.max) for d in (-1, 0, 1)]
    number = st.one_of(
        st.sampled_from(edges),
        st.integers(known.sensible.min, known.sensible.max),
        st.sampled_from(NUMBERS),
        st.integers(-(2**65), 2**65),
    )
    token = st.one_of(number.map(str), number.map(str), spelled(number))
    if known.arity == 1:
        return st.one_of(token, token, st.lists(token, max_size=3).flatmap(joined))
    ordered = st.lists(st.integers(1, known.sensible.max), min_size=known.arity, max_size=known.arity).map(
        lambda ns: " ".join(map(str, sorted(ns)))
    )
    return st.one_of(ordered, st.lists(token, max_size=known.arity + 1).flatmap(joined))


def spelled(number: st.SearchStrategy[int]) -> st.SearchStrategy[str]:
    forms = [
        "{:#x}",
        "{:#X}",
        "0{:o}",
        "0{}",
        "{:022}",
        "{:020}",
        "{}s",
        "{}.5",
        "+{}",
        '"{}"',
        "{},",
        "{}#",
        "{}\r",
        "{} ",
        " {}",
        "\v{}",
        "{}\t",
        "{}\n",
        "\xa0{}",
        "-{}",
        "{}e3",
        "0x",
        "08",
        "-",
        "yes",
        "#{}",
    ]
    return st.builds(lambda form, n: form.format(n), st.sampled_from(forms), number)


def joined(tokens: list[str]) -> st.SearchStrategy[str]:
    return st.sampled_from([" ", "\t", "  ", "\n", ", ", ","]).map(lambda between: between.join(tokens))


def port_lists() -> st.SearchStrategy[str]:
    port = st.one_of(st.integers(0, 65535), st.sampled_from([0, 1, 8080, 8081, 8082, 65535, 65536, -1]))
    word = st.one_of(
        port.map(str),
        st.tuples(port, port).map(lambda ends: f"{min(ends)}-{max(ends)}"),
        st.tuples(port, port).map(lambda ends: f"{ends[0]}-{ends[1]}"),
        st.sampled_from(["", "0x1f90", "010", "08", " 80", "80 ", "80-", "-80", "a", "1-2-3", "80\n", "\n80"]),
    )
    plain = st.lists(st.integers(1, 65535).map(str), min_size=1, max_size=8).map(",".join)
    return st.one_of(plain, st.lists(word, max_size=6).map(",".join))


def setups(known: Parameter) -> st.SearchStrategy[Mapping[str, str]]:
    """Generate values of the settings that limit this one."""
    return st.fixed_dictionaries({}, optional={limit.key: st.integers(1, 2000).map(str) for limit in known.limits})
