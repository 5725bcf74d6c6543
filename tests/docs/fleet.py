"""The hosts that the pages speak of, made of lab hosts."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from tests.docs.pages import ROOT
from tests.lab import Lab, LabHost

NAMES = ("web1", "web2", "db1")
"""The pages say: two web servers that somebody tuned by an old guide, and a database left alone."""

OLD_GUIDE = {"net.core.somaxconn": "128", "net.ipv4.tcp_syncookies": "0"}

# Their defaults depend on the machine that runs the tests. The pages show none of them.
SAME_EVERYWHERE = {"net.ipv4.tcp_rmem": "4096 131072 6291456", "net.ipv4.tcp_wmem": "4096 16384 4194304"}

_SHIM = """\
#!/bin/sh
PYTHONPATH={root} exec {python} -m tcptune "$@"
"""


def prepare(lab: Lab, hosts: list[LabHost], folder: Path) -> None:
    """Bring hosts to what the pages say of them, and write the inventory by which they are reached."""
    for name, host in zip(NAMES, hosts, strict=True):
        values = SAME_EVERYWHERE | (OLD_GUIDE if name.startswith("web") else {})
        for key, value in values.items():
            lab.run(host, ["tee", f"/proc/sys/{key.replace('.', '/')}"], input=value)
        if name.startswith("web"):
            text = "".join(f"{key} = {value}\n" for key, value in OLD_GUIDE.items())
            lab.run(host, ["tee", "/etc/sysctl.d/60-old-guide.conf"], input=text)
    (folder / "hosts.yml").write_text(_inventory(lab, hosts))


def environment(folder: Path) -> dict[str, str]:
    """Return what a page's shell finds: tcptune and Ansible of this Python, an own home and an own journal."""
    programs, home = folder.parent / "bin", folder.parent / "home"
    programs.mkdir()
    home.mkdir()
    shim = programs / "tcptune"
    shim.write_text(_SHIM.format(root=ROOT, python=sys.executable))
    shim.chmod(0o755)
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("TCPTUNE_", "ANSIBLE_"))}
    return inherited | {
        "HOME": str(home),
        "LC_ALL": "C.UTF-8",
        "PATH": os.pathsep.join([str(programs), str(Path(sys.executable).parent), os.environ["PATH"]]),
        "TCPTUNE_JOURNAL": f"sqlite:///{folder.parent / 'journal.sqlite'}",
    }


def ssh_for(lab: Lab, hosts: list[LabHost], folder: Path) -> str:
    """Return shell text after which `ssh web1` reaches the host, for that shell alone: Ansible's ssh is as it is."""
    config = folder.parent / "ssh_config"
    named = "".join(f"Host {name}\n    HostName {host.address}\n" for name, host in zip(NAMES, hosts, strict=True))
    config.write_text(named + lab.ssh_config.read_text())
    return f'ssh() {{ command ssh -F {config} "$@"; }}'


def _inventory(lab: Lab, hosts: list[LabHost]) -> str:
    """Write the lab's own variables under the names of the pages."""
    _, _, variables = lab.inventory.read_text().partition("  vars:\n")
    addresses = {name: {"ansible_host": host.address} for name, host in zip(NAMES, hosts, strict=True)}
    web = {name: addresses[name] for name in NAMES if name.startswith("web")}
    db = {name: addresses[name] for name in NAMES if not name.startswith("web")}
    return f"web:\n  hosts: {json.dumps(web)}\ndb:\n  hosts: {json.dumps(db)}\nall:\n  vars:\n{variables}"
