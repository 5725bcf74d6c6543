# Prints all that our content may touch: every value of the kernel that the host may read, and the files that a boot, a
# login or nginx reads, each with its mode, its owner and the digest of its bytes. No secret is among them.
set -eu
grep -rs '' /proc/sys/net/core /proc/sys/net/ipv4 --exclude=tcp_fastopen_key --exclude=flush |
    grep -v '^/proc/sys/net/ipv4/neigh/' | sort
set -- /etc/sysctl.conf /etc/sysctl.d /etc/modules-load.d /etc/security/limits.d /etc/systemd/system /etc/nginx
# A host need not have all of them.
find "$@" -printf '%p %y %m %U %G %l\n' 2>/dev/null | sort
find "$@" -type f -exec sha256sum {} + 2>/dev/null | sort
