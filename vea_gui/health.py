"""Roll-up of trouble: a failing disk marks its group, its enclosure and its host, and each can name the cause."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from engine.records import Disk, Group, Kind, Record, Ref, Volume
from vea_gui.tree_shape import AGENT, DISK_GROUPS, DISKS, ENCLOSURES, VOLUMES, Folder, Key
from vea_gui.words import Tone, tone_of, trouble

CAUSES_SHOWN = 5


class Health:
    """What is in trouble under each place of the tree. Costs follow the number of changes, not of objects."""

    def __init__(self) -> None:
        self._under: dict[Key, dict[Ref, tuple[Tone, str]]] = {}
        self._tones: dict[Key, Counter[Tone]] = {}  # how often each occurs there: marks are asked for at each change

    def note(self, old: Record | None, new: Record | None) -> set[Key]:
        """A record changed from `old` to `new` (None: not there). Answers the places whose mark may have changed."""
        before = trouble(old) if old is not None else ""
        after = trouble(new) if new is not None else ""
        if not before and not after:
            return set()
        if old is not None and new is not None and before == after and tuple(_above(old)) == tuple(_above(new)):
            return set()
        touched: set[Key] = set()
        if old is not None and before:
            for key in _above(old):
                self._put(key, old.ref, None)
                touched.add(key)
        if new is not None and after:
            for key in _above(new):
                self._put(key, new.ref, (tone_of(new), after))
                touched.add(key)
        return touched

    def _put(self, key: Key, ref: Ref, now: tuple[Tone, str] | None) -> None:
        """What is wrong with an object below a place, None for nothing."""
        under = self._under.get(key)
        if under is None:
            under, self._tones[key] = self._under.setdefault(key, {}), Counter()
        tones = self._tones[key]
        before = under.pop(ref, None)
        if before is not None:
            tones[before[0]] -= 1
        if now is not None:
            under[ref] = now
            tones[now[0]] += 1

    def worst(self, key: Key) -> Tone:
        """The mark of a place; NONE when all is well."""
        return max((tone for tone, count in self._tones.get(_spot(key), {}).items() if count), default=Tone.NONE)

    def refs(self, key: Key) -> list[Ref]:
        """What is in trouble below a place, in no order."""
        return list(self._under.get(_spot(key), {}))

    def causes(self, key: Key) -> list[str]:
        """Sentences on what is wrong, the worst first, with a count of those left out."""
        found = sorted(self._under.get(_spot(key), {}).values(), key=lambda pair: (-pair[0], pair[1]))
        lines = [text for _, text in found[:CAUSES_SHOWN]]
        more = len(found) - CAUSES_SHOWN
        return [*lines, f"and {more} more"] if more > 0 else lines


def _spot(key: Key) -> Key:
    """Under which key a place's troubles are kept."""
    return Folder(key.id, "") if isinstance(key, Ref) and key.kind is Kind.HOST else key


def _above(record: Record) -> Iterator[Key]:
    """The record's own place and every place that rolls it up."""
    host = record.ref.host
    yield record.ref
    match record:
        case Volume():
            yield from (record.group, Folder(host, VOLUMES), Folder(host, DISK_GROUPS))
        case Disk():
            yield Folder(host, DISKS)
            if record.group is not None:
                yield from (record.group, Folder(host, DISK_GROUPS))
            if record.enclosure is not None:
                yield from (record.enclosure, Folder(host, ENCLOSURES))
        case Group():
            yield Folder(host, DISK_GROUPS)
    yield from (Folder(host, AGENT), Folder(host, ""))
