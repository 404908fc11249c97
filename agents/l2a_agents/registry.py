"""Name -> selector. A new selector is one class and one line here."""

from __future__ import annotations

from dataclasses import fields
from importlib import import_module
from typing import Any

from l2a_agents.controls import CONTROLS
from l2a_agents.selector import Selector, Spaces, unknown

SELECTORS = {
    "none": "l2a_agents.fixed:Nothing",
    "uniform": "l2a_agents.fixed:Uniform",
    "random-half": "l2a_agents.fixed:RandomHalf",
    "without": "l2a_agents.fixed:Without",
    "without-largest": "l2a_agents.fixed:WithoutLargest",
    "without-smallest": "l2a_agents.fixed:WithoutSmallest",
    "trust-teacher": "l2a_agents.fixed:TrustTeacher",
    "few-shot-agrees": "l2a_agents.cleaning:FewShotAgrees",
    "all-data-agrees": "l2a_agents.cleaning:AllDataAgrees",
    "mean-agrees": "l2a_agents.cleaning:MeanAgrees",
    "cross-fitted-agrees": "l2a_agents.cleaning:CrossFittedAgrees",
    "cross-fitted-weight": "l2a_agents.cleaning:CrossFittedWeight",
    "cross-fitted-balanced": "l2a_agents.cleaning:CrossFittedBalanced",
    "confident-learning": "l2a_agents.cleaning:ConfidentLearning",
    "doubt": "l2a_agents.cleaning:Doubt",
    "oracle": "l2a_agents.cleaning:Oracle",
    "best-rule": "l2a_agents.best_rule:BestRule",
    "teacher-confidence": "l2a_agents.heuristic:TeacherConfidence",
    "similarity": "l2a_agents.heuristic:Similarity",
    "moore-lewis": "l2a_agents.heuristic:MooreLewis",
    "dsir": "l2a_agents.heuristic:DSIR",
    "prototype": "l2a_agents.heuristic:Prototype",
    "max-kl": "l2a_agents.heuristic:MaxKL",
    "loss-curriculum": "l2a_agents.heuristic:LossCurriculum",
    "el2n": "l2a_agents.heuristic:EL2N",
    "meta-gradient": "l2a_agents.heuristic:MetaGradient",
    "exp3": "l2a_agents.bandit:Exp3",
    "ucb": "l2a_agents.bandit:UCB",
    "thompson": "l2a_agents.bandit:Thompson",
    "random-search": "l2a_agents.search:RandomSearch",
    "cma-es": "l2a_agents.evolution:CMAES",
    "bayes": "l2a_agents.bayes:Bayes",
    "pgpe": "l2a_agents.pgpe:PGPE",
    "l2a": "l2a_agents.influence:Influence",
    "reinforce": "l2a_agents.reinforce:Reinforce",
    "dvrl": "l2a_agents.dvrl:DVRL",
    "influence": "l2a_agents.influence:Influence",
    "metagradient": "l2a_agents.metagradient:Metagradient",
    "look-ahead": "l2a_agents.lookahead:LookAhead",
    "ppo": "l2a_agents.sb3_presets:PPOSelector",
    "a2c": "l2a_agents.sb3_presets:A2CSelector",
    "trpo": "l2a_agents.contrib_presets:TRPOSelector",
    "sac": "l2a_agents.sb3_presets:SACSelector",
    "td3": "l2a_agents.sb3_presets:TD3Selector",
    "tqc": "l2a_agents.contrib_presets:TQCSelector",
}
"""Where each selector's class lies; it is imported when it is looked up, so that none needs another's packages."""


def make_selector(name: str, spaces: Spaces, **hyperparameters: Any) -> Selector:
    """A selector by name, with values laid over the defaults of its ``config_class``.

    Raises:
        ValueError: unknown name, of the selector or of a hyper-parameter, or a value that is not valid.
        ModuleNotFoundError: as for :func:`selector_class`.
    """
    kind: Any = selector_class(name)
    config_class = getattr(kind, "config_class", None)
    valid = [field.name for field in fields(config_class)] if config_class else []
    for each in hyperparameters:
        if each not in valid:
            raise ValueError(unknown(f"hyper-parameter of {name}", each, valid))
    selector: Selector = kind(spaces, config_class(**hyperparameters)) if config_class else kind(spaces)
    return selector


def selector_class(name: str) -> type[Selector]:
    """The class of a registered selector, or of ``my_module:MySelector``; ``name@shuffled`` is a control of it.

    Raises:
        ValueError: unknown name; the message names one that is near, and all.
        ModuleNotFoundError: the module, or a package that it needs, is not installed.
    """
    plain, at, control = name.partition("@")
    if plain not in SELECTORS and ":" not in plain:
        raise ValueError(unknown("selector", plain, SELECTORS))
    if at and control not in CONTROLS:
        raise ValueError(f"unknown control {control!r} of {plain!r}: valid are {', '.join(CONTROLS)}")
    module, _, attribute = SELECTORS.get(plain, plain).partition(":")
    found: type[Selector] = getattr(import_module(module), attribute)
    return CONTROLS[control](found) if at else found
