"""What planners that need space have in common: rounding, chosen disks, and the reason when there is no room."""

from __future__ import annotations

from collections.abc import Sequence

from engine import rules
from engine.config import Config
from engine.planners.draft import Draft
from engine.plans import Problem
from engine.records import Disk, Ref
from engine.units import ALLOCATION_UNIT, format_apart, format_exact, format_size


def rounded(draft: Draft, size: int, granule: int = ALLOCATION_UNIT) -> int:
    """The size in whole allocation units, of RAID-5 in whole rows; a warning tells when that is more than was asked
    for."""
    whole = -(-size // granule) * granule
    if whole != size:
        draft.warn(f"The size is rounded up from {format_exact(size)} to {format_size(whole)}.")
    return whole


def named_disks(config: Config, group: Ref, disks: Sequence[Ref]) -> Problem | None:
    """The disks that were chosen belong to the group and are there."""
    for ref in disks:
        disk = config.disk(ref)
        if disk.group != group:
            text = f"{disk.name} does not belong to {config.group(group).name}."
            return Problem(text, "Choose a disk of the same disk group.", ref, "disks")
        if missing := rules.disk_present(config, ref):
            return missing
    return None


def warn_failing(draft: Draft, disks: Sequence[Ref]) -> None:
    """Somebody chose disks that have failed before: that is allowed, but not silently."""
    names = [draft.config.disk(ref).name for ref in disks if draft.config.disk(ref).failing]
    if names:
        draft.warn(f"I/O errors were seen on {rules.listed(names)}.")


def too_few_disks(config: Config, disks: Sequence[Disk], slots: int) -> Problem | None:
    """`slots` columns, each on disks of its own, need as many disks with free space."""
    able = [disk for disk in disks if config.free(disk.ref)]
    if len(able) >= slots:
        return None
    count = f"{slots} disks with free space are" if slots > 1 else "A disk with free space is"
    have = f"{len(able)} can be used" if able else "none can be used"
    help_ = "Add disks to the disk group, or ask for fewer columns or mirrors."
    return Problem(f"{count} needed; {have}.", help_, field="disks")


def no_space(config: Config, disks: Sequence[Disk], slots: int, size: int, largest: int) -> Problem:
    """Why `slots` columns, each on disks of its own, find no room for a volume of `size` bytes."""
    if problem := too_few_disks(config, disks, slots):
        return problem
    if largest <= 0:
        text = "The free space is not where these choices need it."
        return Problem(text, "Choose other disks, or ask for fewer columns or mirrors.", field="disks")
    wanted, most = format_apart(size, largest)
    return Problem(f"There is no room for {wanted}: {most} is the most.", "Give a smaller size.", field="size")
