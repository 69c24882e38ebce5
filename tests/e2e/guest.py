"""A small Linux guest: its kernel is Debian's, its root file system lies on the volume that it writes to."""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.e2e.display import until

MIB = 1 << 20
BLOCK = 4096
ROOT_BYTES = 32 * MIB
FIRST_BLOCK = 64 * MIB // BLOCK
"""From here on the guest writes numbered blocks; the root file system lies well before."""
PROGRAMS = ("qemu-system-x86_64", "busybox", "cpio", "mkfs.ext4", "nbdcopy", "apt-get", "dpkg")
MODULES = ("virtio_ring", "virtio", "virtio_pci_legacy_dev", "virtio_pci_modern_dev", "virtio_pci", "virtio_blk")
META_PACKAGE = "linux-image-cloud-amd64"
ENTRY = f"""#!/bin/busybox sh
/bin/busybox mount -t devtmpfs dev /dev
for module in {" ".join(MODULES)}; do /bin/busybox insmod /modules/$module.ko || echo "no $module"; done
/bin/busybox mount -t ext4 -o rw /dev/vda /volume || echo "no root"
/bin/busybox mount -t devtmpfs dev /volume/dev
exec /bin/busybox switch_root /volume /sbin/init
"""
WRITER = f"""#!/bin/busybox sh
echo "up from the volume"
n=0
while true; do
    n=$((n + 1))
    if /bin/busybox printf '%015d\\n' $n |
        /bin/busybox dd of=/dev/vda bs={BLOCK} seek=$(({FIRST_BLOCK} + n)) conv=sync,notrunc,fsync 2>/dev/null
    then echo "ack $n"; else echo "refused $n"; exit; fi
done
"""


def path_of(program: str) -> str | None:
    """Where a program is, also when it lies beside the paths of ordinary users."""
    return shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")


def absent() -> str:
    """The programs that are missing, by name."""
    return ", ".join(program for program in PROGRAMS if path_of(program) is None)


def _run(*words: str | Path, folder: Path | None = None, text: bytes = b"") -> str:
    given = [str(word) for word in words]
    done = subprocess.run(given, cwd=folder, input=text, capture_output=True, check=False, timeout=240)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(given)}: {done.stderr.decode(errors='replace')}")
    return done.stdout.decode(errors="replace")


def kernel_folder() -> Path:
    """The unpacked kernel package, fetched once; the test is skipped, with the reason, where that cannot be."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "vea-console" / "guest"
    found = sorted(cache.glob("*/boot/vmlinuz-*"))
    if found:
        return found[-1].parents[1]
    cache.mkdir(parents=True, exist_ok=True)
    try:
        needs = _run("apt-cache", "depends", META_PACKAGE)
        package = re.search(r"Depends: (linux-image-\S+)", needs)
        if package is None:
            pytest.skip(f"no kernel for a guest: apt knows no package {META_PACKAGE}")
        fetched = cache / "fetched"
        shutil.rmtree(fetched, ignore_errors=True)
        fetched.mkdir()
        _run("apt-get", "download", "-q", package[1], folder=fetched)
        [archive] = fetched.glob("*.deb")
        _run("dpkg", "-x", archive, fetched / "unpacked")
        archive.unlink()
        return (fetched / "unpacked").rename(cache / package[1])
    except RuntimeError as error:
        pytest.skip(f"no kernel for a guest could be fetched: {error}")


def _tree(folder: Path, entry: str, text: str) -> None:
    for name in ("bin", "sbin", "dev", "volume", "modules", "proc"):
        (folder / name).mkdir(parents=True)
    shutil.copy(path_of("busybox") or "", folder / "bin" / "busybox")
    (folder / entry).write_text(text)
    (folder / entry).chmod(0o755)


def initramfs(folder: Path, kernel: Path) -> Path:
    """Busybox and the modules that lead to the volume."""
    tree = folder / "initramfs"
    _tree(tree, "init", ENTRY)
    for module in MODULES:
        [found] = kernel.glob(f"lib/modules/*/kernel/drivers/*/{module}.ko")
        shutil.copy(found, tree / "modules" / found.name)
    names = b"\n".join(str(path.relative_to(tree)).encode() for path in sorted(tree.rglob("*")))
    packed = folder / "initramfs.cpio"
    _run("cpio", "-o", "-H", "newc", "--quiet", "-O", packed, folder=tree, text=names)
    return packed


def install(folder: Path, uri: str) -> None:
    """Put the root file system onto the volume, through its export."""
    tree, image = folder / "root", folder / "root.img"
    _tree(tree, "sbin/init", WRITER)
    with image.open("wb") as file:
        file.truncate(ROOT_BYTES)
    _run(path_of("mkfs.ext4") or "", "-q", "-F", "-d", tree, image)
    _run("nbdcopy", "--flush", image, uri)


class Guest:
    """A guest that runs, with what it has said so far."""

    def __init__(self, folder: Path, uri: str) -> None:
        kernel = kernel_folder()
        [image] = kernel.glob("boot/vmlinuz-*")
        self._console = folder / "serial"
        self._errors = (folder / "qemu.log").open("wb")
        words = ["-accel", "tcg", "-cpu", "max", "-m", "192", "-nographic", "-nodefaults", "-no-reboot"]
        words += ["-kernel", image, "-initrd", initramfs(folder, kernel), "-serial", f"file:{self._console}"]
        words += ["-append", "console=ttyS0 quiet panic=-1 rdinit=/init"]
        words += ["-drive", f"if=virtio,format=raw,cache=none,file={uri}"]
        self._process = subprocess.Popen(
            ["qemu-system-x86_64", *map(str, words)],
            stdin=subprocess.DEVNULL,
            stdout=self._errors,
            stderr=self._errors,
        )

    @property
    def said(self) -> str:
        return self._console.read_text(errors="replace") if self._console.exists() else ""

    @property
    def acknowledged(self) -> int:
        """The highest number whose block the guest has on stable storage."""
        return max((int(number) for number in re.findall(r"ack (\d+)\s", self.said)), default=0)

    def wait_for(self, number: int, seconds: float = 240) -> None:
        """Until it has acknowledged a number."""

        def there() -> bool:
            assert self._process.poll() is None, f"the guest has ended: {self.said}"
            assert "refused" not in self.said, self.said
            return self.acknowledged >= number

        until(seconds, there, f"number {number} of the guest, which said {self.said[-600:]!r},")

    def kill(self) -> int:
        """End it as a power cut would; answers the last number that it had acknowledged."""
        self._process.kill()
        self._process.wait()
        self._errors.close()
        return self.acknowledged


@functools.cache
def expected(number: int) -> bytes:
    """What the guest writes into a block."""
    return f"{number:015d}\n".encode().ljust(BLOCK, b"\0")
