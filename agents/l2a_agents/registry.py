"""Name -> selector. A new selector is one class and one line here."""

from __future__ import annotations

import difflib
from importlib import import_module

from l2a_agents.selector import Selector

SELECTORS = {
    "none": "l2a_agents.fixed:Nothing",
    "uniform": "l2a_agents.fixed:Uniform",
    "random-half": "l2a_agents.fixed:RandomHalf",
    "teacher-confidence": "l2a_agents.heuristic:TeacherConfidence",
    "similarity": "l2a_agents.heuristic:Similarity",
    "oracle": "l2a_agents.heuristic:Oracle",
    "random-search": "l2a_agents.search:RandomSearch",
    "cma-es": "l2a_agents.evolution:CMAES",
    "reinforce": "l2a_agents.reinforce:Reinforce",
    "l2a": "l2a_agents.reinforce:Reinforce",
    "reinforce-candidates": "l2a_agents.reinforce:ReinforceCandidates",
    "ppo": "l2a_agents.ppo:PPOSelector",
}
"""Where each selector's class lies; it is imported when it is asked for, so that none needs another's packages."""


def selector_class(name: str) -> type[Selector]:
    """The class of a registered selector, or of ``my_module:MySelector``.

    Raises:
        ValueError: unknown name; the message names the nearest valid one.
        ModuleNotFoundError: the module, or a package that it needs, is not installed.
    """
    if name not in SELECTORS and ":" not in name:
        near = difflib.get_close_matches(name, SELECTORS, n=1, cutoff=0.0)[0]
        raise ValueError(f"unknown selector {name!r}: did you mean {near!r}? valid are {', '.join(SELECTORS)}")
    module, _, attribute = SELECTORS.get(name, name).partition(":")
    found: type[Selector] = getattr(import_module(module), attribute)
    return found
