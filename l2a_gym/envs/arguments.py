"""What constructors of environments are given: names that are known, values of the right type, specs for JSON."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from inspect import signature
from typing import Any, TypeVar

from gymnasium.envs.registration import EnvSpec

from l2a_gym.config import check_type, hints_of, plain
from l2a_gym.errors import unknown

Init = TypeVar("Init", bound=Callable[..., None])


def checked_arguments(rest: type | None = None) -> Callable[[Init], Init]:
    """Decorate a constructor: it gets plain values of the types that its signature names.

    Args:
        rest: the class whose constructor takes, and checks, the arguments that this one passes on by ``**``.

    Raises:
        UserError: in the constructor, an unknown argument, or a value of another type.
    """

    def decorate(init: Init) -> Init:
        shape = signature(init)
        named = [name for name, each in shape.parameters.items() if name != "self" and each.kind != each.VAR_KEYWORD]
        known = list(dict.fromkeys([*named, *(signature(rest).parameters if rest else ())]))

        @wraps(init)
        def checked(self: object, *args: Any, **given: Any) -> None:
            for name in given:
                if name not in known:
                    raise unknown(f"argument of {type(self).__name__}", name, known)
            bound, hints = shape.bind(self, *args, **given), hints_of(init)
            for name in named:
                if name in bound.arguments:
                    bound.arguments[name] = check_type(name, bound.arguments[name], hints[name])
            init(*bound.args, **bound.kwargs)

        return checked  # type: ignore[return-value]

    return decorate


class PlainSpec:
    """The part of an environment that holds its spec, with plain values, so that ``spec.to_json()`` works."""

    _spec: EnvSpec | None = None

    @property
    def spec(self) -> EnvSpec | None:
        """How ``gym.make`` or ``gym.make_vec`` made the environment."""
        return self._spec

    @spec.setter
    def spec(self, spec: EnvSpec | None) -> None:
        self._spec = spec and replace(spec, kwargs=plain(spec.kwargs))
