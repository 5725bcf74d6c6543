# PID 1 of a lab: holds the namespaces that all its hosts live in.
#
# The lab has one PID namespace and every host's is nested in it, so killing this process ends every process of every
# host, and with the last process go the mounts and the network. Nothing has to be taken apart in order.
#
# Arguments: RECORD (file to write our identity to), LIFELINE (a path that is read until its end, after which the lab
# dies; or empty). Fd 3 is the lab's lock: whoever waits for the lab waits for this setup too.
set -eu
umask 022
record=$1 lifeline=$2

# /proc is still the machine's here, so this is our pid as the machine sees it. Field 22 is the start time.
read -r stat </proc/self/stat
read -r boot_id </proc/sys/kernel/random/boot_id
# shellcheck disable=SC2086
set -- $stat
printf '%s %s %s\n' "$1" "${22}" "$boot_id" >"$record.new"
mv "$record.new" "$record"

# All that the hosts write lies here: in memory, and visible to no one outside.
mount -t tmpfs -o mode=0755 tcptune-lab /mnt
mkdir /mnt/hosts /mnt/image

# A host mounts a /sys of its own; without the machine's below it, its list of mounts is short and true.
umount -R -l /sys

# Device files without disks, so that a host cannot write to one by accident.
umount -R -l /dev
mount -t tmpfs -o mode=0755 tcptune-lab /dev
mknod -m 666 /dev/null c 1 3
mknod -m 666 /dev/zero c 1 5
mknod -m 666 /dev/full c 1 7
mknod -m 666 /dev/random c 1 8
mknod -m 666 /dev/urandom c 1 9
mknod -m 666 /dev/tty c 5 0
ln -s pts/ptmx /dev/ptmx
ln -s /proc/self/fd /dev/fd
ln -s /proc/self/fd/0 /dev/stdin
ln -s /proc/self/fd/1 /dev/stdout
ln -s /proc/self/fd/2 /dev/stderr
mkdir /dev/pts /dev/shm

# The machine's own files are for reading only. A host gets what it must write laid over them.
while read -r _ _ _ _ point _; do
    case $point in
    /proc | /proc/* | /sys | /sys/* | /dev/* | /mnt | /mnt/* | /run | /run/*) continue ;;
    esac
    # mountinfo writes a space as \040.
    mount -o remount,bind,ro "$(printf '%b' "$point")" || echo "could not protect $point" >&2
done </proc/self/mountinfo

ip -batch - <<END
link set lo up
link add br0 type bridge forward_delay 0 stp_state 0 mcast_snooping 0
link set br0 addrgenmode none
link set br0 up
END

echo ready
exec 3<&- </dev/null >/dev/null
# Orphans of all hosts end up here; the kernel reaps them if their parent ignores SIGCHLD. dash does not hand a
# `trap '' CHLD` on.
[ -z "$lifeline" ] || exec env --ignore-signal=CHLD cat "$lifeline"
exec env --ignore-signal=CHLD sleep infinity
