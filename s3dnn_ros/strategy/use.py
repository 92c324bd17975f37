"""What a strategy sets of an executor's instances, or why it cannot be used there."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, Mapping

from s3dnn_ros.errors import StrategyError
from s3dnn_ros.strategy.plan_file import Plan


def parameters_of(plan: Plan, source: str, models: Mapping[str, str]) -> Dict[str, Any]:
    """Return the parameters that make instances run as planned, by flat name.

    Tasks and instances are told apart by name. An instance must have the task's model, in any of
    its variants.

    Parameters
    ----------
    plan : Plan
    source : str
        Its file, for sentences.
    models : mapping of str to str
        The name of every instance's model.

    Raises
    ------
    StrategyError
        The plan is for other instances or models, or does not name the model of a variant.

    """
    tasks = {task.name: task for task in plan.tasks}
    if set(tasks) != set(models):
        raise StrategyError(source, f'is for the instances {", ".join(sorted(tasks))}, and here '
                            f'are {", ".join(sorted(models))}; name them alike, or plan again')
    values: Dict[str, Any] = {}
    for name, task in tasks.items():
        known = {task.model, *(Path(model).stem for model in task.variant_models)}
        if models[name] not in known:
            raise StrategyError(source, f"has the model '{task.model}' for instance '{name}', "
                                f"which has '{models[name]}' here; plan with this model")
        if task.variant and not task.planned_model:
            raise StrategyError(source, f'does not say which model is variant {task.variant} of '
                                f"'{task.model}'; add `model` to the workload's variants, and "
                                'plan again')
        values[f'instances.{name}.priority'] = task.priority
        values[f'instances.{name}.model'] = task.planned_model or task.model
    return values


def expect_device(plan: Plan, source: str, device: str) -> None:
    """Raise StrategyError if the times of a plan are of another device."""
    if plan.device != device:
        raise StrategyError(source, f"is for the device '{plan.device}', and this is '{device}'; "
                            'plan with times of this device')
