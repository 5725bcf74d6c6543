"""Look at a run again: whether what it left is still there, now and at the next boot."""

from __future__ import annotations

from collections.abc import Mapping

from tcptune.domain.changes import Cohort
from tcptune.domain.facts import HostFacts, Value
from tcptune.domain.parameters import Parameter
from tcptune.domain.runs import HostResult, HostState
from tcptune.domain.verdicts import Check, HostVerdict
from tcptune.planning.audit import boot_layer, boot_model

_AFTER = frozenset({HostState.HELD, HostState.CONFIRMED})


def verify_host(
    facts: HostFacts, cohort: Cohort, result: HostResult, parameters: Mapping[str, Parameter]
) -> HostVerdict:
    """Compare a host with what the run left there: the values after, or those before where it was taken back."""
    model = boot_model(facts, parameters)
    checks = []
    for change in cohort.changes:
        reading = facts.sysctl.get(change.key)
        checks.append(
            Check(
                key=change.key,
                expected=change.after if result.state in _AFTER else result.replaced.get(change.key, change.before),
                actual=reading.text if isinstance(reading, Value) else None,
                at_boot=boot_layer(change.key, facts, model, parameters),
                # A file that wins over ours was in the plan: it is known, and no news.
                boot_matters=result.state is HostState.CONFIRMED and not (change.shadowed_by or change.lost_at_boot),
            ),
        )
    return HostVerdict(host=facts.host, state=result.state, checks=tuple(checks))
