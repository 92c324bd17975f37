"""What ROS ignores or refuses in parameter files without saying what to do."""

from __future__ import annotations

import difflib
import re
from pathlib import Path
from typing import Any, Iterator, List, Sequence, Tuple

from s3dnn_ros.base.content import read_bytes, yaml_of
from s3dnn_ros.errors import DocumentError, shown

_KEY = 'ros__parameters'
# What rcl reads in place of names: any number of them, and one.
_WILDCARDS = {'/**': r'(/\w+)*', '/*': r'/\w+'}


def files_in(arguments: Sequence[str]) -> List[Path]:
    """Return the parameter files that a command line gives to ROS."""
    files, is_for_ros = [], False
    for argument, following in zip(arguments, [*arguments[1:], '']):
        is_for_ros = argument == '--ros-args' or (is_for_ros and argument != '--')
        if is_for_ros and argument == '--params-file':
            files.append(Path(following))
    return files


def misplaced(path: Path) -> str:
    """Say what in a file is not below ros__parameters, where ROS refuses it; empty if all is."""
    for name, is_section in _parts_of(path):
        if not is_section:
            return (f"{path}: {shown(name.lstrip('/'))} is not below {_KEY}; begin the file with "
                    f"'/**:', write '{_KEY}:' below it, and indent the parameters below that")
    return ''


def ignored(path: Path, node: str) -> str:
    """Say which section of a file is meant for a node and not read by it; empty if none is.

    Parameters
    ----------
    path : Path
    node : str
        Its full name, as /robot/governor.

    """
    own = node.rpartition('/')[2]
    sections = [name for name, is_section in _parts_of(path) if is_section]
    heard = [name for name in sections if _is_for(name, node)]
    meant = [name for name in sections if name != '/**' and _last(name) in (own, '*', '**')]
    if not meant and not heard:
        # perhaps its name is misspelt
        meant = [name for name in sections if difflib.get_close_matches(_last(name), [own])]
    if not meant or set(meant) & set(heard):
        return ''
    return (f"{path}: the section '{meant[0]}' is ignored, because this node is '{node}'; name "
            f"the section '{node}', or '/**' for all nodes")


def _last(name):
    return name.rpartition('/')[2]


def _is_for(section, node):
    pattern = re.sub(r'/\*\*?', lambda found: _WILDCARDS[found.group()], section)
    return bool(re.fullmatch(pattern, node))


def _parts_of(path) -> Iterator[Tuple[str, bool]]:
    """Yield nodes that have parameters, and what is no node's: names, and whether it is a node."""
    try:
        tree = yaml_of(read_bytes(path))
    except DocumentError:
        return      # what ROS cannot read, either, it has refused
    if isinstance(tree, dict):
        yield from _walk(tree, '')


def _walk(tree: Any, above: str) -> Iterator[Tuple[str, bool]]:
    for key, value in tree.items():
        name = f'{above}/{str(key).strip("/")}'
        if key == _KEY and above:
            yield above, True
        elif isinstance(value, dict):
            yield from _walk(value, name)
        else:
            yield name, False
