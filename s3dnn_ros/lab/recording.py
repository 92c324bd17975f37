"""Recordings of simulated runs, in the format that a real executor writes."""

from __future__ import annotations

from typing import Dict, Optional

from s3dnn_ros.bench.environment import environment
from s3dnn_ros.runtime.recording import Recording, Run


def record(executor, chooser, *, device: str, policy: str, seed: Optional[int] = None,
           command: str = '', energy_j: Optional[float] = None) -> Dict:
    """Return what a VirtualExecutor has done, as a document for `write_recording`.

    Call it at the end of a run. The executor keeps the newest stamps, some seconds of them; give
    it a `Recorder(rows)`, and the chooser as many boundaries to be `kept`, that hold a longer run.

    Parameters
    ----------
    executor : VirtualExecutor
    chooser : VariantChooser
        Its boundaries, configurations and their changes are recorded, as far as it has them: a
        ContenderChooser has all of them, EXACT has none.
    device : str
        The board that is simulated.
    policy : str
        Who decided.
    seed, command, energy_j
        As in `Run`.

    """
    run = Run(device, True, policy, environment(), command, seed, energy_j)
    return Recording.of(run, executor.models, executor.recorder,
                        getattr(chooser, 'boundaries', ()), getattr(chooser, 'configurations', ()),
                        getattr(chooser, 'changes', ())).document()
