"""Files that people give instead of an ONNX file, and what to do with each."""

from __future__ import annotations

from pathlib import Path

_EXPORT = 'export the network to ONNX'
# How files begin, from which byte on, what they are and what helps.
_BEGINNINGS = (
    (0, b'version https://git-lfs', 'is a pointer of Git LFS, not the network; run `git lfs pull`'
                                    ' where it is from'),
    (0, b'<!', 'is a page of the web, not the network; download the file itself'),
    (0, b'<html', 'is a page of the web, not the network; download the file itself'),
    (0, b'<?xml', f'is a network of OpenVINO; {_EXPORT}'),
    (0, b'PK\x03\x04', f'is an archive, as PyTorch (.pt) and Keras write them; {_EXPORT}'),
    (0, b'\x80\x02', f'holds pickled weights of PyTorch; {_EXPORT}'),
    (0, b'\x89HDF', f'holds weights of Keras (HDF5); {_EXPORT}'),
    (4, b'TFL3', f'is a network of TensorFlow Lite; {_EXPORT}'),
    (0, b'ftrt', f'is an engine of TensorRT, which fits one board only; {_EXPORT}'),
    (0, b'ptrt', f'is an engine of TensorRT, which fits one board only; {_EXPORT}'),
)
_READ_BYTES = 64


def what_else(path: Path) -> str:
    """Return what a file is that is no ONNX file, and what to do; empty if nobody knows."""
    with open(path, 'rb') as file:
        start = file.read(_READ_BYTES)
    return next((what for place, beginning, what in _BEGINNINGS
                 if start[place:].startswith(beginning)), '')
