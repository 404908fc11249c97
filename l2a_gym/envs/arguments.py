"""What constructors of environments are given: names that are known, values of the right type, specs for JSON."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from functools import update_wrapper
from inspect import Parameter, Signature, signature
from typing import Any, Concatenate, ParamSpec, TypeVar

from gymnasium.envs.registration import EnvSpec

from l2a_gym.config import check_type, hints_of, plain
from l2a_gym.envs.features import DOMAIN, OPERATOR, STUDENT
from l2a_gym.envs.viewer import RENDER_MODES
from l2a_gym.errors import unknown

P = ParamSpec("P")
Given = TypeVar("Given")


@dataclass(frozen=True)
class Checked:
    """The base of a constructor's arguments: a frozen dataclass whose values are plain, and of their fields' types.

    Raises:
        UserError: a value of another type.
    """

    def __post_init__(self) -> None:
        kind: Any = type(self)
        hints = hints_of(kind)
        for each in fields(self):
            value = check_type(each.name, getattr(self, each.name), hints[each.name])
            object.__setattr__(self, each.name, value)  # the way to set a frozen dataclass's own fields


def takes(
    arguments: Callable[P, Given],
) -> Callable[[Callable[[Any, Given], None]], Callable[Concatenate[Any, P], None]]:
    """Decorate a constructor of one argument, a dataclass: it is called with the fields, and its signature shows them.

    Args:
        arguments: the dataclass.

    Raises:
        UserError: in the constructor, an unknown argument, or what the dataclass raises.
    """
    hints, shown = hints_of(arguments), signature(arguments).parameters
    parameters = [each.replace(annotation=hints[name]) for name, each in shown.items()]

    def decorate(init: Callable[[Any, Given], None]) -> Callable[Concatenate[Any, P], None]:
        def construct(self: Any, /, *args: P.args, **kwargs: P.kwargs) -> None:
            for name in kwargs:
                if name not in shown:
                    raise unknown(f"argument of {type(self).__name__}", name, shown)
            init(self, arguments(*args, **kwargs))

        update_wrapper(construct, init)
        own = Parameter("self", Parameter.POSITIONAL_ONLY)
        construct.__signature__ = Signature([own, *parameters])  # type: ignore[attr-defined]
        return construct

    return decorate


class Described:
    """What every environment tells of itself: how it renders, names of columns, and its spec in plain values.

    Attributes:
        student_columns: names of the columns of ``student``.
        domain_columns: of ``domains``.
        operator_columns: of ``operators``.
    """

    metadata: dict[str, Any] = {"render_modes": [*RENDER_MODES], "render_fps": 4}  # noqa: RUF012
    student_columns, domain_columns, operator_columns = tuple(STUDENT), tuple(DOMAIN), tuple(OPERATOR)
    _spec: EnvSpec | None = None

    @property
    def spec(self) -> EnvSpec | None:
        """How ``gym.make`` or ``gym.make_vec`` made the environment."""
        return self._spec

    @spec.setter
    def spec(self, spec: EnvSpec | None) -> None:
        self._spec = spec and replace(spec, kwargs=plain(spec.kwargs))
