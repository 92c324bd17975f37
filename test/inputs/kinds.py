"""Kinds of input: each is tried, and works or is refused in a sentence.

A kind is a function that makes such an input, has the package use it, and checks what comes out;
it may return what a reader should know of that. docs/inputs.md lists them all with their results.
"""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Callable, List, Optional

from s3dnn_ros.errors import S3dnnError

# Other versions of onnx and protobuf say it otherwise.
_OF_LIBRARIES = re.compile(r' \((Error parsing|Data of TensorProto).*\);')


@dataclasses.dataclass(frozen=True)
class Kind:
    """A kind of input, in the section of the page where it stands."""

    section: str
    what: str
    use: Callable[[Path], Optional[str]]

    def result(self, folder: Path) -> str:
        """Return what comes of it: that it works, or the sentence that refuses it."""
        try:
            note = self.use(folder)
        except S3dnnError as error:
            sentence = str(error).replace(f'{folder}/', '')
            return f'refused: {_OF_LIBRARIES.sub(" (…);", sentence)}'
        return f'works: {note}' if note else 'works'


KINDS: List[Kind] = []


def kind(section: str, what: str):
    """Add a function as a kind."""
    def add(use):
        KINDS.append(Kind(section, what, use))
        return use
    return add
