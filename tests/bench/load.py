"""What clients do, by fio's NBD engine: random and sequential, cold, and with flushes."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from engine.units import MIB

_GRACE_S = 60


@dataclass(frozen=True)
class Load:
    """`flush_every` so many writes comes one FLUSH; `bytes` says that the figure is MiB/s instead of requests/s."""

    verb: str  # fio's rw
    block: str
    depth: int
    flush_every: int = 0
    bytes: bool = False


READS = Load("randread", "4k", 32)
WRITES = Load("randwrite", "4k", 32)
ONE_READ = Load("randread", "4k", 1)
ONE_WRITE = Load("randwrite", "4k", 1)
SEQUENTIAL_READ = Load("read", "1m", 4, bytes=True)
SEQUENTIAL_WRITE = Load("write", "1m", 4, bytes=True)
FLUSHED_WRITES = Load("randwrite", "4k", 16, flush_every=16)


def rate(uri: str, load: Load, size: int, seconds: float) -> float:
    """Thousands of requests a second, or MiB/s, over `seconds` on the first `size` bytes of an export."""
    words = [*_words(uri, load.verb, load.block, load.depth, size), "--time_based", f"--runtime={seconds:g}"]
    words += ["--norandommap", "--randrepeat=0", "--output-format=json"]
    words += [f"--fsync={load.flush_every}"] if load.flush_every else []
    done = subprocess.run(words, capture_output=True, text=True, timeout=seconds + _GRACE_S, check=False)
    found = json.loads(done.stdout[done.stdout.index("{") :])["jobs"][0]
    if done.returncode or found["error"]:
        raise RuntimeError(f"fio on {uri} failed with error {found['error']}: {done.stderr}")
    side = found["read" if load.verb.endswith("read") else "write"]
    return float(side["bw_bytes"] / MIB if load.bytes else side["iops"] / 1000)


def spots(uri: str, size: int, count: int) -> None:
    """Write 4 KiB in so many places, evenly apart."""
    words = _words(uri, f"write:{size // count - 4096}", "4k", 1, size)
    subprocess.run([*words, f"--number_ios={count}"], capture_output=True, timeout=60, check=True)


def fill(uri: str, size: int) -> None:
    """Write every byte, with data that nothing can shorten; afterwards it is in the page cache, too."""
    words = [*_words(uri, "write", "1m", 4, size), "--refill_buffers", "--end_fsync=1"]
    subprocess.run(words, capture_output=True, timeout=600, check=True)


def synced_rate(uri: str, size: int) -> float:
    """MiB/s of writing every byte once in order, until the FLUSH behind the last one is answered."""
    words = [*_words(uri, "write", "1m", 4, size), "--end_fsync=1", "--output-format=json"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=600, check=True)
    found = json.loads(done.stdout[done.stdout.index("{") :])["jobs"][0]
    return size / MIB / (found["job_runtime"] / 1000)


def changes(uri: str, size: int, count: int) -> None:
    """Write 4 KiB in so many places, drawn at random, none of them twice."""
    words = [*_words(uri, "randwrite", "4k", 32, size), f"--number_ios={count}", "--randrepeat=0", "--end_fsync=1"]
    subprocess.run(words, capture_output=True, timeout=600, check=True)


def endless(uri: str, load: Load, size: int) -> list[str]:
    """The words of a program that does this until it is told to end."""
    return [*_words(uri, load.verb, load.block, load.depth, size), "--time_based", "--runtime=86400", "--norandommap"]


def bring_in(files: Iterable[Path]) -> None:
    """Read files to their ends, so that they lie in the page cache: kernels that reclaim idle pages have taken parts of
    what was filled a minute ago, and not the same parts on both sides."""
    buffer = bytearray(MIB)
    for file in files:
        with file.open("rb", buffering=0) as stream:
            while stream.readinto(buffer):
                pass


def _words(uri: str, verb: str, block: str, depth: int, size: int) -> list[str]:
    return [
        "fio",
        "--name=bench",
        "--thread",
        "--ioengine=nbd",
        f"--uri={uri}",
        f"--rw={verb}",
        f"--bs={block}",
        f"--iodepth={depth}",
        f"--size={size}",
    ]
