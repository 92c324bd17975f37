"""The command `s3dnn bench digits`: a small network and its images."""

from __future__ import annotations

from pathlib import Path


def register(commands):
    """Add the command."""
    parser = commands.add_parser(
        'digits', help='write the digits of scikit-learn as images by class, and train a small '
                       'network on them: something to scale with labels')
    parser.add_argument('into', type=Path, metavar='FOLDER')
    parser.set_defaults(run=_run)


def _run(arguments):
    from s3dnn_ros.bench.digits import write_digits

    path, accuracy = write_digits(arguments.into)
    print(f'{path}: {accuracy:.1%} of the digits that are held out are right; s3dnn scale {path} '
          f'--data {arguments.into / "images"} --steps 400')
