"""The page of a cause, and the causes that a word leads to: as text and as markdown."""

from __future__ import annotations

import textwrap

from tcptune.domain.causes import Advice
from tcptune.domain.counters import CounterKind
from tcptune.domain.explanation import CauseList, CausePage, CounterPage
from tcptune.domain.parameters import Verified
from tcptune.reports.layout import WIDTH, aligned, count, wrapped

_LABEL = 14
_VERIFIED = {
    Verified.EXPERIMENT: "made to happen, and measured",
    Verified.SOURCE: "read in a source or documentation, not made to happen",
    Verified.UNVERIFIED: "not verified",
}
_KIND = {
    CounterKind.RATE: "it only grows: two samples tell the rate",
    CounterKind.LEVEL: "it tells what is there now",
}

Fields = list[tuple[str, list[str]]]
"""Label -> its texts, in the order of the page."""


def terminal(result: CausePage) -> str:
    """Return the page as plain text."""
    return _page(result.cause.id, result.cause.summary, _fields(result))


def _page(name: str, summary: str, fields: Fields) -> str:
    lines = [name, *wrapped(summary, indent="  "), ""]
    for label, texts in fields:
        for index, text in enumerate(texts):
            head = f"  {label if index == 0 else '':<{_LABEL}}"
            lines += textwrap.wrap(text, WIDTH, initial_indent=head, subsequent_indent=" " * len(head))
    return "\n".join([*lines, ""])


def markdown(result: CausePage) -> str:
    """Return the page as markdown."""
    return _markdown(result.cause.id, result.cause.summary, _fields(result))


def _markdown(name: str, summary: str, fields: Fields) -> str:
    lines = [f"# {name}", "", _plain(summary), ""]
    for label, texts in fields:
        if len(texts) == 1:
            lines.append(f"- **{label}**: {_plain(texts[0])}")
        else:
            lines += [f"- **{label}**:", *(f"  - {_plain(text)}" for text in texts)]
    return "\n".join([*lines, ""])


def terminal_counter(result: CounterPage) -> str:
    """Return the page of a counter as plain text."""
    return _page(result.counter.name, result.counter.meaning, _counter_fields(result))


def markdown_counter(result: CounterPage) -> str:
    """Return the page of a counter as markdown."""
    return _markdown(result.counter.name, result.counter.meaning, _counter_fields(result))


def terminal_list(result: CauseList) -> str:
    """Return the causes of a word as plain text."""
    lines = [line for error in result.errors for line in wrapped(f"{error.name}: {error.when}", indent="")]
    lines += [line for text in result.corrections for line in wrapped(f"not that: {text}", indent="")]
    lines += _table(result)
    lines += wrapped(f"settings that speak of it: {', '.join(result.settings)}", indent="") if result.settings else []
    lines += ["", _summary(result)] if result.causes else ["", "No cause goes by that."]
    return "\n".join([*lines, ""])


def markdown_list(result: CauseList) -> str:
    """Return the causes of a word as markdown."""
    lines = [f"# {_plain(result.word)}", ""]
    lines += [f"- **{error.name}**: {_plain(error.when)}" for error in result.errors]
    lines += [f"- not that: {_plain(text)}" for text in result.corrections]
    lines += ["", "| cause | what | shown by | kernel |", "| --- | --- | --- | --- |"] if result.causes else []
    lines += [f"| `{one}` | {_plain(what)} | {by} | {helps} |" for one, what, by, helps in _rows(result)]
    lines += (
        ["", f"Settings that speak of it: {', '.join(f'`{key}`' for key in result.settings)}"]
        if result.settings
        else []
    )
    return "\n".join([*lines, "", _summary(result) if result.causes else "No cause goes by that.", ""])


def _table(result: CauseList) -> list[str]:
    rows = [(one, by, helps, what) for one, what, by, helps in _rows(result)]
    # Where the last column begins: there a long one goes on.
    begins = max((len(line) - len(row[-1]) for line, row in zip(aligned(rows), rows, strict=True)), default=0)
    return [part for line in aligned(rows) for part in textwrap.wrap(line, WIDTH, subsequent_indent=" " * begins)]


def _rows(result: CauseList) -> list[tuple[str, str, str, str]]:
    return [
        (
            one.id,
            one.summary,
            ", ".join(one.shown_by),
            "a setting may help" if one.kernel_change_helps else "no setting",
        )
        for one in result.causes
    ]


def _summary(result: CauseList) -> str:
    return f"{count(len(result.causes), 'cause')} of it. A page: tcptune explain CAUSE. On a host: tcptune diagnose."


def _counter_fields(result: CounterPage) -> Fields:
    one = result.counter
    by_driver = f"by driver also {', '.join(one.also)}" if one.also else ""
    fields: Fields = [
        ("to be read", [text for text in (f"{one.file}; {_KIND[one.kind]}", by_driver) if text]),
        ("well", [one.healthy]),
        ("symptom", [one.symptom] if one.symptom else []),
        ("points to", [one.points_to] if one.points_to else []),
        ("resets", [one.resets] if one.resets else []),
        ("note", [one.note] if one.note else []),
        ("a sign of", [f"{cause.id}: {cause.summary}" for cause in result.causes]),
        ("settings", [", ".join(result.settings)] if result.settings else []),
        ("since", [f"Linux {one.since}"]),
        ("verified", [_VERIFIED[one.verified]]),
    ]
    return [(label, texts) for label, texts in fields if texts]


def _fields(result: CausePage) -> Fields:
    cause = result.cause
    helps = (
        "a setting or limit of the kernel may help" if cause.kernel_change_helps else "no setting of the kernel helps"
    )
    reports = f"; told in {count(cause.field_reports, 'field report')}" if cause.field_reports else ""
    fields: Fields = [
        ("symptoms", list(cause.symptoms)),
        ("what happens", [cause.cause]),
        ("to be seen", [f"{sign.kind}: {sign.match}" for sign in cause.evidence]),
        ("errors", [f"{error.name}: {error.when}" for error in result.errors]),
        ("kernel's log", [f"{one.regex}{f'; {one.note}' if one.note else ''}" for one in result.lines]),
        ("to be sure", list(cause.confirm)),
        ("what to do", [f"{remedy.kind.owner}: {remedy.action}" for remedy in cause.remedies]),
        ("in programs", [_advice(one) for one in result.advice]),
        ("kernel", [helps]),
        ("it is not", list(cause.not_this)),
        ("rather", [f"{other.cause}, if {other.how}" for other in cause.apart]),
        ("brought by", list(result.brought_by)),
        ("leads to", list(cause.leads_to)),
        ("shown by", [", ".join(cause.shown_by)]),
        ("sources", ["; ".join(cause.sources)]),
        ("verified", [_VERIFIED[cause.verified] + reports]),
    ]
    return [(label, texts) for label, texts in fields if texts]


def _advice(one: Advice) -> str:
    doubt = " (not verified)" if one.verified is Verified.UNVERIFIED else ""
    return f"{'' if one.language == 'any' else f'{one.language}: '}{one.do}{doubt}"


def _plain(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*")
