"""One statement by itself: does the key exist, does the kernel take the value, is it meant, does it do any good."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tcptune.domain import strict
from tcptune.domain.concerns import Severity
from tcptune.domain.kernel_values import Refused, Stored, stored
from tcptune.domain.lint import How, LintFinding, Statement
from tcptune.domain.parameters import Effect, Parameter, Risk
from tcptune.knowledge.catalogue import catalogue
from tcptune.knowledge.habits import habits

_OURS = ("net.core.", "net.ipv4.ip_", "net.ipv4.tcp_")
"""Families of which the catalogue knows most; elsewhere real keys are as like each other as slips are."""
_INLINE = "inline-comment"
_COMMENT = re.compile(r"(?:^|\s)([#;])")


def judge_value(statement: Statement, kernel: str) -> Iterator[LintFinding]:
    """Yield what is wrong with a key and its value on a kernel of that release."""
    parameter = catalogue().get(statement.key)
    if parameter is None:
        yield from _misspelt(statement)
        return
    missing = parameter.at(kernel).missing
    if missing is not None:
        yield from _gone(statement, parameter, missing)
        return
    if parameter.effect is Effect.NEVER and not parameter.read_only and parameter.removed_in is None:
        yield _finding(
            statement,
            "no-effect",
            Severity.ADVICE,
            f"the kernel ignores it: {_sentence(parameter.effect_note)}",
            "delete the line",
            parameter.sources[0],
        )
    if statement.value is not None:
        mistakes = list(_mistakes(statement, statement.value, parameter, kernel))
        yield from mistakes
        if mistakes and mistakes[0].rule != _INLINE:
            return
    yield from _habits(statement)


def _misspelt(statement: Statement) -> Iterator[LintFinding]:
    if not statement.key.startswith(_OURS):
        return
    close = next((known for known in catalogue() if _one_slip(statement.key, known)), None)
    if close is not None:
        yield _finding(
            statement,
            "misspelt",
            Severity.ADVICE,
            f"no such key is known, and it is one slip away from {close}",
            f"{close}, if that is meant",
            "tcptune's catalogue",
        )


def _one_slip(one: str, other: str) -> bool:
    """Say whether a character too many, too few, another one, or two swapped make one text of the other.

    >>> _one_slip("tcp_syncookie", "tcp_syncookies"), _one_slip("tcp_sakc", "tcp_sack"), _one_slip("tcp_a", "tcp_bc")
    (True, True, False)
    """
    if abs(len(one) - len(other)) > 1:
        return False
    start = next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    left, right = one[start:], other[start:]
    swapped = left[:2] == right[1::-1] and left[2:] == right[2:]
    return swapped or left[1:] == right[1:] or left[1:] == right or left == right[1:]


def _gone(statement: Statement, parameter: Parameter, missing: str) -> Iterator[LintFinding]:
    removed = parameter.removed_in is not None and missing.startswith("removed")
    if statement.lenient and not removed:
        return
    then = (
        "the leading - lets what loads the file pass over the line"
        if statement.lenient
        else "what loads the file reports an error and passes over the line"
    )
    yield _finding(
        statement,
        "gone" if removed else "too-new",
        Severity.HARM if parameter.risk is Risk.HIGH else Severity.ADVICE,
        f"this kernel has no such key ({missing}): {then}",
        "delete the line" if removed else "set it on hosts that have it, with a leading - elsewhere",
        parameter.sources[0],
    )


def _mistakes(statement: Statement, value: str, parameter: Parameter, kernel: str) -> Iterator[LintFinding]:
    text = " ".join(value.split())
    fresh = parameter.default(kernel)
    usual = f"; a fresh kernel has {fresh}" if fresh else ""
    kept = stored(parameter, text, kernel=kernel)
    if (mark := _COMMENT.search(text)) is not None:
        refused = isinstance(kept, Refused)
        yield _finding(
            statement,
            _INLINE,
            Severity.HARM if refused else Severity.ADVICE,
            f"what stands behind {mark[1]} is part of the value and reaches the kernel, which "
            + ("refuses it" if refused else "happens to pass over it"),
            "put the comment on a line of its own",
            "sysctl.d(5); sysctl.conf(5)",
            at_value=True,
        )
        return
    found = strict.mistakes(parameter, value.strip())
    for mistake in found:
        then = _then(kept, text, mistake)
        yield _finding(
            statement,
            mistake.rule.value,
            Severity.HARM,
            f"{mistake.message}{then}",
            f"{_wanted(parameter)}{usual}",
            parameter.sources[0],
            at_value=True,
        )
    if not found and isinstance(kept, Refused):
        yield _finding(
            statement,
            "refused",
            Severity.HARM,
            f"the kernel refuses it: {kept.why}",
            f"{_wanted(parameter)}{usual}",
            parameter.sources[0],
            at_value=True,
        )


def _then(kept: Stored | Refused, text: str, mistake: strict.Mistake) -> str:
    """Say what the kernel makes of a mistake, where the mistake's own words do not."""
    if isinstance(kept, Refused):
        return "" if "refuses" in mistake.message else "; the kernel refuses it"
    if kept.text != text:
        return f"; the kernel takes it for {kept.text}"
    return "" if "the kernel" in mistake.message else "; the kernel takes it all the same"


def _habits(statement: Statement) -> Iterator[LintFinding]:
    for habit in habits():
        if habit.key == statement.key and habit.when.holds(_meant(statement.value)):
            yield _finding(statement, habit.rule, habit.severity, habit.why, habit.instead, habit.source)


def _meant(value: str | None) -> str | None:
    """Return a value without the comment behind it."""
    return None if value is None else _COMMENT.split(value, maxsplit=1)[0]


def _wanted(parameter: Parameter) -> str:
    if parameter.read_only:
        return "delete the line"
    if parameter.meanings and parameter.shape.value in {"bool", "enum"}:
        return "one of " + ", ".join(f"{value} ({meaning})" for value, meaning in parameter.meanings.items())
    if parameter.elements:
        return f"{' '.join(parameter.elements)}, in {parameter.unit or 'whole numbers'}"
    if parameter.shape.value in {"name", "names", "ports"}:
        return parameter.range_note
    return f"a whole number in {parameter.sensible}{f', in {parameter.unit}' if parameter.unit else ''}"


def _sentence(text: str) -> str:
    return " ".join(text.split()).rstrip(".")


def _finding(
    statement: Statement, rule: str, severity: Severity, why: str, instead: str, source: str, *, at_value: bool = False
) -> LintFinding:
    where = statement.value_column if at_value and statement.how is How.FILE else statement.column
    return LintFinding(
        path=statement.path,
        line=statement.line,
        column=where,
        key=statement.key,
        rule=rule,
        severity=severity,
        why=" ".join(why.split()),
        instead=" ".join(instead.split()),
        source=source,
    )
