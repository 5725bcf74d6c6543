"""What the kernel stores for a text: a model of its sysctl handlers. Pure, and checked against a running kernel.

written         an int key holds      because
10 20           10                    surplus tokens are ignored; a comment behind the number, too
010, 0x10       8, 16                 C number bases
1000 (ms)       1000; 1001 -> 1004    times in jiffies are rounded up to a tick (here HZ=250)
5s, 5,6         refused               only space, tab and newline may follow a number
4096 8192       4096 8192 and the     a vector takes fewer numbers, and then changes the leading ones only
                third as it was
4096 abc        refused, but the      the numbers before the bad one are stored all the same (not so in
                first is changed      ip_local_port_range)
(a lone newline)  refused             except for port lists and names
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal

from tcptune.domain.facts import kernel_version
from tcptune.domain.parameters import (
    INT_MAX,
    UINT_MAX,
    ULONG_MAX,
    USUAL_HZ,
    Accepts,
    Bounds,
    Parameter,
    Shape,
    Storage,
)
from tcptune.domain.values import Frozen

_SPACES = " \t\n\v\f\r\xa0"
"""What the kernel skips before a number."""
_ENDS = " \t\n"
"""What it lets follow one."""
_LONGEST_NUMBER = 21
"""A number, sign and prefix included, has fewer characters than this; leading zeros count."""
_LONGEST_NAME = 15
_PAGE = 4096
_AVAILABLE = "net.ipv4.tcp_available_congestion_control"
_ALLOWED = "net.ipv4.tcp_allowed_congestion_control"


class Stored(Frozen):
    """The kernel takes the text and holds this."""

    text: str
    """As it reads back, with single spaces."""
    whole: bool = True
    """False where the text gives only the leading numbers and the others are not known."""


class Refused(Frozen):
    """The write fails."""

    errno: Literal["EINVAL", "ENOENT", "EPERM", "EACCES"]
    why: str
    leaves: str | None = None
    """What the key holds then, where that is not what it held before: a vector keeps the numbers that were read."""


class _Bad(Exception):
    def __init__(self, why: str, errno: Literal["EINVAL", "ENOENT", "EPERM", "EACCES"] = "EINVAL") -> None:
        super().__init__(why)
        self.why, self.errno = why, errno


def stored(
    parameter: Parameter,
    text: str,
    *,
    kernel: str,
    hz: int = USUAL_HZ,
    current: str | None = None,
    peers: Mapping[str, str] | None = None,
    in_child: bool = False,
) -> Stored | Refused:
    """Say what a kernel of that release holds after `text` and a newline were written.

    `hz` is its timer rate, `current` the value before (wanted where a vector is given fewer numbers than it has),
    `peers` other keys' values, for bounds that depend on them. `in_child`: the write comes from a child namespace.
    """
    accepts = parameter.accepted(kernel)
    data = f"{text}\n"[: _PAGE - 1]
    try:
        match accepts.storage:
            case Storage.NOTHING:
                return Refused(errno="EACCES", why="it can only be read")
            case Storage.PORTS:
                return Stored(text=_port_list(data))
            case Storage.NAME:
                return Stored(text=_name(parameter, data, peers or {}, in_child=in_child))
            case Storage.NAMES:
                return Stored(text=_names(data, peers or {}))
            case _:
                return _numbers(parameter, accepts, data, kernel=kernel, hz=hz, current=current, peers=peers or {})
    except _Bad as refusal:
        return Refused(errno=refusal.errno, why=refusal.why)


def equal(parameter: Parameter, a: str, b: str, *, kernel: str, hz: int = USUAL_HZ) -> bool:
    """Say whether the kernel would store the same for both; what it refuses equals only its own spelling."""
    one, other = stored(parameter, a, kernel=kernel, hz=hz), stored(parameter, b, kernel=kernel, hz=hz)
    if isinstance(one, Stored) and isinstance(other, Stored):
        return one == other
    return a.split() == b.split()


def _numbers(
    parameter: Parameter,
    accepts: Accepts,
    data: str,
    *,
    kernel: str,
    hz: int,
    current: str | None,
    peers: Mapping[str, str],
) -> Stored | Refused:
    wraps = kernel_version(kernel) < (5, 1)
    bounds = accepts.bounds(hz)
    assert bounds is not None  # noqa: S101  # the caller has sorted out what is no number
    read: list[int] = []
    refusal: _Bad | None = None
    at = 0
    while len(read) < parameter.arity:
        at = _past_spaces(data, at)
        if at == len(data):
            break
        try:
            negative, number, at = _number(data, at, _ENDS, wraps=wraps)
            read.append(_held(accepts, bounds, negative=negative, number=number, hz=hz))
        except _Bad as bad:
            refusal = bad
            break
    if not read and refusal is None:
        refusal = _Bad("there is no number")
    after = _overlaid(read, current, parameter.arity)
    if parameter.shape is Shape.PAIR and refusal is None:
        refusal = _out_of_order(after.text)
    refusal = refusal or _beyond_a_peer(parameter, after.text, kernel, peers)
    if refusal is None:
        return after
    # A pair is checked as a whole before any of it is stored.
    kept = after.text if read and parameter.shape is Shape.TRIPLE and after.text != current else None
    return Refused(errno=refusal.errno, why=refusal.why, leaves=kept)


def _past_spaces(data: str, at: int) -> int:
    while at < len(data) and data[at] in _SPACES:
        at += 1
    return at


def _number(data: str, at: int, ends: str, *, wraps: bool = False) -> tuple[bool, int, int]:
    """Return sign, magnitude and the place behind a number, as the kernel's proc_get_long reads it."""
    window = data[at : at + _LONGEST_NUMBER]
    rest = len(data) - at
    negative = window.startswith("-") and rest > 1
    start = 1 if negative else 0
    if not window[start : start + 1] or window[start] not in "0123456789":
        raise _Bad(f"{_shown(data, at)} is no number")
    base, digits, begin = 10, "0123456789", start
    if window[start] == "0":
        base, digits = 8, "01234567"
        if window[start + 1 : start + 2] in {"x", "X"} and window[start + 2 : start + 3] in set(
            "0123456789abcdefABCDEF"
        ):
            base, digits, begin = 16, "0123456789abcdefABCDEF", start + 2
    end = begin
    while end < len(window) and window[end] in digits:
        end += 1
    number = int(window[begin:end], base)
    if number > ULONG_MAX and not wraps:
        raise _Bad(f"{window[:end]} does not fit 64 bits")
    if end == _LONGEST_NUMBER:
        raise _Bad("the number has too many digits")
    if end < rest and window[end] not in ends:
        raise _Bad(f"{_shown(data, at)} is no whole number")
    return negative, number & ULONG_MAX, at + end


def _held(accepts: Accepts, bounds: Bounds, *, negative: bool, number: int, hz: int) -> int:
    """Return the number as it reads back."""
    match accepts.storage:
        case Storage.UINT | Storage.U8 | Storage.ULONG:
            # "-0" is refused here as well.
            if negative:
                raise _Bad("the kernel takes no sign here")
        case Storage.MILLISECONDS:
            return _milliseconds(-number if negative else number, hz)
        case _:
            pass
    value = -number if negative else number
    if not bounds.min <= value <= bounds.max:
        raise _Bad(f"{value} is outside {bounds}")
    return 1 << (value - 1).bit_length() if accepts.round_up_to_power_of_two and value > 0 else value


def _milliseconds(value: int, hz: int) -> int:
    milliseconds = value & UINT_MAX
    if milliseconds > INT_MAX:
        raise _Bad(f"{value} ms is beyond the kernel's clock")
    ticks = -(-milliseconds * hz // 1000)
    if ticks > INT_MAX:
        raise _Bad(f"{value} ms is beyond the kernel's clock")
    return -(-ticks * 1000 // hz) & UINT_MAX


def _overlaid(read: list[int], current: str | None, arity: int) -> Stored:
    """Return the numbers read, and the present ones behind them."""
    tokens = [*map(str, read), *(current or "").split()[len(read) :]]
    return Stored(text=" ".join(tokens), whole=len(tokens) == arity)


def _out_of_order(text: str) -> _Bad | None:
    tokens = text.split()
    if len(tokens) == 2 and int(tokens[0]) > int(tokens[1]):
        return _Bad("the lower end is above the upper one")
    return None


def _beyond_a_peer(parameter: Parameter, text: str, kernel: str, peers: Mapping[str, str]) -> _Bad | None:
    if not text:
        return None
    first = int(text.split(maxsplit=1)[0])
    version = kernel_version(kernel)
    for limit in (one for one in parameter.limits if one.since.reached_by(version)):
        other = peers.get(limit.key, "").split()
        bound = int(other[limit.element]) if len(other) > limit.element else limit.otherwise
        if first < bound if limit.relation == "at least" else first > bound:
            return _Bad(f"{first} has to be {limit.relation} {bound}, as {limit.key} has it")
    return None


def _port_list(data: str) -> str:
    ports: set[int] = set()
    at = _past_newlines(data, 0)
    while at < len(data):
        low, at, mark = _port(data, at, "-,\n")
        high = low
        if mark == "-":
            high, at, _ = _port(data, at, ",\n\0")
            if low > high:
                raise _Bad(f"{low}-{high} runs backwards")
        ports.update(range(low, high + 1))
        at = _past_newlines(data, at)
    return _folded(ports)


def _port(data: str, at: int, ends: str) -> tuple[int, int, str]:
    if at >= len(data):
        raise _Bad("a range lacks its end")
    negative, number, at = _number(data, at, ends)
    if negative or number > 65535:
        raise _Bad(f"{'-' if negative else ''}{number} is no port")
    return number, at + 1, data[at : at + 1]


def _past_newlines(data: str, at: int) -> int:
    while at < len(data) and data[at] == "\n":
        at += 1
    return at


def _folded(ports: set[int]) -> str:
    """Return ports as the kernel prints them: in order, neighbours joined."""
    ranges: list[list[int]] = []
    for port in sorted(ports):
        if ranges and port == ranges[-1][1] + 1:
            ranges[-1][1] = port
        else:
            ranges.append([port, port])
    return ",".join(str(low) if low == high else f"{low}-{high}" for low, high in ranges)


def _name(parameter: Parameter, data: str, peers: Mapping[str, str], *, in_child: bool) -> str:
    name = re.split("[\n\0]", data, maxsplit=1)[0][:_LONGEST_NAME]
    if parameter.key != "net.ipv4.tcp_congestion_control":
        return name
    available, allowed = peers.get(_AVAILABLE), peers.get(_ALLOWED)
    if not name or (available is not None and name not in available.split(" ")):
        raise _Bad(f"there is no algorithm {name!r}", "ENOENT")
    if in_child and allowed is not None and name not in allowed.split(" "):
        raise _Bad(f"{name} is not among the algorithms that a child namespace may use", "EPERM")
    return name


def _names(data: str, peers: Mapping[str, str]) -> str:
    names = data.split()
    available = peers.get(_AVAILABLE)
    if available is not None and (unknown := [name for name in names if name not in available.split()]):
        raise _Bad(f"there is no algorithm {unknown[0]!r}", "ENOENT")
    return " ".join(names)


def _shown(data: str, at: int) -> str:
    return repr("".join(data[at:].split(maxsplit=1)[:1]))
