"""The disk image of a release: built once from the Debian archive that this machine's apt uses, and kept.

An image is a folder of the cache, named by release and by a digest of its recipe: the disk, the kernel, the initramfs,
and the keys by which ssh and the host know each other. It is never written again; machines run on overlays of it.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.lab import keys
from tests.lab.errors import LabError
from tests.lab.image import OPERATOR
from tests.lab.vm.releases import Release

HERE = Path(__file__).parent
PACKAGES = (
    *("systemd-sysv", "udev", "dbus", "libpam-systemd", "procps", "kmod", "iproute2", "util-linux"),
    *("linux-image-cloud-amd64", "initramfs-tools", "busybox"),
    *("openssh-server", "sudo", "python3"),
)
# Debian's own, whatever this machine's mke2fs makes by default: an older kernel has to mount it.
FEATURES = "^orphan_file,^metadata_csum_seed"
DISK_SIZE = "2G"
UNUSED = ("doc", "man", "locale", "info")


@dataclass(frozen=True)
class Image:
    """What a virtual machine starts from."""

    folder: Path

    @property
    def disk(self) -> Path:
        """The root file system, a raw image. Read-only."""
        return self.folder / "disk.raw"

    @property
    def kernel(self) -> Path:
        """The release's kernel."""
        return self.folder / "vmlinuz"

    @property
    def initramfs(self) -> Path:
        """The initramfs of that kernel."""
        return self.folder / "initrd"


def cache() -> Path:
    """Give the folder where images are kept; TCPTUNE_VM_CACHE names another."""
    if named := os.environ.get("TCPTUNE_VM_CACHE"):
        return Path(named).absolute()
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home).absolute() / "tcptune-vm"


def image(release: Release) -> Image:
    """Give the image of `release`, built if the cache has none of today's recipe. Others wait while one builds."""
    folder = cache() / f"{release.suite}-{_digest(release)}"
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (folder.parent / f"{release.suite}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.is_dir():
            for left in folder.parent.glob(f".{release.suite}-*"):
                shutil.rmtree(left)  # by a build that was killed: the lock is ours
            _build(release, folder)
    return Image(folder)


def archive() -> str:
    """Give the address of the Debian archive that apt is configured for here."""
    listed = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(REPO_URI) $(ORIGIN) $(LABEL)", "Created-By: Packages"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    # The security archive has the label Debian-Security, and not all packages.
    found = next((line.split()[0] for line in listed if line.split()[1:] == ["Debian", "Debian"]), None)
    if found is None:
        raise LabError("apt knows no Debian archive", hint="apt-get update")
    return found


def _digest(release: Release) -> str:
    recipe = [repr((release, PACKAGES, FEATURES, DISK_SIZE, UNUSED))]
    recipe += [(HERE / name).read_text() for name in ("essential.sh", "customize.sh")]
    return hashlib.sha256("\0".join(recipe).encode()).hexdigest()[:12]


def _build(release: Release, folder: Path) -> None:
    """Build beside the place, then move there: an image is whole or not there."""
    work = Path(tempfile.mkdtemp(prefix=f".{release.suite}-", dir=folder.parent))
    root, result, log = work / "root", work / "image", folder.parent / f"{release.suite}.log"
    result.mkdir()
    keys.generate(result, [release.suite])
    with log.open("w") as said:
        _step(_debootstrap(release, root), said, log)
        customize = ["sh", str(HERE / "customize.sh"), str(root), release.suite, str(result), OPERATOR]
        _step(customize, said, log)
        _step(
            ["mkfs.ext4", "-q", "-F", "-O", FEATURES, "-d", str(root), str(result / "disk.raw"), DISK_SIZE], said, log
        )
    for name, pattern in (("vmlinuz", "vmlinuz-*"), ("initrd", "initrd.img-*")):
        [found] = (root / "boot").glob(pattern)
        shutil.copyfile(found, result / name)
    result.rename(folder)
    shutil.rmtree(work)


def _debootstrap(release: Release, root: Path) -> list[str]:
    return [
        *("mmdebstrap", "--mode=root", "--variant=minbase", "--format=directory"),
        f"--include={','.join(PACKAGES)}",
        '--aptopt=Apt::Install-Recommends "false"',
        *(f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in UNUSED),
        f'--essential-hook=sh "{HERE / "essential.sh"}" "$1"',
        *(release.suite, str(root), f"deb {archive()} {release.suite} main"),
    ]


def _step(argv: list[str], said: object, log: Path) -> None:
    try:
        subprocess.run(
            ["nice", *argv], stdin=subprocess.DEVNULL, stdout=said, stderr=subprocess.STDOUT, check=True, timeout=1800
        )
    except subprocess.SubprocessError as error:
        raise LabError(f"the image could not be built: {argv[0]} failed", hint=f"look into {log}") from error
