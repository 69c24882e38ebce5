"""fio on the exports of several volumes at a time: what is written is verified, and what was written long ago, too.

Each volume has two parts. The old one is written once with a pattern of its own, and read back again and again; in the
new one fio writes at random and verifies each run. A byte that is wrong and an error are told apart.
"""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from random import Random

WRONG = ("err=84", "verify failed", "bad magic", "bad header")
"""What fio says of bytes that are not those that it wrote. 84 is EILSEQ, its error for that."""
OLD_BYTES = "6m"
NEW_BYTES = "2m"
NEW_AT = "8m"
PATIENCE_S = 120


class Client(threading.Thread):
    """Verifies one volume until `over`; `rest` and `go_on` stop it between two runs of fio.

    `wrong` has what fio said of wrong bytes, `errors` counts runs that ended with an error.
    """

    def __init__(self, name: str, uri: str, folder: Path, seed: int) -> None:
        super().__init__(name=f"fio {name}")
        self.volume, self.uri = name, uri
        self.wrong: list[str] = []
        self.errors: list[str] = []
        self.runs = self.looks = 0
        self._folder = folder / f"fio-{name}"
        self._folder.mkdir()
        self._chance = Random(seed)
        self._changed = threading.Condition()
        self._resting = self._busy = self._over = False
        self._pattern = ""

    # --- for the test's thread ---
    def write_old(self) -> None:
        """All of the old part gets a new pattern, which names each block's offset. The client has to rest."""
        self._pattern = f"0x{self._chance.getrandbits(32) | 1:08x}%o"
        assert self._fio(*self._old(), "--do_verify=1"), self.errors or self.wrong

    def rest(self) -> None:
        """Returns when no fio runs."""
        with self._changed:
            self._resting = True
            assert self._changed.wait_for(lambda: not self._busy, PATIENCE_S), self.volume

    def go_on(self) -> None:
        with self._changed:
            self._resting = False
            self._changed.notify_all()

    def wait_for_run(self) -> None:
        """Until a run has begun and ended from now on."""
        with self._changed:
            wanted = self.runs + 2  # the first of them may have begun before
            assert self._changed.wait_for(lambda: self.runs >= wanted or not self.is_alive(), PATIENCE_S), self.volume

    def look(self) -> bool:
        """Whether the old part can be read and is as it was written; a wrong byte is noted by itself."""
        self.looks += 1
        return self._fio(*self._old(), "--verify_only=1")

    def end(self) -> None:
        with self._changed:
            self._over = True
            self._changed.notify_all()
        self.join(PATIENCE_S)

    # --- the thread ---
    def run(self) -> None:
        while True:
            with self._changed:
                self._busy = False
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._over or not self._resting)
                if self._over or self.wrong:
                    return
                self._busy = True
            good = self._fio(*self._new())
            if self._chance.random() < 0.5:
                good = self.look() and good
            with self._changed:
                self.runs += 1
                if not good:
                    self._changed.wait(0.2)  # nobody may be there; no more of a storm than that

    def _old(self) -> list[str]:
        words = ["--rw=write", "--bs=64k", f"--size={OLD_BYTES}"]
        return [*words, "--verify=pattern", f"--verify_pattern={self._pattern}"]

    def _new(self) -> list[str]:
        words = ["--rw=randwrite", "--bsrange=4k-64k", f"--size={NEW_BYTES}", f"--offset={NEW_AT}", "--rate=,4m"]
        words += ["--verify=crc32c", "--do_verify=1", f"--randseed={self._chance.randrange(1, 10**6)}"]
        return [*words, f"--fsync={self._chance.choice((8, 64, 1000))}"]

    def _fio(self, *words: str) -> bool:
        done = subprocess.run(
            ["fio", "--name=v", "--ioengine=nbd", f"--uri={self.uri}", "--iodepth=8", "--verify_fatal=1", *words],
            cwd=self._folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE_S,
        )
        if done.returncode == 0:
            return True
        said = f"{self.volume}: {' '.join(words)}\n{done.stdout}\n{done.stderr}"
        (self.wrong if any(word in said for word in WRONG) else self.errors).append(said)
        return False


class Clients:
    """A client for each volume."""

    def __init__(self, uris: dict[str, str], folder: Path, seed: int) -> None:
        self.of = {name: Client(name, uri, folder, seed + number) for number, (name, uri) in enumerate(uris.items())}
        for client in self.of.values():
            client.write_old()
        for client in self.of.values():
            client.start()

    def __iter__(self) -> Iterator[Client]:
        return iter(self.of.values())

    def rest(self) -> None:
        for client in self:
            client.rest()

    def go_on(self) -> None:
        for client in self:
            client.go_on()

    def end(self) -> None:
        for client in self:
            client.end()
