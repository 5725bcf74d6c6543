"""The sysctls of a Kubernetes pod, with what every node allows apart from what a node has to be told to allow."""

from __future__ import annotations

import json

from tcptune.dialects.writing import ExportOptions, Written, exactly, not_said, origin, slug, written
from tcptune.domain.exchange import Exported
from tcptune.domain.guards import Scope
from tcptune.domain.pods import InPod
from tcptune.domain.profile import Profile
from tcptune.knowledge.pods import pod_settings


def write(profile: Profile, options: ExportOptions) -> Exported:
    """Write `securityContext.sysctls`: a document of the safe ones, then one of the unsafe ones, if there are any."""
    known = pod_settings()
    lines, left_out = written(profile, options, exactly, Scope.NAMESPACE)
    here = {line.entry.key for line in lines}
    never = [
        not_said(profile, entry, f"no pod can set it: {known[entry.key].why}" if entry.key in known else _UNKNOWN)
        for entry in profile.entries
        if entry.key in here and (entry.key not in known or known[entry.key].pod is InPod.IMPOSSIBLE)
    ]
    dropped = {one.text for one in never}
    safe = [line for line in lines if line.entry.key in known and known[line.entry.key].pod is InPod.SAFE]
    unsafe = [line for line in lines if line.entry.key in known and known[line.entry.key].pod is InPod.UNSAFE]
    documents = [_document(_safe_head(profile), safe)] if safe else []
    documents += [_document(_unsafe_head(profile, unsafe), unsafe)] if unsafe else []
    files = {f"{slug(profile.name)}-pod.yml": "".join(documents)} if documents else {}
    kept = [one for one in left_out if one.text not in dropped]
    return Exported(files=files, left_out=(*kept, *never))


_UNKNOWN = "it is not known whether a pod may set it"


def _safe_head(profile: Profile) -> str:
    return f"{origin(profile)}# Safe: every node allows these. Not for pods with hostNetwork.\n"


def _unsafe_head(profile: Profile, lines: list[Written]) -> str:
    keys = ",".join(line.entry.key for line in lines)
    return (
        f"{origin(profile)}"
        "# Unsafe: a pod with these starts only on nodes whose kubelet was given\n"
        f"#   --allowed-unsafe-sysctls={keys}\n"
    )


def _document(head: str, lines: list[Written]) -> str:
    text = f"---\n{head}spec:\n  securityContext:\n    sysctls:\n"
    for line in lines:
        text += f"      # {line.remark}\n"
        if needs := pod_settings()[line.entry.key].needs:
            text += f"      # needs {needs}\n"
        # A string even where it is a number: the API takes nothing else.
        text += f"      - name: {line.entry.key}\n        value: {json.dumps(line.value, ensure_ascii=False)}\n"
    return text
