# Makes a fresh Debian a host of the lab. Arguments: ROOT, NAME, KEYS (a folder), OPERATOR.
set -eu
root=$1 name=$2 keys=$3 operator=$4

echo "$name" >"$root/etc/hostname"
printf '127.0.0.1 localhost\n::1 localhost\n10.0.2.15 %s\n' "$name" >"$root/etc/hosts"
tr -d - </proc/sys/kernel/random/uuid >"$root/etc/machine-id"
# No fsck: after a power cut the journal alone has to bring the disk in order.
echo '/dev/vda / ext4 defaults 0 0' >"$root/etc/fstab"
cat >"$root/etc/systemd/network/10-eth0.network" <<END
[Match]
Name=eth0
[Network]
Address=10.0.2.15/24
LinkLocalAddressing=no
IPv6AcceptRA=no
END

chroot "$root" useradd --create-home --shell /bin/bash --uid 1000 --gid users "$operator"
# A * is no password; the ! that useradd wrote would lock the account against keys as well.
chroot "$root" usermod --password '*' "$operator"
echo "$operator ALL=(ALL:ALL) NOPASSWD: ALL" >"$root/etc/sudoers.d/$operator"
chmod 0440 "$root/etc/sudoers.d/$operator"

rm -f "$root"/etc/ssh/ssh_host_*
install -m 0600 "$keys"/hostkeys/"$name"/ssh_host_*_key "$root/etc/ssh/"
install -m 0644 "$keys"/hostkeys/"$name"/ssh_host_*_key.pub "$root/etc/ssh/"
install -m 0644 "$keys/id_ed25519.pub" "$root/etc/ssh/authorized_keys"
cat >"$root/etc/ssh/sshd_config" <<END
Port 22
HostKey /etc/ssh/ssh_host_ed25519_key
HostKey /etc/ssh/ssh_host_ecdsa_key
AuthorizedKeysFile /etc/ssh/authorized_keys
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM yes
UseDNS no
MaxStartups 200:30:400
MaxSessions 200
MaxAuthTries 30
AcceptEnv LANG LC_*
PrintMotd no
PrintLastLog no
Subsystem sftp /usr/lib/openssh/sftp-server
END
# From 9.8 on sshd shuts out an address that failed too often. All connections come from one, and some only knock.
! grep -qai persourcepenalties "$root/usr/sbin/sshd" || echo 'PerSourcePenalties no' >>"$root/etc/ssh/sshd_config"

chroot "$root" systemctl enable systemd-networkd.service ssh.service
# What a server does besides, and a test would only wait for.
chroot "$root" systemctl mask apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer \
    e2scrub_reap.service fstrim.timer getty@tty1.service serial-getty@ttyS0.service getty-static.service \
    systemd-networkd-wait-online.service systemd-timesyncd.service modprobe@efi_pstore.service modprobe@drm.service \
    modprobe@loop.service modprobe@dm_mod.service modprobe@fuse.service dev-hugepages.mount sys-kernel-debug.mount \
    sys-kernel-tracing.mount proc-sys-fs-binfmt_misc.automount
