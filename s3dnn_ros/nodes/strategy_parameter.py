"""The executor's parameter `strategy`: it sets models and priorities of all instances."""

from __future__ import annotations

from s3dnn_ros.models.spec import load_spec
from s3dnn_ros.nodes.guarded import sentence_of
from s3dnn_ros.settings.parameters import values_of
from s3dnn_ros.strategy.plan_file import load_plan
from s3dnn_ros.strategy.use import expect_device, parameters_of


class StrategyParameter:
    """What the parameter says, at configure and while the executor runs.

    Parameters
    ----------
    node : ExecutorNode
    change : ModelChange

    """

    def __init__(self, node, change):
        self._node = node
        self._change = change
        self._asked = self._holds = ''      # files: the first holds once its models serve

    def configure(self, settings):
        """Set the instances' parameters before anything is loaded; return the plan, or None.

        Raises StrategyError.
        """
        self._asked = self._holds = settings.strategy
        if not settings.strategy:
            return None
        plan, changes = self._read(settings)
        self._node.change(changes)
        self._warn(plan, settings)
        return plan

    def follow(self, settings, device):
        """Begin to change the instances if the parameter has another value; '' changes nothing.

        Raises S3dnnError if what the file says cannot be used on this device, and changes nothing.
        """
        file = settings.strategy
        if file == self._asked:
            return
        if file:
            plan, changes = self._read(settings)
            expect_device(plan, file, device)
            planned = self._node.changed({**values_of(settings), **changes})
            others = [name for name, item in planned.instances.items()
                      if item.model != self._node.settings.instances[name].model]
            self._change.begin(others, planned, changes, self._ended)
            self._warn(plan, settings)
        else:
            self._holds = ''
        self._asked = file

    def _read(self, settings):
        """Return a plan, and the parameters that make it."""
        plan = load_plan(settings.strategy)
        return plan, parameters_of(plan, settings.strategy, {
            name: load_spec(item.model, settings.model_directories).name
            for name, item in settings.instances.items()})

    def _ended(self, error):
        log = self._node.get_logger()
        if error is None:
            self._holds = self._asked
            log.info('the strategy holds: ' + ', '.join(
                f'{name} runs {item.model} with priority {item.priority}'
                for name, item in self._node.settings.instances.items()))
            return
        log.warning('the strategy does not hold, and all instances keep model and priority: '
                    + sentence_of(error))
        if self._node.is_configured and self._holds != self._asked:
            self._asked = self._holds
            self._node.change({'strategy': self._holds})

    def _warn(self, plan, settings):
        """Tell of what the plan does not promise here."""
        log = self._node.get_logger()
        if plan.policy != settings.scheduling.scheduler:
            log.warning(f'{settings.strategy} was planned with the scheduler {plan.policy}, and '
                        f'this executor has {settings.scheduling.scheduler}: tasks may miss more '
                        'than planned; plan again with --policy, or set scheduler')
        if not plan.feasible:
            log.warning(f'{settings.strategy} is the nearest of a search that found no feasible '
                        'strategy: some tasks miss more than they tolerate')
