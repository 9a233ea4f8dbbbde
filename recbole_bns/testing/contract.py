"""What a contract is: checks as test methods, each called once for each of its variations."""

from __future__ import annotations

import inspect
from itertools import product
from typing import Any

Variations = dict[tuple[str, ...], list[tuple[Any, ...]]]
"""Names of a check's arguments and the values that it is called with."""


class Contract:
    """Checks that pytest collects, or that :meth:`run_all` calls without it."""

    def _variations(self, name: str) -> Variations:
        """Those of the check ``name``; of its arguments alone they are used."""
        raise NotImplementedError

    def pytest_generate_tests(self, metafunc: Any) -> None:
        """Have pytest call a check of the contract once for each of its cases."""
        for names, values in self._variations(metafunc.function.__name__).items():
            if set(names) <= set(metafunc.fixturenames):
                metafunc.parametrize(names, values, ids=["-".join(map(str, v)) for v in values])

    def run_all(self) -> None:
        """Every check on every case, without pytest."""
        for name in dir(self):
            if name.startswith("test_"):
                self.run_check(name)

    def run_check(self, name: str) -> None:
        """One check on every case, without pytest."""
        check = getattr(self, name)
        arguments = set(inspect.signature(check).parameters)
        variations = [
            [dict(zip(names, value, strict=True)) for value in values]
            for names, values in self._variations(name).items()
            if set(names) <= arguments
        ]
        for chosen in product(*variations):
            check(**{key: value for part in chosen for key, value in part.items()})
