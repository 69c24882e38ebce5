"""One volume as this host shows it: the file that nbdfuse makes of its export, and the mount of its file system."""

from __future__ import annotations

import contextlib
import os
import stat
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

from engine.drives.folders import open_folder
from engine.drives.journal import Entry, born
from engine.drives.mounts import backing_file, mount_at, mounts
from engine.drives.users import Place, users_of
from engine.errors import EngineError
from engine.filesystems.mounted import comes_up
from engine.filesystems.tools import MOUNTER, UNMOUNTER, path_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.filesystems.programs import Programs
    from engine.records import Ref
    from engine.runtime import Runtime

_READY_S, _LOOK_S, _GONE_S, _IDLE_S, _PROGRAM_S, _TURN_S = 60.0, 0.02, 20.0, 20.0, 120.0, 0.5
PROBE_EACH_S, PROBE_S = 10.0, 60.0
"""A helper is asked for its file's size so often, and has so long to answer."""
NO_ANSWER = "its helper did not answer any more"
_SAID = 1 << 16
_KINDS = {
    "ext2 file system": ("ext2", ""),
    "ext3 file system": ("ext3", ""),
    "ext4 file system": ("ext4", ""),
    "xfs file system": ("xfs", ",nouuid"),  # a snapshot has the identity of its original
    "btrfs file system": ("btrfs", ""),
    "vfat file system": ("vfat", ""),
    "exfat file system": ("exfat", ""),
    "ntfs file system": ("ntfs3,ntfs-3g", ""),
}


class Spec(NamedTuple):
    """How a volume is to be shown: its name and export, its file and folder (empty: none), its size in bytes."""

    volume: Ref
    name: str
    export: str
    file: str
    folder: str
    size: int


class Busy(EngineError):
    """Somebody uses the drive."""

    def __init__(self, name: str, users: tuple[str, ...]) -> None:
        super().__init__(f"The drive of {name} is in use.")
        self.users = users or ("a program that this host does not name",)


class Drive:
    """Shows a volume until `hide`. One thread at a time calls it."""

    def __init__(self, spec: Spec, socket: str, programs: Programs, runtime: Runtime, note: Callable[[], None]) -> None:
        """`note` writes down what `entry` tells; nothing is mounted before it has returned."""
        self.spec = spec
        self.folder = ""  # where the file system is mounted
        self._loop = ""
        self._mount = 0
        self._socket = socket
        self._programs = programs
        self._runtime = runtime
        self._note = note
        self._planned = ""
        self._program: subprocess.Popen[bytes] | None = None
        self._words = -1
        self._probe: subprocess.Popen[bytes] | None = None
        self._probed = 0.0
        self.patience_s = PROBE_S
        self.hung = False  # its helper has been ended because it answered nobody

    @property
    def process(self) -> int:
        """The process that shows the file; 0 while there is none."""
        return self._program.pid if self._program is not None else 0

    @property
    def entry(self) -> Entry:
        """What has to be cleaned away after this engine."""
        return Entry(self.spec.file, self.folder or self._planned, self.process, born(self.process))

    @property
    def place(self) -> Place:
        return Place(self.spec.file, self.folder, self._loop)

    # --- showing ---
    def show(self) -> None:
        """Make the file. EngineError says why it can't be had; nothing is left then."""
        file = Path(self.spec.file)
        _make_way(file)
        self._note()
        uri = f"nbd+unix:///{quote(self.spec.export)}?socket={quote(self._socket)}"
        self._words, said = os.pipe()
        os.set_blocking(said, False)  # what nobody reads is lost, and holds nobody up
        os.set_blocking(self._words, False)
        try:
            command = [path_of(MOUNTER) or MOUNTER, "-P", str(_ready_of(file)), str(file), uri]
            self._program = self._programs.start(command, said=said, alone=True)
        finally:
            os.close(said)
        self._note()
        try:
            self._await(_ready_of(file))
        except BaseException:
            self.drop()
            raise

    def _await(self, ready: Path) -> None:
        assert self._program is not None
        if not comes_up(self._program, ready, self._runtime, _READY_S):
            said = " ".join(self._read_words().split())[-300:]
            raise EngineError(f"{MOUNTER} could not show {self.spec.name}{f' ({said})' if said else ''}.")

    def _read_words(self) -> str:
        with contextlib.suppress(BlockingIOError):
            return os.read(self._words, _SAID).decode(errors="replace")
        return ""

    def mount(self, content: str) -> None:
        """Mount its file system in its folder. EngineError says why that can't be."""
        known = _KINDS.get(content)
        if known is None:
            what = content or "nothing that is known"
            raise EngineError(f"{what[:1].upper()}{what[1:]} stands on {self.spec.name}: format it to have it mounted.")
        folder = open_folder(self.spec.folder)
        self._planned = self.spec.folder
        try:
            self._note()
            kind, more = known
            options = f"loop,nosuid,nodev{more}"
            target = f"/proc/{os.getpid()}/fd/{folder}"  # the folder that was looked at, wherever its path leads now
            self._run("mount", "-c", "-t", kind, "-o", options, self.spec.file, target)
        finally:
            os.close(folder)
            self._find_mount()
            self._planned = ""
            self._note()

    def _find_mount(self) -> None:
        found = mount_at(self.spec.folder)
        if found is not None and backing_file(found.source) == self.spec.file:
            self.folder, self._mount, self._loop = self.spec.folder, found.id, found.source
            return
        for mount in mounts():  # it was moved away meanwhile
            if mount.source.startswith("/dev/loop") and backing_file(mount.source) == self.spec.file:
                self._run("umount", mount.point)

    def _run(self, name: str, *arguments: str) -> None:
        """A program of the system. EngineError in its words."""
        status, said = self._tried(name, *arguments)
        if status:
            words = " ".join(said.split())[-300:]
            raise EngineError(f"{name} ended with status {status}: {words or 'it said nothing'}")

    def _tried(self, name: str, *arguments: str) -> tuple[int, str]:
        program = self._programs.start([path_of(name) or name, *arguments])
        until = self._runtime.now() + _PROGRAM_S
        while True:
            try:
                out, err = program.communicate(timeout=_TURN_S)
            except subprocess.TimeoutExpired:
                if self._is_hung():
                    self.kill()  # whoever waits for it fails now, and so does the program
                if self._runtime.now() > until:
                    return -1, self._give_up(program)
                continue
            return program.returncode, (err or out).decode(errors="replace").replace(self.spec.file, self.spec.name)

    def _give_up(self, program: subprocess.Popen[bytes]) -> str:
        """The kernel may keep a program that waits for a device: nobody here waits for that."""
        program.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            program.communicate(timeout=_GONE_S)
        return f"it has not ended in {_PROGRAM_S:.0f} s"

    # --- looking ---
    def is_over(self) -> str:
        """Why it has to be shown anew; empty while it is well."""
        if self.hung:
            return NO_ANSWER
        if self._is_dead():
            return "its helper had ended"
        mount = mount_at(self.spec.file)
        if mount is None:
            return "its file had been unmounted"
        return NO_ANSWER if self._is_hung() else ""

    def _is_hung(self) -> bool:
        """A program asks for the file's size now and then: this one would hang with it."""
        now = self._runtime.now()
        if self.hung or self._is_dead():
            return False
        if self._probe is None:
            if now - self._probed >= min(PROBE_EACH_S, self.patience_s):
                self._probe = self._programs.start([path_of("stat") or "stat", self.spec.file], said=subprocess.DEVNULL)
                self._probed = now
            return False
        if self._probe.poll() is not None:
            self._probe = None
            return False
        self.hung = now - self._probed > self.patience_s
        return self.hung

    def lost_mount(self) -> bool:
        """Whether somebody has unmounted its folder."""
        if not self.folder:
            return False
        mount = mount_at(self.folder)
        if mount is not None and mount.id == self._mount:
            return False
        self.folder, self._mount = "", 0
        self._note()
        return True

    # --- hiding ---
    def hide(self) -> None:
        """Unmount and end the helper, in order. Busy while somebody uses it: then what is used stays."""
        self._unmount()
        until = self._runtime.now() + _IDLE_S
        while mount_at(self.spec.file) is not None and not self._is_dead():
            self._tried(UNMOUNTER, "-u", self.spec.file)
            if mount_at(self.spec.file) is None:
                break
            if self._is_hung():
                self.kill()
                break
            users = users_of(self.place)
            if users or (self._runtime.now() > until and self._probe is None):  # what asks is in the way, too
                raise Busy(self.spec.name, users)
            self._runtime.sleep(_LOOK_S)  # the loop device lets go a moment after its mount
        self._ended()

    def _unmount(self) -> None:
        if not self.folder or self.lost_mount():
            return
        self._tried("umount", self.folder)
        if not self.lost_mount():
            raise Busy(self.spec.name, users_of(self.place))

    def drop(self) -> None:
        """Hide it in spite of everybody: their next requests fail."""
        if self.folder and not self.lost_mount():
            if not self._is_dead():
                self._tried("sync", "-f", self.folder)
            self._tried("umount", self.folder)
            if not self.lost_mount():
                self._tried("umount", "-l", self.folder)
                self.folder, self._mount = "", 0
        if mount_at(self.spec.file) is not None:
            self._tried(UNMOUNTER, "-u", self.spec.file)
        if mount_at(self.spec.file) is not None:
            self._tried(UNMOUNTER, "-u", "-z", self.spec.file)
            self.kill()  # it would go on for those who have the file open
        self._ended()

    def kill(self) -> None:
        """End a helper that answers nobody: all that wait for it fail."""
        if self._program is not None:
            self._program.kill()
            self._program.wait()

    def _is_dead(self) -> bool:
        return self._program is None or self._program.poll() is not None

    def _ended(self) -> None:
        """The helper ends once its mount is gone."""
        for program in (self._program, self._probe):
            if program is None:
                continue
            try:
                program.wait(min(_GONE_S, self.patience_s))
            except subprocess.TimeoutExpired:
                program.kill()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    program.wait(_GONE_S)
        if mount_at(self.spec.file) is not None:
            self._tried(UNMOUNTER, "-u", "-z", self.spec.file)
        if self._words >= 0:
            os.close(self._words)
        self._words, self._probe, self._loop = -1, None, ""
        remove_file(Path(self.spec.file))


def _make_way(file: Path) -> None:
    """An empty file for nbdfuse to stand on; what is there and is not one is nobody's to take."""
    _ready_of(file).unlink(missing_ok=True)
    if mount_at(str(file)) is not None:
        raise EngineError(f"Something is mounted at {file} already. Unmount it.")
    try:
        status = file.lstat()
        if not stat.S_ISREG(status.st_mode) or status.st_size:
            raise EngineError(f"{file} is there already and is no drive of this engine. Move it away.")
    except FileNotFoundError:
        _make(file)


def _ready_of(file: Path) -> Path:
    return file.with_name(f".{file.name}.ready")


def _make(file: Path) -> None:
    try:
        os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise EngineError(f"{file} can't be made: {error.strerror or error}.") from error


def remove_file(file: Path) -> None:
    """Take away what `show` had made, once nothing is mounted there."""
    _ready_of(file).unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        if mount_at(str(file)) is None and stat.S_ISREG((status := file.lstat()).st_mode) and not status.st_size:
            file.unlink()
