"""What tables of measurements have in common: their head, and whom they speak for."""

from __future__ import annotations

from typing import Any, Dict, Iterable, Sequence, Tuple

from s3dnn_ros.base.content import Fields
from s3dnn_ros.errors import DocumentError, ProfileError, shown

# What is measured lies between these in its unit, be it ms, mW, MB or multiply-adds, unless it is
# 0; quotients and sums of such numbers are numbers as well.
LEAST, LARGEST = 1e-6, 1e18


def refuse_others(source: str, advice: str, compared: Iterable[Tuple[str, Any, Any]]) -> None:
    """Raise ProfileError for the first of (what it is, as measured, as here) that differs.

    What is None here is not compared.
    """
    for what, measured, here in compared:
        if here is not None and measured != here:
            raise ProfileError(source, f'was measured on {what}{measured}; this is {here}: '
                                       f'{advice}')


def read_head(fields: Fields, version: int, names: Sequence[str]) -> Dict[str, Any]:
    """Return the texts of these names, `versions` and `cuts` of a table. Raises DocumentError."""
    found = fields.value('format')
    if found != version:
        raise DocumentError(f'has the format {shown(found)}, this version reads {version}')
    versions = fields.mapping('versions')
    if not all(isinstance(word, str) for word in versions.values()):
        fields.fail('versions', 'a mapping of texts')
    return {**{name: fields.text(name) for name in names}, 'versions': versions,
            'cuts': fields.lists_of_texts('cuts')}
