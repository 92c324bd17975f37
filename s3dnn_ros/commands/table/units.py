"""Which units of a table are meant."""

from __future__ import annotations

from typing import Optional, Sequence, Tuple

from s3dnn_ros.errors import ParameterError
from s3dnn_ros.partition import PerformanceTable


def add_units(parser) -> None:
    """Add the option that names units of a table."""
    parser.add_argument('--unit', action='append', metavar='U',
                        help='only this unit, by its name or a part of it that no other has; may '
                             'be there several times (default: all)')


def chosen_units(table: PerformanceTable, words: Optional[Sequence[str]]) -> Tuple[str, ...]:
    """Return the units that are meant, in the order of the table; all without a word.

    Raises ParameterError for a word that no unit has, or several.
    """
    meant = {_meant(table, word) for word in words or table.units}
    return tuple(unit for unit in table.units if unit in meant)


def _meant(table: PerformanceTable, word: str) -> str:
    if word in table.units:
        return word
    found = [unit for unit in table.units if word.lower() in unit.lower()]
    if len(found) != 1:
        raise ParameterError('--unit', word, f"{'several have' if found else 'none has'} this in "
                             f"its name; the table has {', '.join(table.units)}")
    return found[0]
