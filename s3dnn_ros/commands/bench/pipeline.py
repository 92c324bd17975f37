"""The command `s3dnn bench pipeline`: what the nodes add to inference."""

from __future__ import annotations

from s3dnn_ros.commands.bench.output import add_out, written_to


def register(commands):
    """Add the command."""
    parser = commands.add_parser(
        'pipeline', help='what the pipeline adds to inference, and what the governor carries')
    parser.add_argument('--seconds', type=float, default=20.0, help='per run (default 20)')
    parser.add_argument('--runs', type=int, default=3, help='of each part (default 3)')
    parser.add_argument('--memory-seconds', type=float, default=600.0,
                        help='length of the memory run, 0 for none (default 600)')
    parser.add_argument('--model', default='squeezenet_1_1',
                        help='network of the latency part (default squeezenet_1_1)')
    add_out(parser, each='')
    parser.set_defaults(run=_run)


def _run(arguments):
    from s3dnn_ros.bench import pipeline_bench

    results = pipeline_bench.run(seconds=arguments.seconds, runs=arguments.runs,
                                 memory_seconds=arguments.memory_seconds, model=arguments.model)
    written_to(arguments.out)(results)
    print('\n'.join(pipeline_bench.report(results)))
