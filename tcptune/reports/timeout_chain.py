"""A chain of timeouts as a drawing: each hop, what it waits for, and between two of them what holds and what breaks."""

from __future__ import annotations

from collections.abc import Iterable

from tcptune.domain.chain import COUNTED, Aspect, Hop, Http2, Origin, Product, ProductList, Verified, time_text
from tcptune.domain.chain_verdicts import Broken, ChainReport, Fine, Judged, Link, NotJudged, Way
from tcptune.domain.concerns import Severity
from tcptune.reports.layout import aligned, count, wrapped

_SAYS = {
    Aspect.RECEIVES_IDLE: "closes an idle connection after",
    Aspect.RECEIVES_REQUESTS: "requests of a connection",
    Aspect.RECEIVES_KEEPALIVE: "TCP keepalive towards the front",
    Aspect.ANSWER: "takes to answer at most",
    Aspect.AGE: "closes any connection after",
    Aspect.GRACE: "cuts what is open then after",
    Aspect.PINGS_APART: "permits PINGs apart by",
    Aspect.IDLE_PINGS_APART: "permits idle PINGs apart by",
    Aspect.SENDS_IDLE: "keeps an idle connection to the next",
    Aspect.SENDS_REQUESTS: "sends over a connection at most",
    Aspect.SENDS_KEEPALIVE: "TCP keepalive to the next",
    Aspect.RESPONSE: "waits for an answer",
    Aspect.PING: "sends a PING every",
    Aspect.IDLE_PING: "sends an idle PING every",
    Aspect.FLOW: "forgets a silent connection after",
}
_SPOKEN = "speaks HTTP/2 to the next"


def terminal(result: ChainReport) -> str:
    """Return the drawing and the count."""
    lines = [f"{result.chain}  ({result.origin})", ""]
    for way in result.ways:
        lines += [f"by way of {way.route}", ""] if way.route else []
        lines += [*_drawn(way), ""]
    for note in result.notes:
        lines += [f"  {line}" for line in _hanging(f"- {note}")]
    if result.notes:
        lines.append("")
    return "\n".join([*lines, _summary(result), ""])


def markdown(result: ChainReport) -> str:
    """Return a table per way, and what breaks as a list."""
    lines = [f"# Timeouts of {result.chain}", ""]
    for way in result.ways:
        lines += [f"## By way of {_cell(way.route)}", ""] if way.route else []
        lines += ["| Hop | Setting | Value | From |", "|---|---|---|---|"]
        for hop in way.hops:
            for aspect, said, origin in _settings(hop):
                lines.append(f"| {_cell(hop.name)} | {aspect} | {said} | {_cell(origin)} |")
            lines += [f"| {_cell(hop.name)} | {_SPOKEN} | | |"] if hop.sends_http2 else []
        lines.append("")
        for link in way.links:
            for one in link.judged:
                mark = {"fine": "holds", "broken": "**breaks**", "not judged": "**not judged**"}[one.verdict]
                lines.append(f"- {_cell(link.requester)} to {_cell(link.receiver)}, {one.rule}: {mark}: {_told(one)}")
                if isinstance(one, Broken):
                    lines += [f"    - {text}" for text in _advice(one)]
        lines.append("")
    lines += [*(f"- {_cell(note)}" for note in result.notes), ""] if result.notes else []
    return "\n".join([*lines, _summary(result), ""])


def listed(result: ProductList) -> str:
    """Return the products with their defaults."""
    lines: list[str] = []
    for one in result.products:
        doubt = "" if one.verified is not Verified.RECALLED else "  (recalled: look it up)"
        lines.append(f"{one.product}  {one.title}{doubt}")
        lines += aligned(_rows(one))
        if one.http2 is not None:
            about = "over HTTP/2" if one.http2.defaults else "over HTTP/2 the same"
            doubt = "" if one.http2.verified is not Verified.RECALLED else "  (recalled: look it up)"
            lines.append(f"  {about}{doubt}")
            lines += aligned(_rows(one.http2), indent="    ")
        lines += [line for why in one.unknown.values() for line in wrapped(f"? {why}", indent="  ")]
        lines += [line for note in one.notes for line in wrapped(f"- {note}", indent="  ")]
    return "\n".join([*lines, ""])


def listed_markdown(result: ProductList) -> str:
    """Return the products as a table."""
    lines = ["| Product | Setting | Default | Changed by | Source | Verified |", "|---|---|---|---|---|---|"]
    for one in result.products:
        for aspect, value in one.defaults.items():
            cells = (one.product, aspect.value, value, one.knobs.get(aspect, "-"), one.source, one.verified.value)
            lines.append(f"| {' | '.join(_cell(cell) for cell in cells)} |")
        for aspect, why in one.unknown.items():
            knob = one.knobs.get(aspect, "-")
            cells = (one.product, aspect.value, f"none: {why}", knob, one.source, one.verified.value)
            lines.append(f"| {' | '.join(_cell(cell) for cell in cells)} |")
        if one.http2 is not None:
            told: dict[str, str] = {f"{aspect} over HTTP/2": value for aspect, value in one.http2.defaults.items()}
            knobs = {f"{aspect} over HTTP/2": knob for aspect, knob in one.http2.knobs.items()}
            for setting, value in (told or {"all over HTTP/2": "the same"}).items():
                cells = (
                    one.product,
                    setting,
                    value,
                    knobs.get(setting, "-"),
                    one.http2.source,
                    one.http2.verified.value,
                )
                lines.append(f"| {' | '.join(_cell(cell) for cell in cells)} |")
    return "\n".join([*lines, ""])


def _rows(one: Product | Http2) -> list[tuple[str, str, str]]:
    return [(_SAYS[aspect], value, one.knobs.get(aspect, "")) for aspect, value in one.defaults.items()]


def _drawn(way: Way) -> list[str]:
    links = {link.requester: link for link in way.links}
    lines: list[str] = []
    open_link: Link | None = None
    for at, hop in enumerate(way.hops):
        if hop.layer == 7:
            lines += _between(open_link)
            open_link = links.get(hop.name)
        lines.append(
            f"  {'[' if hop.layer == 7 else '('}{hop.name}{']' if hop.layer == 7 else ')'}  {hop.title}".rstrip()
        )
        bar = "|" if at + 1 < len(way.hops) else " "
        lines += [f"    {bar} {row}" for row in aligned(_settings(hop), indent="")]
        lines += [f"    {bar} {_SPOKEN}"] if hop.sends_http2 else []
        lines += (
            [f"    {bar} opens a connection for each request"] if hop.reuse is False and at + 1 < len(way.hops) else []
        )
    return [line.rstrip() for line in lines]


def _between(link: Link | None) -> list[str]:
    if link is None:
        return []
    lines = ["    |"]
    for one in link.judged:
        mark = {"fine": "ok", "broken": "X ", "not judged": "? "}[one.verdict]
        if isinstance(one, Broken) and one.severity is Severity.ADVICE:
            mark = "! "
        head, *rest = _beside(f"{one.rule}: {_told(one)}", columns=9)
        lines += [f"    {mark} {head}", *(f"    |    {line}" for line in rest)]
        if isinstance(one, Broken):
            lines += [f"    |    {line}" for text in _advice(one) for line in _hanging(text)]
    return [*lines, "    v"]


def _hanging(text: str) -> list[str]:
    head, *rest = _beside(text, columns=11)
    return [head, *(f"  {line}" for line in rest)]


def _beside(text: str, *, columns: int) -> list[str]:
    """Return a text as lines that leave room for what is drawn in the first columns."""
    return [line[columns:] for line in wrapped(text, indent=" " * columns)]


def _told(one: Judged) -> str:
    if isinstance(one, Broken):
        return one.what
    return one.why if isinstance(one, NotJudged) else one.what


def _advice(one: Broken) -> list[str]:
    cause = [f"cause: {', '.join(one.causes)}"] if one.causes else []
    lines = [f"makes: {one.effect}", *cause, *(f"read: {said}" for said in one.evidence)]
    for number, remedy in enumerate(one.remedies):
        word = "change" if number == 0 else "or"
        note = f" ({remedy.note})" if remedy.note else ""
        lines.append(f"{word}: {remedy.hop}: {remedy.knob} {remedy.before} -> {remedy.after}{note}")
    return [*lines, *([f"else: {one.otherwise}"] if one.otherwise else [])]


def _settings(hop: Hop) -> Iterable[tuple[str, str, str]]:
    for aspect in Aspect:
        known = hop.settings.get(aspect)
        if known is not None:
            limit = "no limit" if known.value is None else f"{known.value:g}"
            said = known.said if known.origin is not Origin.DEFAULT else known.said.partition(":")[0]
            yield _SAYS[aspect], limit if aspect in COUNTED else time_text(known.value), said


def _summary(result: ChainReport) -> str:
    harm = sum(one.severity is Severity.HARM for one in result.broken)
    advice, undecided = len(result.broken) - harm, len(result.undecided)
    holds = sum(isinstance(one, Fine) for way in result.ways for link in way.links for one in link.judged)
    parts = [f"{count(harm, 'rule')} broken", f"{holds} {'holds' if holds == 1 else 'hold'}"]
    parts += [f"{count(advice, 'piece', 'pieces')} of advice"] if advice else []
    parts += [f"{undecided} could not be judged"] if undecided else []
    return f"Timeouts of {result.chain}: {', '.join(parts)}. Nothing has been changed."


def _cell(text: str | None) -> str:
    return (text or "").replace("|", "\\|").replace("\n", " ")
