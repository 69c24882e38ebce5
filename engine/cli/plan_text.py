"""A plan as a person reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.cli.output import table
from engine.cli.rows import name_of
from engine.units import format_size

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from engine.config import Config
    from engine.plans import Plan, Range


def plan_text(config: Config, plan: Plan) -> str:
    """Everything that the command would do, line by line."""
    return "\n".join(_lines(config, plan))


def _lines(config: Config, plan: Plan) -> Iterator[str]:
    yield plan.title
    for problem in plan.problems:
        yield f"  Not possible: {problem.typed_sentences}"
    for warning in plan.warnings:
        yield f"  Note: {warning}"
    for number, step in enumerate(plan.steps, 1):
        yield f"  {number}. {step.text}" + (f" ({step.meanwhile})" if step.meanwhile else "")
    if plan.zeroes_bytes:
        yield f"  Zeroes: {format_size(plan.zeroes_bytes)}"
    if plan.copies_bytes:
        yield f"  Copies: {format_size(plan.copies_bytes)}"
    yield from _ranges(config, "Takes", plan.allocates)
    yield from _ranges(config, "Frees", plan.frees)
    if plan.destroys:
        names = (name_of(config, ref) for ref in plan.destroys)
        yield f"  Destroys the data of: {', '.join(name for name in names if name)}"
    if plan.redundancy:
        yield f"  Redundancy: {plan.redundancy}"
    if plan.problems:
        return
    yield f"  Cannot be undone: {plan.irreversible}" if plan.irreversible else "  Everything can be undone."
    if plan.group is not None:
        yield f"  Made for {name_of(config, plan.group)} as of transaction {plan.basis}."


def _ranges(config: Config, title: str, ranges: Sequence[Range]) -> Iterator[str]:
    if not ranges:
        return
    yield f"  {title}:"
    rows = [
        (name_of(config, place.disk) or "-", f"{place.offset:,}", f"{place.length:,}", place.label) for place in ranges
    ]
    text = table(("disk", "from byte", "bytes", "for"), rows, right=("from byte", "bytes"))
    yield from (f"    {line}" for line in text.splitlines())
