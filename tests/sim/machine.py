"""A host and its LUNs, which outlive any number of lives of its engine."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

from engine.engine import Engine
from engine.errors import DeviceError
from engine.state_folder.host_state import HostState
from engine.units import MIB
from tests.sim.folder import Files, FolderImage, HostFolder
from tests.sim.journal import Journal
from tests.sim.lun import SimLun, Troubles
from tests.sim.media import Image, Media, settle
from tests.sim.patches import Now
from tests.sim.runtime import SimRuntime

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LUN_SIZE = 48 * MIB


@dataclass(frozen=True)
class Snapshot:
    """All LUNs and the host's own files at one instant, power still on."""

    luns: dict[str, Image]
    files: FolderImage
    clock: float


def _no_fate(path: str, verb: str) -> int:
    """Nothing fails."""
    return 0


def _unheard(lun: str, what: str) -> None:
    """Nobody listens."""


class Machine:
    """`moment` hears of each change of any LUN, (LUN, what), while it is half done; `fate` makes operations fail."""

    def __init__(self, seed: int, journal: Journal | None = None) -> None:
        self.dice = Random(seed)
        self.journal = journal or Journal()
        self.moment: Callable[[str, str], None] = _unheard
        self.fate: Callable[[str, str], int] = _no_fate
        self.media: dict[str, Media] = {}
        self.troubles: dict[str, Troubles] = {}
        self.enclosures: dict[str, str] = {}
        self.files: Files = {}
        self.host = ""  # its id, once it has one
        self.clock = 1000.0
        self.eager = 0.1
        self.engine: Engine
        self.runtime: SimRuntime
        self.state: HostState | None = None
        self.folder: HostFolder

    def add_luns(self, count: int = 6, size: int = LUN_SIZE, enclosures: int = 2) -> None:
        """New LUNs, dealt out to enclosures in turn."""
        for number in range(len(self.media), len(self.media) + count):
            path = f"/sim/lun{number}"
            self.media[path], self.troubles[path] = Media(size), Troubles()
            self.enclosures[path] = f"array{number % enclosures}"

    # --- lives ---
    def live(self, main: Callable[[], None]) -> bool:
        """One life: an engine is started, `main` runs, the engine is closed in order.

        False when the power went off before that, by `cut` or by `moment`; the LUNs are as they were then.
        """
        self.runtime = Now.runtime = SimRuntime(self.dice.getrandbits(48), eager=self.eager, clock=self.clock)
        self.folder = Now.folder = HostFolder(self.files, self._tell_of_host)
        try:
            self.runtime.run(lambda: self._whole(self.folder.path, main))
        finally:
            _let_go(self.state)
            image = self.folder.image()
            self.files = image.after_cut(self.dice, self.dice.random()) if self.runtime.halted else image.files()
            self.clock = self.runtime.clock + 1.0
            self.folder.remove()
        return not self.runtime.halted

    def _whole(self, folder: Path, main: Callable[[], None]) -> None:
        self.state = state = HostState(folder, self.runtime)
        luns = [(path, self.enclosures[path]) for path in self.media]
        self.engine = Engine(state, luns=luns, runtime=self.runtime, opener=self.open)
        self.engine.start()
        main()
        self.engine.close()

    def open(self, path: str) -> SimLun:
        """What stands at a path, for the engine of this life."""
        if path not in self.media or self.troubles[path].pulled:
            raise DeviceError(errno.ENOENT, path, "Opening")
        media, troubles = self.media[path], self.troubles[path]
        told = (self._tell, self._strike)
        return SimLun(path, media, troubles, self.runtime, self.dice, self.journal, *told)

    def _tell_of_host(self, what: str) -> None:
        self.runtime.point()
        self.moment("host", what)

    def _tell(self, lun: str, what: str) -> None:
        self.moment(lun, what)

    def _strike(self, path: str, verb: str) -> int:
        return self.fate(path, verb)

    def cut(self) -> None:
        """The power goes off; called inside of a life, and never comes back."""
        self.journal.note(f"{self.runtime.clock:.6f}", "power cut")
        self.runtime.halt()

    def power_on(self, keep: float | None = None) -> None:
        """After a cut: what the caches held is gone, as far as the dice say."""
        for media in self.media.values():
            pages = settle(media.image(), self.dice, self.dice.random() if keep is None else keep)
            media.stable, media.current, media.extents = pages, dict(pages), []

    # --- snapshots ---
    def snapshot(self) -> Snapshot:
        """Everything that outlives the engine, now."""
        luns = {path: media.image() for path, media in self.media.items()}
        return Snapshot(luns, self.folder.image(), self.runtime.clock)

    @classmethod
    def after(cls, snapshot: Snapshot, seed: int, keep: float, journal: Journal | None = None) -> Machine:
        """The machine as it is when the power comes back after a cut at that instant."""
        machine = cls(seed, journal)
        for number, (path, image) in enumerate(snapshot.luns.items()):
            pages = settle(image, machine.dice, keep)
            machine.media[path] = Media(image.size, pages, dict(pages), [], set(image.bad))
            machine.troubles[path] = Troubles()
            machine.enclosures[path] = f"array{number % 2}"
        machine.files, machine.clock = snapshot.files.after_cut(machine.dice, keep), snapshot.clock + 1.0
        return machine


def _let_go(state: HostState | None) -> None:
    """The lock on the state folder ends with the process, whatever that had still wanted to write."""
    if state is not None and state._lock >= 0:
        os.close(state._lock)
        state._lock = -1
