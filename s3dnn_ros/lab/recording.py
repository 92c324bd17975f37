"""Recordings of simulated runs, in the format that a real executor writes."""

from __future__ import annotations

from typing import Dict, Mapping, Optional

from s3dnn_ros.bench.environment import environment
from s3dnn_ros.runtime.recording import Recording, Run


def record(executor, chooser, *, device: str, policy: str, seed: Optional[int] = None,
           command: str = '', energy_j: Optional[float] = None,
           models: Optional[Mapping[str, str]] = None) -> Dict:
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
    models : mapping of instance name to model name, optional
        By default every instance has the name of its network.

    """
    run = Run(device, True, policy, environment(), command, seed, energy_j)
    recorder, boundaries = executor.recorder, getattr(chooser, 'boundaries', ())
    if models is None:
        models = {row.instance: row.instance for row in (
            *recorder.requests(), *recorder.stamps(), *boundaries)}
    return Recording.of(run, models, recorder, boundaries, getattr(chooser, 'configurations', ()),
                        getattr(chooser, 'changes', ())).document()
