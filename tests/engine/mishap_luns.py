"""A real `vxsvc` on a lab with one volume of each layout, and what may befall one of its LUNs."""

from __future__ import annotations

import itertools
import json
import signal
import subprocess
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from random import Random

from engine.commands import RemoveLuns
from engine.records import Disk, Group, Kind, Ref
from engine.units import MIB
from tests.engine.cli_program import command_line
from tests.engine.mishap_clients import Clients
from tests.engine.mishap_operator import Operator
from tests.engine.service import Service

GROUP = "dg"
LUNS = 6
LUN_SIZE = 112 * MIB
LAYOUTS: dict[str, tuple[str, ...]] = {
    "concat": (),
    "stripe": ("layout=stripe", "columns=2"),
    "mirror2": ("layout=mirror",),
    "mirror3": ("mirror=3",),
    "mirror-stripe": ("layout=mirror-stripe", "columns=2"),
    "raid5": ("layout=raid5", "columns=3"),
    "raid5-unlogged": ("layout=raid5", "columns=3", "logtype=none"),
}
SIZE = "16m"
ONLY_COPY = frozenset({"concat", "stripe"})
"""An error is all that they can answer when a LUN of theirs is gone."""


class Site(Service):
    """The process with its lab, group, volumes, clients and operator."""

    operator: Operator
    clients: Clients

    def __init__(self, folder: Path, seed: int) -> None:
        super().__init__(folder)
        self.chance = Random(seed)
        self._seed = seed
        self._numbers = itertools.count()
        self.twins: list[Path] = []  # copies of LUNs that lie about

    def create(self, lun_size: str = str(LUN_SIZE)) -> None:
        """Sixteen LUNs, ten of them in a group with a volume of each layout; clients that verify all of these."""
        made = self.run("vea-lab", "create", "lab", "--arrays", "2", "--luns", "8", "--lun-size", lun_size)
        assert made.returncode == 0, made.stderr
        settings = self.folder / "lab/lab.json"
        settings.write_text(json.dumps({**json.loads(settings.read_text()), "furnished": True}))
        self.start()
        self.tell("vxdg", "init", GROUP, *(f"Harddisk{number}" for number in range(LUNS)))
        for name in LAYOUTS:
            self.make_volume(name)
        self.clients = Clients({name: self.uri(name) for name in LAYOUTS}, self.folder, self._seed)

    def start(self) -> None:
        words = command_line(["vxsvc", "--lab", "lab", "--state", "state", "--socket", "c", "--nbd", "n"])
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen(
                words, cwd=self.folder, env=self.environment, stdout=subprocess.PIPE, stderr=log, text=True
            )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n", self.log_file.read_text()
        before = self.operator.done if hasattr(self, "operator") else Counter[str]()
        self.operator = Operator(self.folder / "c", self.new_lun, LUN_SIZE, self.take_copies_away)
        self.operator.done = before  # it is the same operator, whichever process answers

    def end(self, number: signal.Signals) -> int:
        self.operator.close()
        return super().end(number)

    @property
    def log_file(self) -> Path:
        return self.folder / "vxsvc.log"

    def tell(self, *words: str) -> None:
        done = self.run(*words)
        assert done.returncode == 0, (words, done.stderr)

    def make_volume(self, name: str) -> None:
        self.tell("vxassist", "-g", GROUP, "make", name, SIZE, *LAYOUTS[name])

    def uri(self, volume: str) -> str:
        return f"nbd+unix:///{GROUP}/{volume}?socket={self.folder / 'n'}"

    def new_lun(self) -> Path:
        """An empty file that may become one."""
        path = self.folder / f"new{next(self._numbers)}.img"
        with path.open("wb") as file:
            file.truncate(LUN_SIZE)
        return path

    def take_copies_away(self) -> bool:
        """What an alert has asked for: whoever has made copies knows which they are. False when there are none.

        Where an engine has found nothing else that carries the label when it started, the copy is the disk since.
        """
        twins, self.twins = self.twins, []
        disks = {disk.lun: disk for disk in self.operator.config.all(Kind.DISK, Disk)}
        copies = [twin for twin in twins if str(twin) not in disks or disks[str(twin)].group is None]
        for twin in copies:
            twin.unlink()
            if str(twin) in disks:
                assert self.operator.do(RemoveLuns(disks=(disks[str(twin)].ref,))) == "", self.operator.told()
        return bool(copies)

    # --- what there is ---
    @property
    def used(self) -> list[Disk]:
        """The disks of the group that something lies on."""
        config = self.operator.config
        group = config.find(Kind.GROUP, GROUP)
        assert isinstance(group, Group)
        return [disk for disk in config.disks_of(group.ref) if config.subdisks_on(disk.ref)]

    def volumes_on(self, disk: Ref) -> set[str]:
        config = self.operator.config
        return {config.volume_of(subdisk).name for subdisk in config.subdisks_on(disk)}

    def meanwhile(self, disk: Disk) -> None:
        """Until the clients of what lies on a disk have met what has happened."""
        names = self.volumes_on(disk.ref)
        for client in self.clients:
            if client.volume in names:
                client.wait_for_run()

    def make_again(self, names: Iterable[str]) -> None:
        """What had to be deleted is restored: here, made anew and written anew."""
        for name in names:
            self.make_volume(name)
            self.clients.of[name].write_old()

    def close(self) -> None:
        if hasattr(self, "clients"):
            self.clients.end()
        if hasattr(self, "operator"):
            self.operator.close()
        self.stop()

    def restart(self, between: Callable[[], None], *, kill: bool) -> None:
        """While the engine is away something happens; clients rest meanwhile."""
        self.clients.rest()
        assert self.end(signal.SIGKILL if kill else signal.SIGTERM) == (-signal.SIGKILL if kill else 0)
        between()
        self.start()
        self.clients.go_on()
