"""What a Kubernetes pod may set, by key."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from tcptune.domain.pods import InPod, PodSetting
from tcptune.domain.values import SysctlKey


@cache
def pod_settings() -> Mapping[SysctlKey, PodSetting]:
    """Return every setting that is known to be a pod's, or not to be one's."""
    text = (files("tcptune.knowledge") / "data" / "pods.yml").read_text(encoding="utf-8")
    data = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506  # both are safe loaders
    return {setting.key: setting for setting in _settings(data)}


def _settings(data: dict[str, Any]) -> list[PodSetting]:
    safe = [PodSetting(pod=InPod.SAFE, **item) for item in data["safe"]]
    unsafe = [PodSetting(pod=InPod.UNSAFE, **item) for item in data["unsafe"]]
    impossible = [
        PodSetting(key=key, pod=InPod.IMPOSSIBLE, why=group["why"], sources=group["sources"])
        for group in data["impossible"]
        for key in group["keys"]
    ]
    return [*safe, *unsafe, *impossible]
