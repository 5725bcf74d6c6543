"""Services that were tried: each stage with its times, each failure with what may be behind it."""

from __future__ import annotations

from collections.abc import Iterator

from tcptune.domain.service import OWN, Address, Failure, Retried, Service, ServiceReport, StageTimes, Times
from tcptune.reports.layout import aligned, count, wrapped


def terminal(result: ServiceReport) -> str:
    """Return a paragraph per service, and the count."""
    lines: list[str] = []
    for service in result.services:
        lines += [_title(service), *_stages([service.name], "  ")]
        for failure in service.name_failures:
            lines += _failure(failure, service.name, "    ")
        if service.left_off:
            lines.append(f"    - {count(service.left_off, 'more address', 'more addresses')} not tried")
        for address in service.addresses:
            lines += [f"  {address.address}", *_stages(address.stages, "    ")]
            lines += [line for one in address.failures for line in _failure(one, _times_of(address, one), "      ")]
            lines += _again(address.retried, "      ") if address.retried else []
        lines.append("")
    return "\n".join([*lines, _summary(result), ""])


def markdown(result: ServiceReport) -> str:
    """Return a table of stages, and the failures as a list."""
    lines = ["# Probe", "", "| Service | Address | Stage | Worked | Min ms | Median ms | p95 ms | Max ms |"]
    lines.append("|---|---|---|---|---|---|---|---|")
    for service in result.services:
        for address, stage in _rows(service):
            took = _cells(stage.worked)
            worked = f"{stage.worked.count if stage.worked else 0} of {stage.tried}"
            lines.append(f"| {' | '.join((_cell(service.target.name), address, stage.stage, worked, *took))} |")
    lines.append("")
    for service in result.services:
        name = _cell(service.target.name)
        lines += [f"- {name}: {_cell(_what(one))}. {_why(one)}" for one in service.name_failures]
        for tried in service.addresses:
            lines += [f"- {name}, {tried.address}: {_cell(_what(one))}. {_why(one)}" for one in tried.failures]
            if tried.retried:
                lines.append(f"- {name}, {tried.address}: {tried.retried.evidence}: {tried.retried.means}")
    lines += [""] if lines[-1] else []
    return "\n".join([*lines, _summary(result), ""])


def _rows(service: Service) -> Iterator[tuple[str, StageTimes]]:
    yield "", service.name
    for address in service.addresses:
        for stage in address.stages:
            yield address.address, stage


def _title(service: Service) -> str:
    target = service.target
    asked = " over ".join(
        [*([f"GET {target.path}"] if target.path else []), *(["TLS"] if target.tls else []), f"port {target.port}"]
    )
    return f"{target.name}  ({asked})"


def _stages(stages: tuple[StageTimes, ...] | list[StageTimes], indent: str) -> list[str]:
    rows = []
    for one in stages:
        worked = one.worked.count if one.worked else 0
        rows.append((one.stage.value, f"{worked} of {one.tried}", _took(one.worked) if one.worked else ""))
    return aligned(rows, indent=indent)


def _took(took: Times) -> str:
    if took.count == 1:
        return f"{took.min_ms:g} ms"
    return f"min {took.min_ms:g}  median {took.median_ms:g}  p95 {took.p95_ms:g}  max {took.max_ms:g} ms"


def _after(took: Times) -> str:
    if took.min_ms == took.max_ms:
        return f"{took.min_ms:g} ms"
    return f"{took.min_ms:g} to {took.max_ms:g} ms"


def _cells(took: Times | None) -> tuple[str, str, str, str]:
    if took is None:
        return "-", "-", "-", "-"
    return f"{took.min_ms:g}", f"{took.median_ms:g}", f"{took.p95_ms:g}", f"{took.max_ms:g}"


def _times_of(address: Address, failure: Failure) -> StageTimes:
    return next(one for one in address.stages if one.stage is failure.stage)


def _failure(failure: Failure, stage: StageTimes, indent: str) -> list[str]:
    mark = "?" if failure.error in OWN else "X"
    lines = [f"{indent}{mark} {_what(failure)}: {failure.took.count} of {stage.tried}, after {_after(failure.took)}"]
    return [*lines, *_details(failure.means, failure.causes, failure.next, indent)]


def _again(retried: Retried, indent: str) -> list[str]:
    connections = count(retried.took.count, "connection")
    lines = [f"{indent}! connect: {retried.evidence}: {connections}, after {_after(retried.took)}"]
    return [*lines, *_details(retried.means, retried.causes, retried.next, indent)]


def _details(means: str, causes: tuple[str, ...], further: str, indent: str) -> list[str]:
    lines = wrapped(f"means: {means}", indent=f"{indent}    ") if means else []
    lines += wrapped(f"cause: {', '.join(causes)}", indent=f"{indent}    ") if causes else []
    return [*lines, *(wrapped(f"next: {further}", indent=f"{indent}    ") if further else [])]


def _what(failure: Failure) -> str:
    said = f": {failure.said}" if failure.said else ""
    return f"{failure.stage}: {failure.error}{said}"


def _why(failure: Failure) -> str:
    causes = f" (cause: {', '.join(failure.causes)})" if failure.causes else ""
    return f"{failure.means}{causes}"


def _summary(result: ServiceReport) -> str:
    unhealthy = sum(one.unhealthy for one in result.services)
    untried = sum(one.untried for one in result.services)
    origin = f" from {result.origin}" if result.origin else ""
    parts = [f"{unhealthy} of {count(len(result.services), 'service')} did not answer well every time"]
    parts += [f"{untried} could not be tried in full"] if untried else []
    return f"Probe{origin}: {', '.join(parts)}; {count(result.count, 'round')}. Nothing has been changed."


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
