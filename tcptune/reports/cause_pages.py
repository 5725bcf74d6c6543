"""The page of a cause, and the causes that a word leads to: as text and as markdown."""

from __future__ import annotations

import textwrap

from tcptune.domain.explanation import CauseList, CausePage
from tcptune.domain.parameters import Verified
from tcptune.reports.layout import WIDTH, aligned, count, wrapped

_LABEL = 14
_VERIFIED = {
    Verified.EXPERIMENT: "made to happen, and measured",
    Verified.SOURCE: "read in a source or documentation, not made to happen",
    Verified.UNVERIFIED: "not verified",
}


def terminal(result: CausePage) -> str:
    """Return the page as plain text."""
    lines = [result.cause.id, *wrapped(result.cause.summary, indent="  "), ""]
    for label, texts in _fields(result):
        for index, text in enumerate(texts):
            head = f"  {label if index == 0 else '':<{_LABEL}}"
            lines += textwrap.wrap(text, WIDTH, initial_indent=head, subsequent_indent=" " * len(head))
    return "\n".join([*lines, ""])


def markdown(result: CausePage) -> str:
    """Return the page as markdown."""
    lines = [f"# {result.cause.id}", "", _plain(result.cause.summary), ""]
    for label, texts in _fields(result):
        if len(texts) == 1:
            lines.append(f"- **{label}**: {_plain(texts[0])}")
        else:
            lines += [f"- **{label}**:", *(f"  - {_plain(text)}" for text in texts)]
    return "\n".join([*lines, ""])


def terminal_list(result: CauseList) -> str:
    """Return the causes of a word as plain text."""
    lines = [f"{error.name}: {error.when}" for error in result.errors]
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


def _fields(result: CausePage) -> list[tuple[str, list[str]]]:
    cause = result.cause
    helps = (
        "a setting or limit of the kernel may help" if cause.kernel_change_helps else "no setting of the kernel helps"
    )
    reports = f"; told in {count(cause.field_reports, 'field report')}" if cause.field_reports else ""
    fields: list[tuple[str, list[str]]] = [
        ("symptoms", list(cause.symptoms)),
        ("what happens", [cause.cause]),
        ("to be seen", [f"{sign.kind}: {sign.match}" for sign in cause.evidence]),
        ("errors", [f"{error.name}: {error.when}" for error in result.errors]),
        ("kernel's log", [f"{one.regex}{f'; {one.note}' if one.note else ''}" for one in result.lines]),
        ("to be sure", list(cause.confirm)),
        ("what to do", [f"{remedy.kind.owner}: {remedy.action}" for remedy in cause.remedies]),
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


def _plain(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*")
