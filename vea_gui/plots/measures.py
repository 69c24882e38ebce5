"""Which figures are plotted of each kind of object: a table."""

from __future__ import annotations

from dataclasses import dataclass

from engine.records import Kind
from engine.units import GIB, MIB
from vea_gui.series import Field, Measure


@dataclass(frozen=True)
class Line:
    """One curve: its name, its figure, how it is told from others without colour, and its colour's name."""

    name: str
    measure: Measure
    ink: str
    dashed: bool = False


@dataclass(frozen=True)
class Panel:
    """Curves that share a scale. `floor`: the scale's top is never below it, so that noise looks like noise."""

    title: str
    unit: str
    lines: tuple[Line, ...]
    floor: float
    decimals: int = 0
    note: str = ""  # what the figure means, where that is not plain

    def figure(self, value: float) -> str:
        """A figure as it is read, without its unit."""
        return f"{value:,.{self.decimals}f}"


READ_INK = "read"
WRITE_INK = "write"
SINGLE_INK = "single"

OPERATIONS = Panel(
    "Operations",
    "per second",
    (
        Line("Read", Measure("Reads per second", (Field.READS,)), READ_INK),
        Line("Write", Measure("Writes per second", (Field.WRITES,)), WRITE_INK, dashed=True),
    ),
    floor=10,
)
THROUGHPUT = Panel(
    "Throughput",
    "MiB/s",
    (
        Line("Read", Measure("Read, MiB/s", (Field.READ_BYTES,), scale=1 / MIB), READ_INK),
        Line("Write", Measure("Written, MiB/s", (Field.WRITE_BYTES,), scale=1 / MIB), WRITE_INK, dashed=True),
    ),
    floor=1,
    decimals=1,
)
LATENCY = Panel(
    "Latency",
    "ms",
    (Line("Mean", Measure("Latency, ms", (Field.BUSY,), (Field.READS, Field.WRITES), 1_000), SINGLE_INK),),
    floor=1,
    decimals=2,
    note="From a request's arrival to its answer, reads and writes together. Zero while nothing is asked.",
)
PROCESSOR = Panel(
    "Processor",
    "% of one core",
    (Line("Engine", Measure("Engine's process, % of one core", (Field.CPU,)), SINGLE_INK),),
    floor=100,
    note="The engine's process, with the console when its window carries the engine. Several cores add up.",
)
MEMORY = Panel(
    "Memory",
    "GiB",
    (
        Line("Host", Measure("Host's memory in use, GiB", (Field.HOST_MEMORY,), scale=1 / GIB), READ_INK),
        Line(
            "Engine",
            Measure("Engine's process, GiB", (Field.ENGINE_MEMORY,), scale=1 / GIB),
            WRITE_INK,
            dashed=True,
        ),
    ),
    floor=0.25,
    decimals=2,
)

PANELS: dict[Kind, tuple[Panel, ...]] = {
    Kind.VOLUME: (OPERATIONS, THROUGHPUT, LATENCY),
    Kind.DISK: (OPERATIONS, THROUGHPUT),
    Kind.HOST: (OPERATIONS, THROUGHPUT, LATENCY, PROCESSOR, MEMORY),
}
NOTES: dict[Kind, str] = {
    Kind.VOLUME: "",
    Kind.DISK: (
        "The engine counts what goes to a disk, but does not time it, so a disk has no latency here. "
        "The Performance tab of a volume has it."
    ),
    Kind.HOST: "Operations, throughput and latency are those of all volumes together.",
}
MEMORY_UNKNOWN = "The engine runs where this console cannot see the host's memory, so it is left out."


def panels_of(kind: Kind, memory_known: bool = True) -> tuple[Panel, ...]:
    """The panels of an object; memory only where it can be known."""
    return tuple(panel for panel in PANELS[kind] if panel is not MEMORY or memory_known)


def note_of(kind: Kind, memory_known: bool = True) -> str:
    """What has to be said of the figures of an object; empty when they speak for themselves."""
    left_out = not memory_known and MEMORY in PANELS[kind]
    return " ".join(filter(None, (NOTES[kind], MEMORY_UNKNOWN if left_out else "")))


def top_of_scale(highest: float, floor: float) -> float:
    """A round number (1, 2 or 5 times a power of ten, or 2.5) that holds the highest figure with some air."""
    wanted = max(highest * 1.05, floor)
    power = 1.0
    while power * 10 <= wanted:
        power *= 10
    while power > wanted:
        power /= 10
    return next(step * power for step in (1.0, 2.0, 2.5, 5.0, 10.0) if step * power >= wanted)
