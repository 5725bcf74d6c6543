"""What a Kubernetes pod may set."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from tcptune.domain.values import Frozen, SysctlKey


class InPod(StrEnum):
    """Whether a pod can have a value of its own."""

    SAFE = "safe"
    """Every kubelet from `since` on allows it."""
    UNSAFE = "unsafe"
    """The key belongs to the pod's network namespace, but a node has to be told to allow it."""
    IMPOSSIBLE = "impossible"
    """The key belongs to the node, or a pod may not write it."""


class PodSetting(Frozen):
    """One setting as a pod sees it."""

    key: SysctlKey
    pod: InPod
    since: str = ""
    """First Kubernetes release that calls it safe."""
    min_kernel: str = ""
    """First kernel whose network namespaces have their own, where Kubernetes asks for one."""
    why: str = ""
    """For what is impossible: the reason."""
    sources: tuple[str, ...] = Field(min_length=1)

    @property
    def needs(self) -> str:
        """Say which releases it takes."""
        parts = [
            f"Kubernetes {self.since}" if self.since else "",
            f"Linux {self.min_kernel}" if self.min_kernel else "",
        ]
        return ", ".join(part for part in parts if part)
