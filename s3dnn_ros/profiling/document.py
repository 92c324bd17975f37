"""Tables of measurements as JSON files: read with errors that say what to do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Callable, Dict, Iterable, Sequence, Tuple, TypeVar

from s3dnn_ros.errors import ProfileError

Table = TypeVar('Table')
# What is measured lies between these in its unit, be it ms, mW, MB or multiply-adds, unless it is
# 0; quotients and sums of such numbers are numbers as well.
LEAST, LARGEST = 1e-6, 1e18


def read_document(path: Path, what: str, advice: str, build: Callable[[Any], Table]) -> Table:
    """Return what `build` makes of a JSON file's content.

    `build` may raise KeyError, TypeError and ValueError. Raises ProfileError, which ends with
    the advice, if the file is missing, cut short, nested too deep, or is not `what`.
    """
    try:
        content = json.loads(path.read_text(encoding='utf-8'))
    except OSError as error:
        raise ProfileError(path, f'cannot be read ({error.strerror}): {advice}') from error
    except (ValueError, RecursionError) as error:
        raise ProfileError(path, f'is not a whole JSON file ({error}): {advice}') from error
    try:
        return build(content)
    except KeyError as error:
        raise ProfileError(path, f'lacks the key {error}: {advice}') from error
    except (TypeError, ValueError) as error:
        raise ProfileError(path, f'is not {what} ({error}): {advice}') from error


def is_number(value: Any, least: float = 0.0, largest: float = LARGEST) -> bool:
    """Tell whether a value is a number within these bounds; True, NaN and infinity are none."""
    return (isinstance(value, (int, float)) and not isinstance(value, bool)
            and least <= value <= largest)


def refuse_others(source: str, advice: str, compared: Iterable[Tuple[str, Any, Any]]) -> None:
    """Raise ProfileError for the first of (what it is, as measured, as here) that differs.

    What is None here is not compared.
    """
    for what, measured, here in compared:
        if here is not None and measured != here:
            raise ProfileError(source, f'was measured on {what}{measured}; this is {here}: '
                                       f'{advice}')


def read_head(content: Any, version: int, names: Sequence[str]) -> Dict[str, Any]:
    """Return the texts of these names, `versions` and `cuts` of a table; raises as `build` may."""
    if not isinstance(content, dict):
        raise TypeError('it must hold a mapping')
    if content['format'] != version:
        raise ValueError(f'it has the format {content["format"]!r}, this version reads {version}')
    texts = {name: content[name] for name in names}
    versions, cuts = content['versions'], content['cuts']
    if not isinstance(versions, dict):
        raise TypeError("'versions' must be a mapping")
    if not isinstance(cuts, list) or not all(isinstance(cut, list) for cut in cuts):
        raise TypeError("'cuts' must be a list of lists")
    for word in [*texts.values(), *versions.values(), *(name for cut in cuts for name in cut)]:
        if not isinstance(word, str):
            raise TypeError(f'{word!r} stands where a text should')
    return {**texts, 'versions': versions, 'cuts': tuple(map(tuple, cuts))}
