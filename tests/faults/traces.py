"""What a fault could leave on its hosts."""

from __future__ import annotations

from tests.faults.stage import Stage

TRACES = r"""
for process in /proc/[0-9]*; do
    # The first is the host, and still a shell when the host is young.
    [ "$process" = /proc/1 ] || ! read -r name <"$process/comm" || echo "process $name"
done 2>/dev/null
nft list ruleset
ip -br address
ip route show
ls -A /tmp
cd /proc/sys/net
grep -rs --exclude=tcp_fastopen_key --exclude=nf_conntrack_count '' core ipv4 netfilter || :
"""


def traces(stage: Stage) -> set[str]:
    """Give what a fault could leave on its hosts: processes, rules, addresses, routes, files, values, one a line."""
    return {f"{who}: {line}" for who, host in stage.hosts.items() for line in host.run("sh", "-c", TRACES).splitlines()}
