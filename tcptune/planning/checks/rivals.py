"""Programs of this host that are known to write a key the plan would change: the change would not last."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tcptune.domain.concerns import Observation, Owner, Severity
from tcptune.domain.parameters import Rival as Known
from tcptune.domain.state import Rival
from tcptune.domain.values import kernel_text, key_path
from tcptune.planning.boot_lines import procps_lines
from tcptune.planning.checks.scene import NotKnown, Scene, Values

_TUNED = {
    "network-latency": frozenset({"network-latency", "cpu-partitioning", "realtime"}),
    "network-throughput": frozenset({"network-throughput"}),
    "openshift": frozenset({"openshift", "openshift-node", "openshift-control-plane"}),
    "databases": frozenset({"oracle", "mssql"}),
}
"""Profile that the catalogue speaks of -> profiles of tuned 2.20 that bring it in."""
_PROFILE = re.compile(r"its profiles?(?: for)? (\S+)")
_UFW = "/etc/ufw/sysctl.conf"
_ADVICE = {
    "tuned": "set it in a tuned profile of your own that includes the active one, or switch tuned off",
    "bpftune": "switch off the tuner of that setting (bpftune -a lists them), or let bpftune have it",
    "kube-proxy": "set it in kube-proxy's configuration",
    "docker": "set it after docker, or in daemon.json where docker has an option for it",
    "ufw": f"set it in {_UFW}",
    "systemd-networkd": "set it in the .network file of the link",
}


def judge(scene: Scene, values: Values) -> Iterator[Observation]:
    """Join the catalogue's rivals, and ufw's own file, with who is active here."""
    changed = [key for key in scene.changes if values.text(key) != scene.now.text(key)]
    if not changed:
        return
    gaps: list[str] = []
    for key in changed:
        parameter = scene.parameters.get(key)
        for rival in scene.rivals.found:
            known = next((one for one in parameter.rivals if one.who == rival.name), None) if parameter else None
            try:
                words = _writes(rival, known, key, values.text(key) or "", scene)
            except NotKnown as gap:
                gaps.append(str(gap))
                continue
            if words is None:
                continue
            yield Observation(
                keys=(key,),
                severity=Severity.HARM,
                what=f"{rival.name} writes {key} too: the change lasts until it does so again",
                evidence=(words, f"{key} = {scene.now.text(key)} now, {values.text(key)} wanted"),
                remedy=_ADVICE.get(rival.name, f"set it in {rival.name}'s configuration"),
                owner=Owner.OPERATOR,
            )
    if gaps:
        raise NotKnown("; ".join(dict.fromkeys(gaps)))


def _writes(rival: Rival, known: Known | None, key: str, wanted: str, scene: Scene) -> str | None:
    """Say what an active rival does to the key, or None where nothing tells that it does anything. Raises NotKnown."""
    if rival.name == "ufw":
        return _ufw(rival, key, wanted, scene)
    if known is None:
        return None
    if rival.running is None and not rival.enabled:
        raise NotKnown(f"whether {rival.name} runs was not seen: {'; '.join(scene.rivals.notes)}")
    if not (rival.running or rival.enabled):
        return None
    if rival.name == "tuned" and (match := _PROFILE.search(known.what)):
        active = set((rival.detail or "").split())
        if not active & _TUNED.get(match[1], frozenset({match[1]})):
            return None
        return f"tuned, active profile {rival.detail}: {known.what}"
    return f"{rival.name} {'runs' if rival.running else 'starts at boot'}: {known.what}"


def _ufw(rival: Rival, key: str, wanted: str, scene: Scene) -> str | None:
    """Look into ufw's file: it says for itself which settings it writes."""
    if not (rival.detail or "").lower().replace('"', "").endswith("=yes"):
        return None
    if scene.facts.config_files is None:
        raise NotKnown(f"{_UFW} was not read: {scene.gap('config_files')}")
    file = next((one for one in scene.facts.config_files if one.path == _UFW), None)
    if file is None:
        return None
    text = file.content
    if text is None:
        raise NotKnown(f"{_UFW} cannot be read")
    lines = [line for line in procps_lines(text) if line.path == key_path(key) and line.value is not None]
    if not lines or kernel_text(lines[-1].value) == wanted:
        return None
    return f"{_UFW}:{lines[-1].number} sets {kernel_text(lines[-1].value)} when the firewall starts"
