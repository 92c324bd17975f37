"""The command `s3dnn bench`: how fast it is here."""

from __future__ import annotations

import json
from pathlib import Path


def register(subparsers):
    """Add the command."""
    benches = subparsers.add_parser('bench', help='measure; prints figures and writes JSON')
    commands = benches.add_subparsers(metavar='BENCH', required=True)

    parser = commands.add_parser(
        'pipeline', help='what the pipeline adds to inference, and what the governor carries')
    parser.add_argument('--seconds', type=float, default=20.0, help='per run (default 20)')
    parser.add_argument('--runs', type=int, default=3, help='of each part (default 3)')
    parser.add_argument('--memory-seconds', type=float, default=600.0,
                        help='length of the memory run, 0 for none (default 600)')
    parser.add_argument('--model', default='squeezenet_1_1',
                        help='network of the latency part (default squeezenet_1_1)')
    parser.add_argument('--out', type=Path, help='JSON file for the results')
    parser.set_defaults(run=_pipeline)


def _pipeline(arguments):
    from s3dnn_ros.lab import pipeline_bench

    results = pipeline_bench.run(seconds=arguments.seconds, runs=arguments.runs,
                                 memory_seconds=arguments.memory_seconds, model=arguments.model)
    if arguments.out:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text(json.dumps(results, indent=1) + '\n')
    print('\n'.join(pipeline_bench.report(results)))
