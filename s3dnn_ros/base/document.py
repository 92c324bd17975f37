"""One YAML file whose keys are checked one by one, so that each error names the key."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Dict, Iterable, Sequence, Tuple

from s3dnn_ros.base.content import full_path, is_number, read_bytes, unknown_key, yaml_of
from s3dnn_ros.errors import DocumentError, ModelError, shown

# No description that anybody writes is larger.
MOST_BYTES = 1_000_000
LARGEST = sys.float_info.max


class Document:
    """A YAML mapping; its methods return checked values or raise ModelError."""

    def __init__(self, path: Path, keys: Sequence[str]):
        """Read `path`, whose keys must all be among `keys`."""
        self.path = path
        self._values = _load(path)
        for key in self._values:
            if key not in keys:
                raise ModelError(path, unknown_key(key, keys, key))

    def fail(self, key: str, expected: str) -> None:
        """Raise the ModelError that says what a key holds and what it should hold."""
        state = f'is {shown(self._values[key])}' if key in self._values else 'is missing'
        raise ModelError(self.path, f"key '{key}' {state}; expected {expected}")

    def get(self, key: str, default: Any = None) -> Any:
        """Return a key's unchecked value; a key left empty counts as absent."""
        value = self._values.get(key)
        return default if value is None else value

    def integer(self, key: str, low: int, high: int, default: Any = None) -> int:
        """Return a whole number in low..high."""
        value = self.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            self.fail(key, f'a whole number from {low} to {high}')
        return value

    def positive(self, key: str, default: float) -> float:
        """Return a number greater than zero."""
        value = self.get(key, default)
        if not _is_number(value) or value <= 0:
            self.fail(key, 'a number greater than zero')
        return float(value)

    def triple(self, key: str) -> Tuple[float, float, float]:
        """Return three finite numbers."""
        value = self.get(key)
        if not isinstance(value, list) or len(value) != 3 or not all(map(_is_number, value)):
            self.fail(key, 'a list of three numbers in pixel units (0..255)')
        return float(value[0]), float(value[1]), float(value[2])

    def choice(self, key: str, choices: Iterable[str]) -> str:
        """Return one of `choices`."""
        value = self.get(key)
        if value not in choices:
            self.fail(key, f'one of {", ".join(choices)}')
        return value

    def text(self, key: str) -> str:
        """Return a string without surrounding blanks, '' where the key is absent."""
        value = self.get(key, '')
        if not isinstance(value, str):
            self.fail(key, 'text')
        return value.strip()

    def mapping(self, key: str) -> Dict[str, Any]:
        """Return a mapping with string keys, {} where the key is absent."""
        value = self.get(key, {})
        if not isinstance(value, dict) or not all(isinstance(name, str) for name in value):
            self.fail(key, 'a mapping of option to value')
        return dict(value)

    def beside(self, relative: str) -> Path:
        """Return a path that the document states relative to its own folder."""
        try:
            return (self.path.parent / full_path(relative)).absolute()
        except DocumentError as error:
            raise ModelError(self.path, str(error)) from error


def _load(path: Path) -> Dict[str, Any]:
    try:
        content = yaml_of(read_bytes(path, MOST_BYTES))
    except DocumentError as error:
        raise ModelError(path, f'{error}; name the YAML file of a model') from error
    if not isinstance(content, dict):
        raise ModelError(path, 'must hold a mapping of keys such as onnx, width and height')
    return content


def _is_number(value: Any) -> bool:
    return is_number(value, -LARGEST, LARGEST)
