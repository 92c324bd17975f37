"""The command `s3dnn lab rtmdl`: the strategy that `s3dnn plan` finds, beside others."""

from __future__ import annotations

from s3dnn_ros.commands.argument_types import above_zero
from s3dnn_ros.commands.lab.running import add_running, run_experiment
from s3dnn_ros.scheduling import POLICIES


def register(commands) -> None:
    """Add the command."""
    parser = commands.add_parser(
        'rtmdl', help="RT-mDL's study of two AlexNets and two VGG-11: what strategies miss and "
                      'lose; needs pymoo and scikit-learn',
        description='Searches strategies as `s3dnn plan` does, at several loads, and compares '
                    'them with strategies that need no search. Times are those of the workload.')
    parser.add_argument('--workloads', nargs='+', metavar='NAME_OR_YAML',
                        help='which (default: seed_4_tasks)')
    parser.add_argument('--speeds', type=above_zero(float), nargs='+', metavar='FACTOR',
                        help='how many times as many frames come (default: 0.8 1.0 1.25)')
    parser.add_argument('--policy', choices=sorted(POLICIES), default='packing',
                        help='scheduler of all but streams (default %(default)s)')
    parser.add_argument('--budget', type=above_zero(int), default=100, metavar='N',
                        help='strategies that a search measures (default %(default)s)')
    parser.add_argument('--seconds', type=above_zero(float), default=8.0, metavar='S',
                        help='of virtual time for each strategy (default %(default)s)')
    add_running(parser, seeds=3)
    parser.set_defaults(run=_run)


def _run(arguments) -> int:
    from s3dnn_ros.lab.rtmdl_experiment import Plan, experiment

    given = {name: tuple(value) for name, value in vars(arguments).items()
             if name in ('workloads', 'speeds') and value}
    return run_experiment(arguments, experiment(Plan(
        policy=arguments.policy, budget=arguments.budget, seconds=arguments.seconds,
        seeds=arguments.seeds, **given)))
