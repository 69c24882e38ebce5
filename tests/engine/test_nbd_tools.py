"""The clients that people have: libnbd's tools, QEMU's, fio. Each test needs its program and says so by name."""

from __future__ import annotations

import json
import shutil
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from engine.dataplane.request import Op
from engine.export.source import Extent
from tests.engine.nbd_peer import MIB, NAME, MappedVolume, MemoryVolume, Served, run, serving

SIZE = 32 * MIB


def needs(*programs: str) -> None:
    for program in programs:
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")


@pytest.fixture(params=["at once", "late"])
def served(tmp_path: Path, request: pytest.FixtureRequest, seed: int) -> Iterator[Served]:
    """A volume whose requests all end at once, and one where a third of them end later in any order."""
    dice = Random(seed)
    late = request.param == "late"
    volume = MemoryVolume(SIZE, defer=lambda _: late and dice.random() < 0.3, workers=2 * late, seed=seed)
    with serving(tmp_path, volume) as served:
        yield served


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """Random bytes with a hole in the middle."""
    path = tmp_path / "image"
    path.write_bytes(Random(1).randbytes(SIZE // 2) + bytes(SIZE // 4) + Random(2).randbytes(SIZE // 4))
    return path


def test_nbdinfo_lists_the_exports(served: Served) -> None:
    needs("nbdinfo")
    served.shelf.volumes["dg2/häßlich 1"] = served.volume
    listed = json.loads(run("nbdinfo", "--list", "--json", f"nbd+unix:///?socket={served.path}").stdout)
    assert listed["protocol"] == "newstyle-fixed"
    assert listed["structured"] is True
    exports = {export["export-name"]: export for export in listed["exports"]}
    assert list(exports) == [NAME, "dg2/häßlich 1"]
    facts = exports[NAME]
    assert facts["export-size"] == SIZE
    assert facts["contexts"] == ["base:allocation"]
    assert (facts["block_size_minimum"], facts["block_size_preferred"]) == (1, 4096)
    assert facts["block_size_maximum"] == SIZE
    for can in ("df", "flush", "fua", "multi_conn", "trim", "zero"):
        assert facts[f"can_{can}"] is True, can
    for cannot in ("can_cache", "can_fast_zero", "is_read_only", "is_rotational"):
        assert facts[cannot] is False, cannot


def test_nbdinfo_maps_the_extents(tmp_path: Path) -> None:
    needs("nbdinfo")
    volume = MappedVolume(SIZE)
    with serving(tmp_path, volume) as served:
        mapped = json.loads(run("nbdinfo", "--map", "--json", served.uri()).stdout)
        assert [(row["offset"], row["length"], row["type"]) for row in mapped] == [(0, SIZE, 0)]
        volume.extents = [Extent(MIB, False, False), Extent(SIZE - MIB, True, True)]
        mapped = json.loads(run("nbdinfo", "--map", "--json", served.uri()).stdout)
        assert [(row["offset"], row["length"], row["type"]) for row in mapped] == [(0, MIB, 0), (MIB, SIZE - MIB, 3)]


def test_nbdcopy_in_and_out(served: Served, image: Path, tmp_path: Path) -> None:
    needs("nbdcopy")
    run("nbdcopy", "--flush", "--connections=2", str(image), served.uri())
    assert served.volume.content() == image.read_bytes()
    run("nbdcopy", "--connections=2", served.uri(), str(tmp_path / "copy"))
    assert (tmp_path / "copy").read_bytes() == image.read_bytes()
    assert Op.FLUSH in {op for op, *_ in served.volume.served}


def test_qemu_img_converts_compares_and_maps(served: Served, image: Path, tmp_path: Path) -> None:
    needs("qemu-img")
    run("qemu-img", "convert", "-n", "-f", "raw", "-O", "raw", str(image), served.uri())
    assert served.volume.content() == image.read_bytes()
    run("qemu-img", "compare", "-f", "raw", "-F", "raw", str(image), served.uri())
    run("qemu-img", "convert", "-f", "raw", "-O", "qcow2", served.uri(), str(tmp_path / "copy"))
    run("qemu-img", "compare", "-f", "raw", "-F", "qcow2", str(image), str(tmp_path / "copy"))
    mapped = json.loads(run("qemu-img", "map", "--output=json", "-f", "raw", served.uri()).stdout)
    assert [(row["start"], row["length"], row["data"]) for row in mapped] == [(0, SIZE, True)]
    served.volume.put(5, b"other")
    assert run("qemu-img", "compare", "-f", "raw", "-F", "raw", str(image), served.uri(), check=False).returncode == 1


def test_qemu_io_writes_zeroes_discards_and_flushes(served: Served) -> None:
    needs("qemu-io")
    commands = (
        "write -P 0x11 0 4M",
        "write -z 1M 64k",
        "write -z -u 2M 64k",
        "discard 3M 64k",
        "write -f -P 0x22 100k 1k",
        "aio_write -P 0x33 8M 2M",
        "aio_write -P 0x44 10M 4k",
        "aio_read -P 0x11 4k 4k",
        "aio_flush",
        "flush",
        "read -P 0x22 100k 1k",
        "read -P 0 1M 64k",
        "read -P 0x33 8M 2M",
    )
    done = run("qemu-io", "-f", "raw", *(word for command in commands for word in ("-c", command)), served.uri())
    assert "failed" not in (done.stdout + done.stderr).lower()
    expected = bytearray(b"\x11" * 4 * MIB)
    for at in (1, 2, 3):
        expected[at * MIB : at * MIB + 65536] = bytes(65536)
    expected[100 * 1024 : 101 * 1024] = b"\x22" * 1024
    assert served.volume.content(0, 4 * MIB) == expected
    assert served.volume.content(8 * MIB, 2 * MIB + 4096) == b"\x33" * 2 * MIB + b"\x44" * 4096


def test_qemu_nbd_tells_the_export(served: Served) -> None:
    needs("qemu-nbd")
    listed = run("qemu-nbd", "--list", "-k", str(served.path)).stdout
    assert f"export: '{NAME}'" in listed
    assert "min block: 1" in listed
    assert "base:allocation" in listed


@pytest.mark.parametrize("blocks", ["4k-4k", "512-200k"])
def test_fio_reads_back_what_it_wrote(served: Served, tmp_path: Path, blocks: str) -> None:
    needs("fio")
    run(
        "fio", "--name=verify", "--thread", "--ioengine=nbd", f"--uri={served.uri()}", "--rw=randwrite", "--size=8M",
        f"--bsrange={blocks}", "--iodepth=32", "--verify=crc32c", "--do_verify=1", "--verify_fatal=1",
        "--fsync=64", "--randrepeat=1", "--verify_state_save=0", f"--output={tmp_path / 'fio'}",
    )  # fmt: skip
    assert "err= 0" in (tmp_path / "fio").read_text()


def test_nbdkit_sees_no_difference_as_a_middle_man(served: Served, image: Path, tmp_path: Path) -> None:
    needs("nbdkit", "nbdcopy")
    served.volume.put(0, image.read_bytes())
    middle = ("nbdkit", "-U", "-", "nbd", f"uri={served.uri()}", "--run", f"nbdcopy $uri {tmp_path / 'copy'}")
    run(*middle)
    assert (tmp_path / "copy").read_bytes() == image.read_bytes()


ILLEGAL = """
import sys, nbd
h = nbd.NBD()
h.set_strict_mode(0)
h.set_handshake_flags(h.get_handshake_flags())
h.add_meta_context("base:allocation")
h.connect_uri(sys.argv[1])
size = h.get_size()
def attempt(what):
    try:
        what()
    except nbd.Error as error:
        return error.errno
    return "fine"
print([
    attempt(lambda: h.pread(512, size)),
    attempt(lambda: h.pwrite(b"x" * 512, size)),
    attempt(lambda: h.zero(512, size)),
    attempt(lambda: h.trim(512, size)),
    attempt(lambda: h.pread(0, 0)),
    attempt(lambda: h.pwrite(b"", 0)),
    attempt(lambda: h.pread(512, 0, 1 << 7)),
    attempt(lambda: h.pwrite(b"x" * 512, 0, 1 << 7)),
    attempt(lambda: h.zero(512, 0, nbd.CMD_FLAG_FAST_ZERO)),
    attempt(lambda: h.cache(512, 0)),
    attempt(lambda: h.block_status(512, size, lambda *a: 0)),
    attempt(lambda: h.pread(1 << 26, 0)),
    attempt(lambda: h.pread(512, 0, nbd.CMD_FLAG_DF)),
    attempt(lambda: h.flush()),
])
h.shutdown()
"""


def test_libnbd_is_refused_what_is_illegal(served: Served) -> None:
    python = "/usr/bin/python3"
    if subprocess.run([python, "-c", "import nbd"], capture_output=True, check=False).returncode:
        pytest.skip("python3-libnbd is not installed")
    outcomes = run(python, "-c", ILLEGAL, served.uri()).stdout.strip()
    refused, read_too_long, good = ["EINVAL"], ["EINVAL"], ["fine"]
    expected = [*refused, "ENOSPC", "ENOSPC", *refused * 8, *read_too_long, *good * 2]
    assert outcomes == str(expected)


def test_two_clients_of_a_multi_connection_export_see_one_cache(served: Served) -> None:
    needs("qemu-io")
    for turn in range(4):
        write = ("-c", f"write -P {turn + 1} {turn * 64}k 64k", "-c", "flush")
        run("qemu-io", "-f", "raw", *write, served.uri())
        run("qemu-io", "-r", "-f", "raw", "-c", f"read -P {turn + 1} {turn * 64}k 64k", served.uri())
    expected = b"".join(struct.pack("B", turn + 1) * 65536 for turn in range(4))
    assert served.volume.content(0, 4 * 65536) == expected
