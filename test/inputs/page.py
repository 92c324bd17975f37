"""Writes docs/inputs.md.

PYTHONPATH=test/images:test/models:test/distance \\
    scripts/run python test/inputs/page.py > docs/inputs.md
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Iterator, Tuple

import depth_kinds
import image_kinds
import label_kinds
import network_kinds
from kinds import KINDS

ORDERED = [kind for module in (image_kinds, network_kinds, label_kinds, depth_kinds)
           for kind in KINDS if kind.use.__module__ == module.__name__]
HEAD = """# What robots send and bring

Each line is tried by `test/inputs`. What is refused costs its frame or its network, never a node:
the other cameras go on. Sentences are those that you find in the log."""


def cell(text: str) -> str:
    """Return text as it may stand in a table."""
    return ' '.join(text.replace('|', '\\|').split())


def write() -> str:
    """Return the page."""
    lines, section = [HEAD], ''
    for kind in ORDERED:
        if kind.section != section:
            section = kind.section
            lines += ['', f'## {section}', '', '| | |', '|---|---|']
        with tempfile.TemporaryDirectory() as folder:
            lines.append(f'| {cell(kind.what)} | {cell(kind.result(Path(folder)))} |')
    return '\n'.join(lines)


def rows_of(text: str) -> Iterator[Tuple[str, str]]:
    """Give the kinds and their results that a page has."""
    for line in text.splitlines():
        if line.startswith('| ') and line != '| | |':
            yield tuple(line[2:-2].split(' | '))


if __name__ == '__main__':
    print(write())
