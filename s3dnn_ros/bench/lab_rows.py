"""Results of experiments as rows that tables pick from."""

from __future__ import annotations

from typing import Any, Dict, List, Tuple


class Rows:
    """The cells of a `sweep`'s results, or some of them, in their order."""

    def __init__(self, results: Dict):
        self.cells: List[Dict] = results['cells']

    def where(self, **wanted) -> Rows:
        """Return the rows whose cells have these values."""
        return self._of([row for row in self.cells if all(
            row['cell'].get(name) == value for name, value in wanted.items())])

    def excluding(self, **unwanted) -> Rows:
        """Return the rows whose cells have none of these values."""
        return self._of([row for row in self.cells if all(
            row['cell'].get(name) != value for name, value in unwanted.items())])

    def having(self, name: str) -> Rows:
        """Return the rows whose cells have such a parameter."""
        return self._of([row for row in self.cells if name in row['cell']])

    def excluding_parameter(self, name: str) -> Rows:
        """Return the rows whose cells have no such parameter."""
        return self._of([row for row in self.cells if name not in row['cell']])

    def values(self, name: str) -> List[Any]:
        """Return the values of a parameter, each once, in their order."""
        return list(dict.fromkeys(row['cell'][name] for row in self.cells if name in row['cell']))

    def pairs(self, first: str, second: str) -> List[Tuple]:
        """Return the pairs of two parameters' values, each once, in their order."""
        return list(dict.fromkeys((row['cell'][first], row['cell'][second])
                                  for row in self.cells))

    def numbers(self, name: str) -> List[float]:
        """Return what results have of this name, where they have it."""
        return [row['result'][name] for row in self.cells if row['result'][name] is not None]

    @staticmethod
    def _of(cells) -> Rows:
        return Rows({'cells': cells})


def simulated(results: Dict) -> str:
    """Return what tables begin with: what they are of, and how to read them."""
    environment = results['environment']
    left = '' if results['complete'] else (
        f" Only {len(results['cells'])} of {results['total']} simulations are done.")
    return (f"Simulated, not measured; commit {environment['commit']}, {environment['date']}. "
            f'Figures are means ± 95 % over seeds.{left}')
