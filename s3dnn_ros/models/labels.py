"""The names of classes: lists, mappings, files as tools for training write them, known names."""

from __future__ import annotations

import codecs
from pathlib import Path
from typing import Any, List, Tuple

from s3dnn_ros.base.content import full_path, read_bytes, yaml_of
from s3dnn_ros.errors import DocumentError, shown

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
    DocumentError
        It says what was found, and what was expected.

    """
    if isinstance(value, str):
        if value in NAMED_LABELS:
            return NAMED_LABELS[value]
        value = _of_file((folder / full_path(value)).absolute())
    if isinstance(value, dict):
        value = _in_order(value)
    if not isinstance(value, (list, tuple)):
        raise DocumentError(f'{shown(value)} is no list of names')
    if len(value) > MOST_CLASSES:
        raise DocumentError(f'there are {len(value)} names; {MOST_CLASSES} are the most')
    for name in value:
        # YAML reads an unquoted `no` as false: such a name needs quotes
        if type(name) not in (str, int):
            raise DocumentError(f'the name {shown(name)} is no text; put it in quotes')
    return tuple(str(name).strip() or str(index) for index, name in enumerate(value))


def _of_file(path: Path):
    named = str(path) if len(str(path)) <= LONGEST_PATH else shown(str(path))
    try:
        content = read_bytes(path, MOST_BYTES)
        return _of_yaml(content) if path.suffix in ('.yaml', '.yml') else _lines_of(content)
    except DocumentError as error:
        raise DocumentError(f'{named} {error}') from error


def _of_yaml(content: bytes):
    found = yaml_of(content)
    return found['names'] if isinstance(found, dict) and 'names' in found else found


def _lines_of(content: bytes) -> List[str]:
    encoding = next((name for start, name in _ENCODINGS.items() if content.startswith(start)),
                    'utf-8')
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        raise DocumentError(f'is no text in UTF-8 ({error.reason} at byte {error.start})'
                            ) from error
    if '\0' in text:
        raise DocumentError('is no text: it holds NUL')
    lines = [line.strip() for line in text.split('\n')]
    while lines and not lines[-1]:
        lines.pop()
    return lines


def _in_order(names: dict) -> List:
    """Return names by class in the order of the classes; raises DocumentError."""
    by_class = {}
    for key, name in names.items():
        number = int(key) if isinstance(key, str) and key.isdecimal() and len(key) < 9 else key
        if type(number) is not int or not 0 <= number < MOST_CLASSES:
            raise DocumentError(f'the class {shown(key)} is no number from 0 to '
                                f'{MOST_CLASSES - 1}')
        by_class[number] = name
    return [by_class.get(number, '') for number in range(max(by_class, default=-1) + 1)]
