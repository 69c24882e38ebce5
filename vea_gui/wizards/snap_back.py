"""Snap Back: a snapshot returns to its volume, and one of them gets the data of the other."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from engine import rules
from engine.commands import Master, SnapBack
from engine.config import Config
from engine.plans import Plan
from engine.records import Ref, Volume
from engine.units import format_band, format_size
from vea_gui import moments, snap_words
from vea_gui.selection import Selection
from vea_gui.wizards import choices
from vea_gui.wizards.form import Answers, Field, FieldKind, Form, Option, Page
from vea_gui.wizards.plan_words import COPYING, expected_s

WAYS = {
    Master.ORIGINAL: "Resynchronize using the original volume",
    Master.SNAPSHOT: "Resynchronize using the snapshot",
}
ALONE, SET = "alone", "set"


def candidates(config: Config, volumes: list[Volume]) -> list[Volume]:
    """The snapshots that volumes stand for: themselves, or those that were taken of them."""
    found: dict[Ref, Volume] = {}
    for volume in volumes:
        own = [volume] if snap_words.link_of(volume) is not None else snap_words.snapshots_of(config, volume)
        found.update({one.ref: one for one in own})
    return list(found.values())


def snapshots_of(config: Config, selection: Selection) -> tuple[tuple[Ref, ...], tuple[Ref, ...]]:
    """The snapshots that can be meant; and those that are, when snapshots are picked and no original."""
    found = candidates(config, selection.volumes)
    picked = {volume.ref for volume in selection.volumes}
    fixed = tuple(volume.ref for volume in found if volume.ref in picked)
    return tuple(volume.ref for volume in found), fixed


def which_fields(refs: tuple[Ref, ...], fixed: tuple[Ref, ...]) -> tuple[Field, Field]:
    """Which snapshots, and whether their whole sets."""
    scope = Field(
        "whole",
        "Scope",
        FieldKind.CHOICE,
        default=ALONE,
        options=partial(_scopes, fixed),
        enabled=lambda config, answers: len(_whole(config, fixed, answers)) > len(_alone(fixed, answers)),
        hides=True,
        off="No other snapshot was taken at the same instant.",
        hint="Snapshots of one set are of the same instant: what depends on each other goes together.",
    )
    return _which(refs, fixed), scope


def force_field(used: Callable[[Config, Answers], bool], off: str, hint: str) -> Field:
    """Asked only while clients are in the way; `off` says that none are."""
    return Field(
        "force",
        "Disconnect clients",
        FieldKind.CHECK,
        default=False,
        caption="Use",
        enabled=used,
        hides=True,
        off=off,
        hint=hint,
    )


def snap_back(config: Config, selection: Selection) -> Form:
    """On snapshots; on an original, of which one of its snapshots is chosen."""
    refs, fixed = snapshots_of(config, selection)
    fields = (
        *which_fields(refs, fixed),
        Field(
            "master",
            "Direction",
            FieldKind.CHOICE,
            default=Master.ORIGINAL,
            options=lambda *_: [Option(master, text) for master, text in WAYS.items()],
            hint="With the original volume, what was written to the snapshot is lost. With the snapshot, the volume "
            "gets the snapshot's data. In both cases the snapshot becomes a snap plex of the volume again.",
        ),
        Field("amount", "Amount", FieldKind.FACT, options=partial(_amounts, fixed)),
        force_field(
            partial(_used, fixed),
            "No client is connected.",
            "Their connections end at once. What they have written and not flushed may be lost.",
        ),
    )
    return Form(
        "snap_back",
        "Snap Back",
        (Page("Snap Back", "Decide whose data both have afterwards.", fields),),
        partial(_build, fixed),
        fixed_verb=True,
        about=fixed,
        warns=_warning,
    )


def _which(refs: tuple[Ref, ...], fixed: tuple[Ref, ...]) -> Field:
    """What is picked is told; of an original, one snapshot is chosen."""
    if fixed:
        label = "Snapshot" if len(fixed) == 1 else "Snapshots"
        return Field("what", label, FieldKind.FACT, options=partial(_told, fixed))
    return Field(
        "snapshot",
        "Snapshot",
        FieldKind.LIST,
        default=refs[0] if refs else None,
        options=partial(_choosable, refs),
        check=lambda config, answers: "" if answers["snapshot"] in config else "Select a snapshot.",
        hint="The newest stands first.",
    )


def snapshot_text(config: Config, snapshot: Volume) -> str:
    """`SnapVolume01 of ev, taken 2026-11-23 02:00:00, crash-consistent, set hyperbackup`."""
    link, original = snap_words.link_of(snapshot), snap_words.original_of(config, snapshot)
    of = f" of {original.name}" if original is not None else ""
    taken = f", taken {moments.moment(link.taken)}" if link is not None and link.taken else ""
    level = f", {link.consistency}" if link is not None else ""
    name = f", set {link.set_name}" if link is not None and link.set_name else ""
    return f"{snapshot.name}{of}{taken}{level}{name}"


def _told(fixed: tuple[Ref, ...], config: Config, answers: Answers) -> list[Option]:
    return [Option(ref, snapshot_text(config, config.volume(ref))) for ref in fixed if ref in config]


def _choosable(refs: tuple[Ref, ...], config: Config, answers: Answers) -> list[Option]:
    return [
        Option(ref, snapshot_text(config, config.volume(ref)), choices.short(rules.can_snap_back(config, ref)))
        for ref in refs
        if ref in config
    ]


# --- which go back ---
def _alone(fixed: tuple[Ref, ...], answers: Answers) -> tuple[Ref, ...]:
    return fixed or ((answers["snapshot"],) if answers.get("snapshot") is not None else ())


def _whole(config: Config, fixed: tuple[Ref, ...], answers: Answers) -> tuple[Ref, ...]:
    """Those that are picked with all of their sets."""
    picked = [config.volume(ref) for ref in _alone(fixed, answers) if ref in config]
    return tuple(dict.fromkeys(one.ref for volume in picked for one in snap_words.set_of(config, volume)))


def _scopes(fixed: tuple[Ref, ...], config: Config, answers: Answers) -> list[Option]:
    def names(refs: tuple[Ref, ...]) -> str:
        return rules.listed([config.volume(ref).name for ref in refs if ref in config])

    return [
        Option(ALONE, f"Only {names(_alone(fixed, answers))}"),
        Option(SET, f"The whole snapshot set: {names(_whole(config, fixed, answers))}"),
    ]


def going(fixed: tuple[Ref, ...], config: Config, answers: Answers) -> tuple[Ref, ...]:
    """The snapshots of the command."""
    whole = answers.get("whole") == SET
    refs = _whole(config, fixed, answers) if whole else _alone(fixed, answers)
    return tuple(ref for ref in refs if ref in config)


# --- what it takes ---
def _amounts(fixed: tuple[Ref, ...], config: Config, answers: Answers) -> list[Option]:
    snapshots = [config.volume(ref) for ref in going(fixed, config, answers)]
    return [Option(master, _amount(config, snapshots, master)) for master in WAYS]


def _amount(config: Config, snapshots: list[Volume], master: Master) -> str:
    found = [snap_words.to_copy(config, snapshot, master) for snapshot in snapshots]
    size, known = sum(size for size, _ in found), all(known for _, known in found)
    side = "original volume" if master is Master.ORIGINAL else "snapshot"
    if not size:
        return f"Using the {side}: nothing, as nothing has changed"
    low, high, _ = expected_s(config, size, COPYING)
    why = "" if known else ": everything, as what has changed is not known"
    return f"Using the {side}: {format_size(size)}{why}, about {format_band(low, high)}"


def _used(fixed: tuple[Ref, ...], config: Config, answers: Answers) -> bool:
    """Whether clients are in the way."""
    snapshots = [config.volume(ref) for ref in going(fixed, config, answers)]
    originals = [one for volume in snapshots if (one := snap_words.original_of(config, volume)) is not None]
    volumes = [*snapshots, *(originals if answers["master"] == Master.SNAPSHOT else ())]
    return any(rules.in_use_by_clients(config, volume.ref) is not None for volume in volumes)


def _build(fixed: tuple[Ref, ...], config: Config, answers: Answers) -> SnapBack:
    return SnapBack(
        snapshots=going(fixed, config, answers),
        master=answers["master"],
        force=bool(answers["force"]) and _used(fixed, config, answers),
    )


def _warning(plan: Plan, answers: Answers) -> str:
    """The paper's question, before an original is overwritten."""
    return "\n\n".join([plan.confirm, *plan.warnings]) if answers["master"] == Master.SNAPSHOT else ""
