# Prints all that a change of TCP settings may touch: every value of the kernel that the host may read, and the files that
# a boot reads, each with its mode, its owner and the digest of its bytes. No secret is among them.
set -eu
grep -rs '' /proc/sys/net/core /proc/sys/net/ipv4 --exclude=tcp_fastopen_key --exclude=flush |
    grep -v '^/proc/sys/net/ipv4/neigh/' | sort
find /etc/sysctl.conf /etc/sysctl.d /etc/modules-load.d /etc/security/limits.d /etc/systemd/system \
    -printf '%p %y %m %U %G %l\n' | sort
find /etc/sysctl.conf /etc/sysctl.d /etc/modules-load.d /etc/security/limits.d /etc/systemd/system \
    -type f -exec sha256sum {} + | sort
