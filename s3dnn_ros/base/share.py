"""Where the package's own files are: models, boards, workloads, profiles of the middleware."""

from __future__ import annotations

from pathlib import Path


def share_directory() -> Path:
    """Return the package's own config/models: of the checkout, the installation or the wheel."""
    package = Path(__file__).absolute().parents[1]
    inside = Path('config') / 'models'
    places = [package.parent / inside]
    # installed, the package lies some folders below the prefix that has share/
    places += [prefix / 'share' / 's3dnn_ros' / inside for prefix in package.parents]
    places.append(package / inside)
    return next((place for place in places if place.is_dir()), places[-1])
