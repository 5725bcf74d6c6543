# Runs before the kernel is installed. ROOT is the only argument.
set -eu
mkdir -p "$1/etc/initramfs-tools/conf.d"
# The initramfs needs one disk, no more. It is unpacked at each boot, in software.
printf 'MODULES=list\nCOMPRESS=gzip\n' >"$1/etc/initramfs-tools/conf.d/lab"
printf 'ext4\nvirtio_pci\nvirtio_blk\n' >"$1/etc/initramfs-tools/modules"
