"""Keeps what this host shows of volumes with drive letters and folders in step with what they should be."""

from __future__ import annotations

import fcntl
import logging
import os
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from msgspec.structs import replace

from engine.drives.drive import NO_ANSWER, PROBE_EACH_S, Busy, Drive, Spec
from engine.drives.journal import Journal, owned_folder
from engine.drives.leftovers import clean
from engine.drives.users import users, users_of
from engine.errors import CommandRejected, EngineError
from engine.events import Remove, Upsert
from engine.filesystems.contents import look_at_volume
from engine.filesystems.tools import no_files, no_mounts
from engine.plans import Problem
from engine.records import Connection, Kind, Ref, Severity, Volume
from engine.rules import listed, with_drives
from engine.serving import export_name

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from engine.commit import Committer
    from engine.config import Config, Edit
    from engine.events import Batch
    from engine.filesystems.programs import Programs
    from engine.runtime import Runtime, Thread

log = logging.getLogger(__name__)

_FIRST_S, _LAST_S = 1.0, 60.0
_GONE_S = 20.0


class _Later(NamedTuple):
    """When something that failed is tried again."""

    due: float
    delay: float


class DriveKeeper:
    """One thread, begun with the first volume that has a letter or a folder, does all of it; `away` from any other."""

    def __init__(self, committer: Committer, runtime: Runtime, socket: str, programs: Programs) -> None:
        self._committer = committer
        self._runtime = runtime
        self._socket = socket
        self._programs = programs
        self._folder = Path(socket).parent / "drives" if socket else None
        self._changed = runtime.condition()
        self._work = runtime.lock()  # around everything that mounts or unmounts
        self._drives: dict[Ref, Drive] = {}
        self._later: dict[Ref, _Later] = {}
        self._notes: dict[Ref, str] = {}
        self._away: Counter[Ref] = Counter()
        self._users: dict[Ref, tuple[str, ...]] = {}
        self._told: dict[Ref, str] = {}
        self._shown: set[Ref] = set()  # volumes whose records may tell of drives
        self._left: set[Ref] = set()  # somebody else has unmounted their folders: that is what they want
        self._thread: Thread | None = None
        self._woken = self._closed = False
        self._why = ""
        self._lock = -1
        self._journal = Journal(self._folder) if self._folder is not None else None

    # --- beginning and end ---
    def start(self) -> None:
        """Watch for volumes that are to be shown; clean away what a killed engine has left."""
        if self._folder is None:
            return
        _, config = self._committer.attach(self._hear)
        if any(with_drives(config)) or (self._journal is not None and self._journal.there):
            self._wake()

    def close(self) -> None:
        """Everything is unmounted in order, before nobody serves the volumes any more."""
        self._committer.detach(self._hear)
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            thread = self._thread
        if thread is None:
            return
        thread.join()
        for ref in list(self._drives):
            self._end(ref)
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def _end(self, ref: Ref) -> None:
        try:
            self._hide(ref)
        except EngineError as error:
            log.warning("%s Its users are cut off.", error)
            self._drop(ref)

    # --- what others ask ---
    @contextmanager
    def away(self, volumes: Collection[Ref], *, force: bool = False) -> Iterator[None]:
        """Nothing of these volumes is shown while this lasts, and nothing is kept of what was read before.

        CommandRejected while somebody uses a drive, unless `force` cuts them off. Never to be called under the control
        lock.
        """
        config = self._committer.config
        meant = [one.ref for ref in volumes if isinstance(one := config.get(ref), Volume) and self._concerns(one)]
        with self._changed:
            self._away.update(meant)
        try:
            with self._work:
                for ref in meant:
                    self._take_away(ref, force)
            yield
        finally:
            with self._changed:
                self._away.subtract(meant)
                for ref in meant:
                    self._later.pop(ref, None)
            if meant:
                self._wake()

    def _take_away(self, ref: Ref, force: bool) -> None:
        drive = self._drives.get(ref)
        if drive is None:
            return
        try:
            self._hide(ref)
        except Busy as busy:
            if not force:
                text = f"{drive.spec.name} is in use by {listed(list(busy.users))}."
                help_ = "End these programs, or cut them off."
                raise CommandRejected((Problem(text, help_, ref, "force", "-f"),)) from busy
            self._drop(ref)
        if drive.hung:
            self._tell_anew(drive, NO_ANSWER)
        self._show_records()

    def look(self, volumes: Collection[Ref]) -> None:
        """The records of these volumes tell who uses their drives now."""
        if any(ref in self._drives for ref in volumes):
            self._look_at_users()
            self._show_records()

    # --- hearing of changes: under the control lock ---
    def _hear(self, batch: Batch) -> None:
        for event in batch.events:
            if isinstance(event, Upsert):
                record = event.record
                if isinstance(record, Volume) and self._concerns(record):
                    return self._wake()
            elif isinstance(event, Remove) and self._drives and event.ref.kind in (Kind.VOLUME, Kind.CONNECTION):
                return self._wake()
        return None

    def _concerns(self, volume: Volume) -> bool:
        return bool(volume.drive_letter or volume.drive_path) or volume.ref in self._drives

    def _wake(self) -> None:
        with self._changed:
            if self._closed or self._folder is None:
                return
            self._woken = True
            if self._thread is None:
                self._thread = self._runtime.thread("drives", self._run)
            self._changed.notify_all()

    # --- the thread ---
    def _run(self) -> None:
        try:
            self._prepare()
        except OSError as error:
            self._why = f"The folder {self._folder} can't be used ({error.strerror or error})."
        while self._wait():
            try:
                self._turn()
            except Exception:
                log.exception("Showing drives met a defect")

    def _prepare(self) -> None:
        assert self._folder is not None
        assert self._journal is not None
        self._why = owned_folder(self._folder)
        if self._why:
            return
        self._lock = os.open(self._folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._why = f"Another engine shows its drives in {self._folder}. Give this one a socket elsewhere."
            return
        clean(self._journal.read(), self._folder, self._programs, self._runtime)
        self._journal.write(())
        self._why = no_files()

    def _wait(self) -> bool:
        """Until there is something to do; False when it has ended."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._woken, self._patience())
            self._woken = False
            return not self._closed

    def _patience(self) -> float | None:
        dues = [later.due - self._runtime.now() for later in self._later.values()]
        if self._drives:
            dues.append(PROBE_EACH_S)
        return max(0.05, min(dues)) if dues else None

    def _turn(self) -> None:
        wanted = self._wanted(self._committer.config)
        for ref in list(self._drives):
            self._keep(ref, wanted.get(ref))
        if not self._why:
            for ref, spec in wanted.items():
                self._bring(ref, spec)
        self._forget(wanted)
        self._look_at_users()
        self._show_records()

    def _wanted(self, config: Config) -> dict[Ref, Spec]:
        """How each volume that is served is to be shown. Of two with one letter the first one has it."""
        assert self._folder is not None
        letters: dict[str, str] = {}
        wanted = {}
        notes = {}
        for volume in sorted(with_drives(config), key=lambda one: one.ref):
            letter = volume.drive_letter
            owner = letters.setdefault(letter, volume.name) if letter else ""
            if not (volume.serving and volume.size):
                continue
            if letter and owner != volume.name:
                notes[volume.ref] = f"The drive letter {letter} is that of {owner}, too: choose another one."
            name = letter if letter and owner == volume.name else volume.ref.id
            export = export_name(config.group(volume.group), volume)
            folder = volume.drive_path
            wanted[volume.ref] = Spec(volume.ref, volume.name, export, str(self._folder / name), folder, volume.size)
        self._notes = notes
        return wanted

    def _keep(self, ref: Ref, spec: Spec | None) -> None:
        """One that is shown: is it well, and as it should be?"""
        with self._work:
            drive = self._drives.get(ref)
            if drive is None:
                return
            why = drive.is_over()
            if why:
                self._renew(ref, drive, why)
            elif spec is None or (drive.spec.file, drive.spec.folder, drive.spec.size) != (
                spec.file,
                spec.folder,
                spec.size,
            ):
                self._hide_if_idle(ref)
            elif drive.lost_mount():
                self._left.add(ref)

    def _renew(self, ref: Ref, drive: Drive, why: str) -> None:
        drive.kill()
        self._drop(ref)
        self._put_off(ref)
        self._tell_anew(drive, why)
        self._show_records()

    def _tell_anew(self, drive: Drive, why: str) -> None:
        """By an alert, and by the volume's record until it is shown again."""
        self._told[drive.spec.volume] = f"Unexpectedly {why}: it is shown again by itself."
        lost = " What its file system had not written yet may be lost." if drive.spec.folder else ""
        self._committer.alert(
            Severity.WARNING,
            f"The drive of {drive.spec.name} is shown anew.",
            about=drive.spec.volume,
            cause=f"Unexpectedly {why}.{lost}",
            remedy="Programs that had it open must open it again. Change Drive Letter and Path says how it is shown.",
        )

    def _hide_if_idle(self, ref: Ref) -> None:
        drive = self._drives[ref]
        try:
            self._hide(ref)
            if drive.hung:
                self._tell_anew(drive, NO_ANSWER)
        except Busy as busy:
            self._notes[ref] = f"In use by {listed(list(busy.users))}: what is shown is as it was before."
            self._put_off(ref)

    def _bring(self, ref: Ref, spec: Spec) -> None:
        """One that is to be shown."""
        later = self._later.get(ref)
        if later is not None and later.due > self._runtime.now():
            return
        with self._work:
            if self._is_away(ref):
                return
            try:
                if ref not in self._drives:
                    self._show(ref, spec)
                if spec.folder and not self._drives[ref].folder:
                    self._mount(ref, spec)
                self._later.pop(ref, None)
                self._told.pop(ref, None)
            except EngineError as error:
                self._put_off(ref)
                self._tell(ref, spec, error)

    def _is_away(self, ref: Ref) -> bool:
        with self._changed:
            return self._closed or self._away[ref] > 0

    def _show(self, ref: Ref, spec: Spec) -> None:
        drive = Drive(spec, self._socket, self._programs, self._runtime, self._note)
        self._drives[ref] = drive
        try:
            drive.show()
        except BaseException:
            del self._drives[ref]
            self._note()
            raise

    def _mount(self, ref: Ref, spec: Spec) -> None:
        if why := no_mounts():
            raise EngineError(why)
        if ref in self._left:
            raise EngineError(f"Somebody has unmounted {spec.folder}. Stop and start {spec.name} to mount it again.")
        if names := users_of(self._drives[ref].place):
            raise EngineError(f"{spec.file} is in use by {listed(list(names))}: it is mounted when that has ended.")
        look_at_volume(self._committer, ref)
        volume = self._committer.config.get(ref)
        if isinstance(volume, Volume):
            self._drives[ref].mount(volume.content)

    def _hide(self, ref: Ref) -> None:
        drive = self._drives[ref]
        process = drive.process
        try:
            drive.hide()
        finally:
            self._note()
        del self._drives[ref]
        self._forget_one(ref)
        self._await_goodbye(ref, process)

    def _forget_one(self, ref: Ref) -> None:
        self._users.pop(ref, None)
        self._left.discard(ref)
        self._note()

    def _drop(self, ref: Ref) -> None:
        drive = self._drives.pop(ref)
        process = drive.process
        drive.drop()
        self._forget_one(ref)
        self._await_goodbye(ref, process)

    def _await_goodbye(self, ref: Ref, process: int) -> None:
        """The helper has ended; whoever acts now finds it gone."""

        def is_it(record: object) -> bool:
            return isinstance(record, Connection) and record.process_id == process

        self._committer.wait_until(lambda config: not any(map(is_it, config.connections_of(ref))), _GONE_S)

    def _note(self) -> None:
        if self._journal is not None:
            try:
                self._journal.write([drive.entry for drive in self._drives.values()])
            except OSError as error:
                raise EngineError(f"{self._folder} can't be written ({error.strerror or error}).") from error

    # --- telling ---
    def _put_off(self, ref: Ref) -> None:
        last = self._later.get(ref)
        delay = min(_LAST_S, last.delay * 2) if last is not None else _FIRST_S
        self._later[ref] = _Later(self._runtime.now() + delay, delay)

    def _tell(self, ref: Ref, spec: Spec, error: EngineError) -> None:
        """Once for each reason."""
        text = str(error)
        self._notes[ref] = text
        if self._told.get(ref) != text:
            self._told[ref] = text
            log.info("The drive of %s: %s", spec.name, text)

    def _forget(self, wanted: dict[Ref, Spec]) -> None:
        for known in (self._later, self._told):
            for ref in [ref for ref in list(known) if ref not in wanted and ref not in self._drives]:
                known.pop(ref, None)

    def _look_at_users(self) -> None:
        drives = dict(self._drives)
        order = list(drives)
        found = users({number: drives[ref].place for number, ref in enumerate(order)}) if order else {}
        self._users = {order[number]: names for number, names in found.items()}

    def _show_records(self) -> None:
        """The volumes' records tell what is shown of them, and why not more."""

        config = self._committer.config
        refs = {*self._drives, *self._shown, *(volume.ref for volume in with_drives(config))}

        def change(edit: Edit) -> None:
            for ref in sorted(refs):
                volume = edit.config.get(ref)
                if isinstance(volume, Volume):
                    edit.put(self._seen(volume))

        if any(isinstance(one := config.get(ref), Volume) and self._seen(one) != one for ref in refs):
            self._committer.show(change)
        self._shown = refs

    def _seen(self, volume: Volume) -> Volume:
        drive = self._drives.get(volume.ref)
        wants = bool(volume.drive_letter or volume.drive_path)
        told = self._notes.get(volume.ref) or self._told.get(volume.ref, "") or self._why
        seen = (
            drive.spec.file if drive is not None else "",
            drive.folder if drive is not None else "",
            self._users.get(volume.ref, ()),
            told if wants and volume.serving else "",
        )
        if seen == (volume.drive, volume.mounted, volume.drive_users, volume.drive_note):
            return volume
        file, folder, names, note = seen
        return replace(volume, drive=file, mounted=folder, drive_users=names, drive_note=note)
