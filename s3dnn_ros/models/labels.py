"""The names of classes: lists, mappings, files as tools for training write them, known names."""

from __future__ import annotations

import codecs
from pathlib import Path
from typing import Any, List, Tuple

import yaml

from s3dnn_ros.base.shown import shown

# No file of names is larger, and no network tells more classes apart.
MOST_BYTES = 4_000_000
MOST_CLASSES = 100_000
# A longer one is shortened in sentences.
LONGEST_PATH = 300
_ENCODINGS = {codecs.BOM_UTF8: 'utf-8-sig', codecs.BOM_UTF16_LE: 'utf-16',
              codecs.BOM_UTF16_BE: 'utf-16'}
COCO80 = (
    'person', 'bicycle', 'car', 'motorcycle', 'airplane', 'bus', 'train', 'truck', 'boat',
    'traffic light', 'fire hydrant', 'stop sign', 'parking meter', 'bench', 'bird', 'cat', 'dog',
    'horse', 'sheep', 'cow', 'elephant', 'bear', 'zebra', 'giraffe', 'backpack', 'umbrella',
    'handbag', 'tie', 'suitcase', 'frisbee', 'skis', 'snowboard', 'sports ball', 'kite',
    'baseball bat', 'baseball glove', 'skateboard', 'surfboard', 'tennis racket', 'bottle',
    'wine glass', 'cup', 'fork', 'knife', 'spoon', 'bowl', 'banana', 'apple', 'sandwich', 'orange',
    'broccoli', 'carrot', 'hot dog', 'pizza', 'donut', 'cake', 'chair', 'couch', 'potted plant',
    'bed', 'dining table', 'toilet', 'tv', 'laptop', 'mouse', 'remote', 'keyboard', 'cell phone',
    'microwave', 'oven', 'toaster', 'sink', 'refrigerator', 'book', 'clock', 'vase', 'scissors',
    'teddy bear', 'hair drier', 'toothbrush',
)

NAMED_LABELS = {'coco80': COCO80}


def labels_of(value: Any, folder: Path) -> Tuple[str, ...]:
    """Return the names of all classes, the first of class 0; a class without one has its number.

    Parameters
    ----------
    value : list, mapping or str
        Names, names by class, a known list, or a file: text with one name a line, or YAML with
        names or with a key `names`, as data.yaml has it.
    folder : Path
        Where files are that are not named with theirs.

    Raises
    ------
    ValueError
        It says what was found, and what was expected.

    """
    if isinstance(value, str):
        if value in NAMED_LABELS:
            return NAMED_LABELS[value]
        value = _of_file(_path_of(value, folder))
    if isinstance(value, dict):
        value = _in_order(value)
    if not isinstance(value, (list, tuple)):
        raise ValueError(f'{shown(value)} is no list of names')
    if len(value) > MOST_CLASSES:
        raise ValueError(f'there are {len(value)} names; {MOST_CLASSES} are the most')
    for name in value:
        # YAML reads an unquoted `no` as false: such a name needs quotes
        if type(name) not in (str, int):
            raise ValueError(f'the name {shown(name)} is no text; put it in quotes')
    return tuple(str(name).strip() or str(index) for index, name in enumerate(value))


def _path_of(name: str, folder: Path) -> Path:
    try:
        return (folder / Path(name).expanduser()).absolute()
    except RuntimeError as error:
        raise ValueError(f'{shown(name)} is of a user who is not here; write the path in '
                         'full') from error


def _of_file(path: Path):
    named = str(path) if len(str(path)) <= LONGEST_PATH else shown(str(path))
    try:
        with path.open('rb') as file:
            content = file.read(MOST_BYTES + 1)
    except (OSError, ValueError) as error:
        # ValueError for a name that holds NUL
        reason = getattr(error, 'strerror', None) or error
        raise ValueError(f'{named} cannot be read ({reason})') from error
    if len(content) > MOST_BYTES:
        raise ValueError(f'{named} has more than {MOST_BYTES // 1_000_000} MB')
    encoding = next((name for start, name in _ENCODINGS.items() if content.startswith(start)),
                    'utf-8')
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        raise ValueError(f'{named} is no text in UTF-8 ({error.reason} at byte '
                         f'{error.start})') from error
    if path.suffix in ('.yaml', '.yml'):
        return _of_yaml(named, text)
    lines = [line.strip() for line in text.split('\n')]
    while lines and not lines[-1]:
        lines.pop()
    return lines


def _of_yaml(named: str, text: str):
    try:
        found = yaml.safe_load(text)
    except Exception as error:
        # PyYAML passes on what its parts raise: for dates that are none, numbers without end
        reason = ' '.join(str(error).split())
        raise ValueError(f'{named} is not valid YAML: {reason[:300]}') from error
    if isinstance(found, dict) and 'names' in found:
        return found['names']
    return found


def _in_order(names: dict) -> List:
    """Return names by class in the order of the classes; raises ValueError."""
    by_class = {}
    for key, name in names.items():
        number = int(key) if isinstance(key, str) and key.isdecimal() and len(key) < 9 else key
        if type(number) is not int or not 0 <= number < MOST_CLASSES:
            raise ValueError(f'the class {shown(key)} is no number from 0 to {MOST_CLASSES - 1}')
        by_class[number] = name
    return [by_class.get(number, '') for number in range(max(by_class, default=-1) + 1)]
