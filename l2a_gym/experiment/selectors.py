"""From a selector's name to its class; nothing here loads torch, but a selector's module may."""

from __future__ import annotations

from l2a_agents import registry
from l2a_agents.registry import selector_class
from l2a_agents.selector import Selector

from l2a_gym.errors import UserError, check_choice
from l2a_gym.plugins import Registry

SELECTORS: Registry[type[Selector]] = Registry("selector", "l2a_gym.selectors", registry.SELECTORS)
"""Name -> class."""


def load_class(name: str) -> type[Selector]:
    """The class of a selector, by its registered name or as my_module:MySelector; ``name@shuffled`` is a control of it.

    Whatever a module of the user's own raises comes through as it is.

    Raises:
        UserError: there is no selector of this name, or a package that it needs is not installed.
    """
    try:
        return selector_class(located(name))
    except (ValueError, ImportError, AttributeError) as error:
        if _is_missing(name, error):
            raise UserError(f"selector {name!r}: {error}" if ":" in name else str(error)) from error
        raise
    except SystemExit as error:
        raise UserError(f"selector {name!r}: its module ends the process while it is imported") from error


def located(name: str) -> str:
    """The name as ``l2a_agents`` knows it: of a selector that a package adds, my_module:MySelector.

    Raises:
        UserError: there is no selector of this name, it is taken twice, or its package can't be imported.
    """
    plain, at, control = name.partition("@")
    if ":" in plain:
        return name
    check_choice("selector", plain, SELECTORS)
    entry = SELECTORS.entry(plain)
    if entry.dist is None:
        return name
    _ = SELECTORS[plain]  # imported here, so that an error names the package
    return f"{entry.value}{at}{control}"


def _is_missing(name: str, error: Exception) -> bool:
    """Whether an error is about the name, or comes from within the user's module."""
    module, own, _ = name.partition(":")
    if isinstance(error, AttributeError):
        return getattr(error.obj, "__name__", "") == module
    if isinstance(error, ModuleNotFoundError) and own:
        return f"{module}.".startswith(f"{error.name}.")
    return not own
