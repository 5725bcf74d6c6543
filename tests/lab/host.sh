# PID 1 of a host: joins it to the switch, lays its own files over the machine's, starts sshd.
#
# Arguments: NAME, ADDRESS with prefix length, MAC, SWITCH (pid of the lab's first process), DROPPED (capabilities that
# would reach beyond the namespaces). Fd 3 is the lab's lock.
set -eu
umask 022
name=$1 address=$2 mac=$3 switch=$4 dropped=$5
disk=/mnt/hosts/$name

# /proc is still the machine's here, so this is our pid as the machine sees it. Field 22 is the start time.
read -r stat </proc/self/stat
read -r boot_id </proc/sys/kernel/random/boot_id
# shellcheck disable=SC2086
set -- $stat
printf '%s %s %s\n' "$1" "${22}" "$boot_id" >"$disk/init"

# The MAC is fixed: a host that is created anew keeps its place in everyone's neighbour tables. `netns 1` is us.
nsenter --net="/proc/$switch/ns/net" \
    ip link add "$name" master br0 up type veth peer name eth0 address "$mac" netns 1
ip -batch - <<END
link set lo up
link set eth0 up
address add $address dev eth0
END

overlay() {
    mount -t overlay "$name" -o "lowerdir=$2,upperdir=$disk/upper$1,workdir=$disk/work$1" "$1"
}
overlay /etc "$disk/etc:/mnt/image/etc:/etc"
overlay /var/lib /var/lib
overlay /var/log /var/log
for tree in home root var/tmp; do
    mount --bind "$disk/$tree" "/$tree"
done
# Without the machine's /run no tool in here reaches the machine's systemd, D-Bus or journal.
mount -t tmpfs -o mode=0755,nosuid,nodev "$name" /run
mount -t tmpfs -o mode=1777,nosuid,nodev "$name" /tmp
mount -t devpts -o newinstance,ptmxmode=0666,mode=0620,gid=5 devpts /dev/pts
mount -t tmpfs -o mode=1777,nosuid,nodev "$name" /dev/shm
mkdir /run/sshd /run/lock
[ ! -d /usr/local/lib/sysctl.d ] || mount -t tmpfs -o ro "$name" /usr/local/lib/sysctl.d

# Only what belongs to the network namespace can be written: everything else in /proc/sys and /sys is the machine's.
umount -R -l /proc
mount -t proc -o nosuid,nodev,noexec proc /proc
mount -t sysfs -o nosuid,nodev,noexec sysfs /sys
mount --bind /sys/devices/virtual/net /sys/devices/virtual/net
mount -o remount,bind,ro /sys
echo "$name" >/proc/sys/kernel/hostname
# A boot of its own: who compares boot ids sees that lab.reboot() was one.
cat /proc/sys/kernel/random/uuid >/run/boot_id
mount --bind /proc/sys /proc/sys
mount --bind /proc/sys/net /proc/sys/net
mount --bind /run/boot_id /proc/sys/kernel/random/boot_id
mount -o remount,bind,ro /proc/sys/kernel/random/boot_id
mount -o remount,bind,ro /proc/sys
for path in /proc/sysrq-trigger /proc/irq; do
    [ ! -e "$path" ] || { mount --bind "$path" "$path" && mount -o remount,bind,ro "$path"; }
done
# The overlays keep their layers; nobody in here needs to see those of the other hosts.
umount -l /mnt

# What a boot does. Keys that are the machine's fail here, as they do in a container.
sysctl --system >/dev/null 2>&1 || :
setpriv --bounding-set "$dropped" /usr/sbin/sshd -E /var/log/sshd.log 3<&- </dev/null >/dev/null

echo ready
exec 3<&- </dev/null >/dev/null
# Detached processes of an ssh session end up here; the kernel reaps them if their parent ignores SIGCHLD. dash does not
# hand a `trap '' CHLD` on.
exec env --ignore-signal=CHLD sleep infinity
