"""Names of one kind: our own, and those that packages of others add by entry points.

The packages' metadata tell which names there are. A module is imported when one of its names is looked up.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import TypeVar

from l2a_gym.errors import UserError

T = TypeVar("T")


class Registry(Mapping[str, T]):
    """Name -> what it stands for.

    Args:
        kind: what a name stands for, as errors call it.
        group: the entry points by which packages add names.
        own: our own names -> ``module:attribute``, or ``module``.
    """

    def __init__(self, kind: str, group: str, own: Mapping[str, str]) -> None:
        self.kind, self.group = kind, group
        self.own = {name: EntryPoint(name, value, group) for name, value in own.items()}

    def __getitem__(self, name: str) -> T:
        """What a name stands for; its module is imported.

        Raises:
            KeyError: there is no such name.
            UserError: the name is taken twice, or the package that adds it can't be imported.
        """
        entry = self.entry(name)
        if entry.dist is None:
            return entry.load()
        try:
            return entry.load()
        except Exception as error:
            raise UserError(
                f"{self.kind} {name!r} of {_package(entry)} can't be imported: {type(error).__name__}: {error}"
            ) from error

    def __contains__(self, name: object) -> bool:
        return name in self.own or name in self._added

    def __iter__(self) -> Iterator[str]:
        """Our own names, then those of packages; nothing is imported."""
        return iter({**self.own, **self._added})

    def __len__(self) -> int:
        return len({**self.own, **self._added})

    def entry(self, name: str) -> EntryPoint:
        """Where a name lies; ``dist`` is the package that adds it, None for our own.

        Raises:
            KeyError, UserError: as for a look-up; nothing is imported.
        """
        found = [*filter(None, [self.own.get(name)]), *self._added.get(name, [])]
        if not found:
            raise KeyError(name)
        if len(found) > 1:
            packages = " and by ".join(map(_package, found))
            raise UserError(f"{self.kind} {name!r} is taken twice, by {packages}: one of them needs another name")
        return found[0]

    def packages(self, names: Iterable[str]) -> dict[str, str]:
        """The packages of others that add these names, with their versions: results depend on them."""
        dists = [self.entry(name).dist for name in names if name in self]
        return {dist.name: dist.version for dist in dists if dist is not None}

    @property
    def _added(self) -> Mapping[str, list[EntryPoint]]:
        return _added(self.group, tuple(sys.path))


@cache
def _added(group: str, path: tuple[str, ...]) -> dict[str, list[EntryPoint]]:
    """Name -> where it lies, of all packages that are installed on this path."""
    found: dict[str, list[EntryPoint]] = {}
    for entry in sorted(entry_points(group=group), key=lambda each: (each.name, _package(each))):
        found.setdefault(entry.name, []).append(entry)
    return found


def _package(entry: EntryPoint) -> str:
    package = "l2a-gym" if entry.dist is None else f"the package {entry.dist.name} {entry.dist.version}"
    return f"{package} ({entry.value})"
