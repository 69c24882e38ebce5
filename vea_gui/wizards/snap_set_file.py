"""The XML file of a set that was taken in the console: written off the GUI thread once the snapshots are durable."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QObject

from engine import rules, snap_file
from engine.errors import EngineError
from engine.records import Ref, Task, TaskState
from vea_gui.console import Console
from vea_gui.operations import failure_title

TITLE = failure_title("The file of the snapshot set")


def write_when_taken(console: Console, task: Ref, path: Path, *, overwrite: bool) -> None:
    """Write the file as soon as the task has completed; say so, or why it could not be."""
    _Waiting(console, task, path, overwrite).look()


class _Waiting(QObject):
    """Lives with the console until the task has ended."""

    def __init__(self, console: Console, task: Ref, path: Path, overwrite: bool) -> None:
        super().__init__(console)
        self.console, self.task, self.path, self.overwrite = console, task, path, overwrite
        console.changed.connect(self.look)

    def look(self, _: object = None) -> None:
        """See how the task stands."""
        task = self.console.config.get(self.task)
        if not isinstance(task, Task) or not task.ended:
            return
        self._end()
        if task.state is TaskState.COMPLETED:
            self._write(task)
        else:
            told = f"{self.path} was not written: the snapshots are not known to be whole on the disks."
            self.console.show_error(told, TITLE)

    def _write(self, task: Task) -> None:
        config, path, overwrite = self.console.config, self.path, self.overwrite

        def write() -> None:
            snap_file.write(path, snap_file.set_of(config, _taken(task)), overwrite=overwrite)

        names = rules.listed([config.volume(ref).name for ref in _taken(task) if ref in config])
        done = f"{path} describes {names}: vxsnap restores them by it."
        self.console.session.bridge.call(write, lambda _: self.console.tell(done), self._failed)

    def _failed(self, error: BaseException) -> None:
        self.console.show_error(error if isinstance(error, EngineError) else str(error), TITLE)

    def _end(self) -> None:
        self.console.changed.disconnect(self.look)
        self.deleteLater()


def _taken(task: Task) -> tuple[Ref, ...]:
    """The snapshots of a set; its originals stand behind them."""
    volumes = task.params.volumes
    return volumes[: len(volumes) // 2]
