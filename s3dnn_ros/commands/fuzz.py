"""The command `s3dnn fuzz`: whether anything that is sent or kept can end it."""

from __future__ import annotations

import json

from s3dnn_ros.base.cache import write_whole
from s3dnn_ros.commands.argument_types import above_zero, from_zero, new_file
from s3dnn_ros.errors import ParameterError


def register(subparsers):
    """Add the command."""
    parser = subparsers.add_parser(
        'fuzz', help='try hostile files and images on every parser and decoder',
        description='Hostile inputs of every kind go through the parsers and decoders, in a '
                    'process of its own; each has to be taken, or refused in a sentence. Prints '
                    'how many were not. The exit status is 1 if there is any.')
    parser.add_argument('--minutes', type=above_zero(float), default=1.0, metavar='M',
                        help='how long (default 1)')
    parser.add_argument('--inputs', type=from_zero, default=0, metavar='N',
                        help='end after so many (default: as many as there is time for)')
    parser.add_argument('--seed', type=from_zero, default=0, metavar='N',
                        help='the same one gives the same inputs (default 0)')
    parser.add_argument('--first', type=from_zero, default=0, metavar='N',
                        help='the number of the first input of each kind, to look at one again '
                             '(default 0)')
    parser.add_argument('--kinds', nargs='+', default=(), metavar='KIND',
                        help='the kinds of inputs, as the table names them (default: all)')
    parser.add_argument('--out', type=new_file, help='JSON file for the results')
    parser.set_defaults(run=_run)


def _run(arguments):
    from s3dnn_ros.base.clock import SystemClock
    from s3dnn_ros.fuzz.run import faults_of, report, run

    results = run(SystemClock(), seed=arguments.seed, inputs=arguments.inputs,
                  seconds=60.0 * arguments.minutes, kinds=arguments.kinds, first=arguments.first)
    print('\n'.join(report(results)))
    if arguments.out:
        try:
            write_whole(arguments.out, (json.dumps(results, indent=1) + '\n').encode())
        except OSError as error:
            raise ParameterError('--out', str(arguments.out), 'it cannot be written '
                                 f'({error.strerror}); name another') from error
    return 1 if faults_of(results) else 0
