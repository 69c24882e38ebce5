"""The arithmetic of columns that take turns, one unit each."""

from __future__ import annotations


def volume_offset(unit: int, columns: int, column: int, column_offset: int) -> int:
    """The first volume offset whose byte of `column` is at least `column_offset`; whole rows begin with column 0."""
    if columns == 1:
        return column_offset
    row, inside = divmod(column_offset, unit)
    return row * unit * columns + (column * unit + inside if inside else 0)


def column_offset(unit: int, columns: int, column: int, offset: int) -> int:
    """How many bytes of `column` lie before the volume's byte `offset`."""
    if columns == 1:
        return offset
    row, inside = divmod(offset, unit * columns)
    return row * unit + min(max(inside - column * unit, 0), unit)
