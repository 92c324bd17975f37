"""What users should know of groups and instances: told once, and again when they ask."""

from __future__ import annotations

from typing import Dict, Iterable, List, Mapping, Set, Tuple

from s3dnn_ros.governor.outlook import SILENT_S, Outlook
from s3dnn_ros.governor.synchroniser import Synchroniser


class Remarks:
    """Sentences on what keeps frames from running, or from running in time.

    Parameters
    ----------
    groups : mapping of str to Synchroniser
    outlook : Outlook

    """

    def __init__(self, groups: Mapping[str, Synchroniser], outlook: Outlook):
        self._groups = groups
        self._outlook = outlook
        self._of_groups: Dict[str, str] = {}
        self._news: List[str] = []
        self._told: Set[Tuple[str, str]] = set()    # kind of remark, and of what

    def add(self, sentence: str):
        """Have something told once."""
        self._news.append(sentence)

    def news(self) -> List[str]:
        """Return what should be told now; each sentence once."""
        news, self._news = self._news, []
        return news

    def look_at_groups(self, now_s):
        """Look for groups whose moments are never complete."""
        for name, synchroniser in self._groups.items():
            lack = synchroniser.lack(now_s)
            self._of_groups[name] = f"group '{name}': {lack}" if lack else ''
            self._tell_once('group', name, self._of_groups[name])

    def look_at_rivals(self, instances: Iterable[str], now_s):
        """Look for instances that two executors run."""
        for name in instances:
            self._tell_once('rivals', name, self._rivalry(name, now_s))

    def of_groups(self, now_s) -> Dict[str, str]:
        """Say of each group why none of its moments is complete; empty if some are."""
        self.look_at_groups(now_s)
        return dict(self._of_groups)

    def of_instance(self, name, deadline_s, now_s) -> str:
        """Say why the frames of an instance do not run, or not in time; empty if they do."""
        if not self._outlook.takes(name):
            return f"no executor takes batches of instance '{name}'; is one running and active?"
        silent_s = self._outlook.silent_s(name, now_s)
        if silent_s > SILENT_S:
            return (f"the executor of instance '{name}' has told nothing for {silent_s:.0f} s; "
                    'see whether it was stopped, or something else takes its CPU')
        rivalry = self._rivalry(name, now_s)
        if rivalry:
            return rivalry
        run_s = self._outlook.time_s(name, 1) or 0.0
        if run_s > deadline_s:
            return (f"instance '{name}' takes {1e3 * run_s:.0f} ms from a frame's choice to its "
                    f'result, and its deadline is {1e3 * deadline_s:.0f} ms: no frame is in '
                    'time; allow more time, or take a faster model or engine')
        return ''

    def _rivalry(self, name, now_s):
        rival = self._outlook.rival_of(name, now_s)
        return rival and (
            f"two executors run instance '{name}': {self._outlook.process_of(name)}, which gets "
            f'its frames, and {rival}; stop one of them, or give its instance another name')

    def _tell_once(self, kind, name, sentence):
        if sentence and (kind, name) not in self._told:
            self._told.add((kind, name))
            self._news.append(sentence)
