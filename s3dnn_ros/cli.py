"""The command `s3dnn`: one command per question a user has, no logic of its own."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from typing import List, Optional

from s3dnn_ros.commands.log_output import logged_lines_printed
from s3dnn_ros.errors import S3dnnError

# Each is a module of s3dnn_ros.commands whose register(subparsers) adds a parser and sets its
# default `run`, a function of the parsed arguments that returns an exit code or None for 0.
COMMANDS = ('demo', 'bench', 'models', 'profile', 'scale', 'plan', 'table', 'lab', 'report',
            'build', 'parameters', 'fuzz')


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    parser = argparse.ArgumentParser(
        prog='s3dnn', description='Many neural networks on many cameras, in time.'
    )
    subparsers = parser.add_subparsers(metavar='COMMAND', required=True)
    for name in COMMANDS:
        importlib.import_module(f's3dnn_ros.commands.{name}').register(subparsers)
    return parser


def main(argv: Optional[List[str]] = None) -> int:
    """Run a command; return 0, or 1 after an error told in one sentence (usage errors exit 2)."""
    arguments = build_parser().parse_args(argv)
    try:
        with logged_lines_printed(getattr(arguments, 'log_formatter', None)):
            code = arguments.run(arguments) or 0
        sys.stdout.flush()
        return code
    except S3dnnError as error:
        print(f's3dnn: {error}', file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader of a pipe (`| head`) has gone; without this, Python complains at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


if __name__ == '__main__':
    sys.exit(main())
