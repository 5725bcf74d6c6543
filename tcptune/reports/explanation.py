"""The page of a setting, and what a search found: as text and as markdown."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator

from tcptune.domain.boot import BootValue, Definition
from tcptune.domain.explanation import Explanation, Hits, OnHost
from tcptune.domain.facts import Absent, Unreadable, Value
from tcptune.domain.kernel_values import Stored, stored
from tcptune.domain.parameters import (
    USUAL_HZ,
    AtKernel,
    Parameter,
    Shape,
    Storage,
    Verified,
    View,
    WriteOrder,
)
from tcptune.reports.host_page import rival_state
from tcptune.reports.layout import WIDTH, aligned, count

_Field = tuple[str, list[str]]
_LABEL = 14
_SHAPES = {
    Shape.INT: "one number",
    Shape.BOOL: "a switch",
    Shape.ENUM: "one of a few numbers",
    Shape.PAIR: "two numbers",
    Shape.TRIPLE: "three numbers",
    Shape.PORTS: "ports and ranges with commas between, such as 8080,9000-9010",
    Shape.NAME: "a name",
    Shape.NAMES: "names with spaces between",
}
_VERIFIED = {
    Verified.EXPERIMENT: "measured on a running kernel",
    Verified.SOURCE: "read in the kernel's source or documentation, not measured",
    Verified.UNVERIFIED: "not verified",
}
_VIEWS = {
    View.ABSENT: "absent",
    View.READ_ONLY: "read-only",
    View.WRITABLE: "its own, writable",
    View.MACHINE: "the machine's own: a write there changes the whole machine",
}


def terminal(result: Explanation) -> str:
    """Return the page as plain text."""
    lines = [result.asked, *textwrap.wrap(result.page.summary, WIDTH, initial_indent="  ", subsequent_indent="  "), ""]
    for label, texts in _fields(result):
        for index, text in enumerate(texts):
            head = f"  {label if index == 0 else '':<{_LABEL}}"
            lines += textwrap.wrap(text, WIDTH, initial_indent=head, subsequent_indent=" " * len(head))
    for host in result.hosts:
        lines += ["", *_host(host, result.page)]
    for one in result.unread:
        lines += [f"? {one.host}  could not be read: {one.error}", *([f"    try: {one.hint}"] if one.hint else [])]
    return "\n".join([*lines, ""])


def markdown(result: Explanation) -> str:
    """Return the page as markdown."""
    lines = [f"# {result.asked}", "", _plain(result.page.summary), ""]
    for label, texts in _fields(result):
        if len(texts) == 1:
            lines.append(f"- **{label}**: {_plain(texts[0])}")
        else:
            lines += [f"- **{label}**:", *(f"  - {_plain(text)}" for text in texts)]
    for host in result.hosts:
        lines += ["", f"## On {host.host}", "", "```text", *_host(host, result.page), "```"]
    for one in result.unread:
        lines += ["", f"{_plain(one.host)} could not be read: {_plain(one.error)}"]
    return "\n".join([*lines, ""])


_CAUSES = 6


def terminal_hits(result: Hits) -> str:
    """Return what a search found as plain text."""
    lines: list[str] = []
    for hit in result.hits:
        lines.append(f"  {hit.key}")
        lines += textwrap.wrap(hit.summary, WIDTH, initial_indent="      ", subsequent_indent="      ")
        if hit.where not in {"key", "summary"}:
            said = textwrap.shorten(f"{hit.where}: {hit.text}", 2 * WIDTH, placeholder=" ...")
            lines += textwrap.wrap(said, WIDTH, initial_indent="      ", subsequent_indent="        ")
    if result.causes:
        shown, more = ", ".join(result.causes[:_CAUSES]), len(result.causes) - _CAUSES
        said = f"causes that speak of it: {shown}{f' and {more} more' if more > 0 else ''}"
        lines += textwrap.wrap(said, WIDTH, break_on_hyphens=False)
    found = count(len(result.hits), "setting")
    return "\n".join(
        [*lines, f"{found} for {result.word!r}. The page of one: tcptune explain {result.hits[0].key}", ""]
    )


def markdown_hits(result: Hits) -> str:
    """Return what a search found as markdown."""
    lines = [f"# Settings for {_plain(result.word)}", ""]
    lines += [f"- **{hit.key}**: {_plain(hit.summary)} ({hit.where})" for hit in result.hits]
    if result.causes:
        lines += ["", f"Causes that speak of it: {', '.join(f'`{cause}`' for cause in result.causes)}"]
    return "\n".join([*lines, ""])


def _fields(result: Explanation) -> Iterator[_Field]:
    page, here = result.page, result.here
    if result.asked != page.key:
        yield "page", [f"what follows is about {page.key}; the value meant is {result.asked}"]
    if here.missing:
        yield "exists", [f"no: {here.missing}, so Linux {here.release} has no such key"]
    yield from _value(page, here)
    yield "takes effect", [_effect(page)]
    yield "risk", [f"{page.risk.value}: {page.risk_note}"]
    if page.myths:
        yield "myths", [f'"{m.claim}" ({m.heard}). In truth: {m.correction}' for m in page.myths]
    yield from _company(page)
    yield "since", [_history(page)]
    if page.changes:
        yield "changed", [f"{change.release}: {change.what}" for change in page.changes]
    child = _VIEWS[View.ABSENT if here.missing else here.in_child]
    yield "namespaces", [f"{page.namespace_note}. On Linux {here.release} a container sees: {child}"]
    if page.k8s_safe_since:
        kernel = f", with Linux {page.k8s_safe_since.kernel} or later" if page.k8s_safe_since.kernel else ""
        yield "kubernetes", [f"safe sysctl since {page.k8s_safe_since.since}{kernel}"]
    elif not page.read_only and not here.missing and here.in_child is View.WRITABLE:
        yield "kubernetes", ["no safe sysctl: the kubelet has to allow it"]
    yield "sources", ["; ".join(page.sources)]
    yield "verified", [_VERIFIED[page.verified], *([page.evidence] if page.evidence else []), *_doubt(page, here)]


def _value(page: Parameter, here: AtKernel) -> Iterator[_Field]:
    unit = f", {page.unit}" if page.unit else ""
    named = f": {', '.join(page.elements)}" if page.elements else ""
    yield "value", [f"{_SHAPES[page.shape]}{named}{unit}{'; read-only' if page.read_only else ''}"]
    if page.meanings:
        yield "means", [f"{value} = {meaning}" for value, meaning in page.meanings.items()]
    if not page.read_only and not here.missing:
        yield "range", [page.range_note, *_ranges(page, here)]
    if here.default is not None:
        note = f" ({page.default_note})" if page.default_note else ""
        when = "while it existed" if here.missing else f"on Linux {here.release}"
        yield "default", [f"{here.default}{note} {when}", *_formula(here)]
    others = [f"{d} since {d.since}" if d.since.number != (0, 0) else f"{d} before" for d in page.defaults]
    if len(others) > 1:
        yield "defaults", others


def _effect(page: Parameter) -> str:
    said = page.effect_note.casefold().startswith(page.effect.value)
    return page.effect_note if said else f"{page.effect.value}: {page.effect_note}"


def _formula(here: AtKernel) -> list[str]:
    return [f"formula: {here.default.formula}"] if here.default and here.default.formula else []


def _ranges(page: Parameter, here: AtKernel) -> Iterator[str]:
    bounds = here.accepts.bounds()
    if bounds is None:
        return
    ticks = f" at HZ={USUAL_HZ}" if here.accepts.storage is Storage.SECONDS else ""
    yield f"the kernel takes {bounds} ({here.accepts.storage.value}){ticks}; tcptune accepts {page.sensible}"
    for limit in page.limits:
        yield f"{limit.relation} what {limit.key} holds"


def _company(page: Parameter) -> Iterator[_Field]:
    if page.couplings:
        yield "works with", [f"{coupling.key}: {coupling.rule}" for coupling in page.couplings]
    if page.write_order:
        yield "write order", [_order(order) for order in page.write_order]
    if page.module:
        yield "needs", [f"the kernel module {page.module}: without it the key does not exist"]
    if page.rivals:
        yield "written by", [f"{rival.who}: {rival.what}" for rival in page.rivals]
    if page.symptoms:
        yield "symptoms", list(page.symptoms)
    if page.counters:
        yield "counters", [", ".join(page.counters)]


def _order(order: WriteOrder) -> str:
    when = "" if order.when == "always" else f" when {order.when} it"
    return f"{order.position} {order.other}{when}: {order.why}"


def _history(page: Parameter) -> str:
    removed = f"; removed in Linux {page.removed_in}" if page.removed_in else ""
    return f"Linux {page.introduced}{removed}"


def _doubt(page: Parameter, here: AtKernel) -> Iterator[str]:
    if not here.certain:
        yield f"Linux {here.release} is next to a release that is known only about (~): read the value on the host"
    elif "~" in page.model_dump_json(include={"introduced", "defaults", "changes", "accepts", "namespace_note"}):
        yield "releases marked ~ are from general knowledge of upstream history"


def _host(host: OnHost, page: Parameter) -> list[str]:
    lines = [f"{host.host}  (Linux {host.here.release})"]
    rows = [("runtime", _reading(host)), ("default", str(host.here.default) if host.here.default else "none")]
    for name, boot, own in (
        ("systemd-sysctl", host.systemd, host.boots_with_systemd),
        ("sysctl --system", host.procps, host.boots_with_systemd is False),
    ):
        rows.append((f"at boot, {name}", f"{_boot(boot, page, host)}{'  (this host boots so)' if own else ''}"))
    lines += aligned([*rows, *_rivals(host)])
    if host.late and host.definitions:
        lines += textwrap.wrap(host.late, WIDTH, initial_indent="  ! ", subsequent_indent="    ")
    if not host.definitions:
        certain = host.systemd.certain and host.procps.certain
        return [*lines, "  no file speaks of it" if certain else "  no file that could be read speaks of it"]
    winners = {w.place for w in (host.systemd.winner, host.procps.winner) if w}
    lines.append("  files, in the order they are read:")
    return lines + aligned(_lines(host.definitions, winners), indent="    ")


def _rivals(host: OnHost) -> Iterator[tuple[str, str]]:
    if host.rivals_gap:
        yield "written by", f"who of those named above is here is not known: {host.rivals_gap}"
    for one in host.rivals:
        label = "written by" if one.active else "also here"
        yield label, f"{one.found.name}: {rival_state(one.found)}; {one.what}"


def _lines(definitions: Iterable[Definition], winners: set[str]) -> Iterator[tuple[str, str, str]]:
    for one in definitions:
        yield (
            one.place,
            one.value if one.value is not None else "(left alone)",
            "wins" if one.place in winners else "",
        )


def _reading(host: OnHost) -> str:
    match host.reading:
        case Value() as value:
            return value.text + ("" if value.writable else "  (not writable here)")
        case Absent():
            return host.here.missing or "this host has no such key"
        case Unreadable():
            return "the login may not read it"
        case _:
            return "these facts do not hold it"


def _boot(boot: BootValue, page: Parameter, host: OnHost) -> str:
    value = boot.value if boot.value is not None else "what the kernel starts with"
    held = stored(page, value, kernel=host.here.release, hz=host.hz or USUAL_HZ)
    rounded = host.hz is None and host.here.accepts.storage is Storage.MILLISECONDS
    if boot.value is not None and not boot.partial and isinstance(held, Stored) and not rounded and held.text != value:
        value = f"{held.text}, written {value!r}"
    by = f"  ({boot.winner.place})" if boot.winner else ""
    return f"{value}{' and the rest as it was' if boot.partial else ''}{by}{'' if boot.certain else '  (not certain)'}"


def _plain(text: str) -> str:
    return " ".join(text.split()).replace("<", "&lt;").replace("*", "\\*")
