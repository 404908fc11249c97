"""Suites: frozen lists of tasks with a budget and seeds. A suite never changes; what changes gets another name."""

from __future__ import annotations

from dataclasses import dataclass

from l2a_gym.errors import unknown

TOY = "toy"
"""The name of the made-up task, ``L2A-Toy-v0``."""
NONE, UNIFORM, ORACLE = "none", "uniform", "oracle"
"""Selectors that stand in every table: nothing but the shots, all alike, and what knows which labels are wrong."""
RULES = (
    *("few-shot-agrees", "all-data-agrees", "mean-agrees", "cross-fitted-agrees"),
    *("cross-fitted-weight", "cross-fitted-balanced", "confident-learning", "doubt", "trust-teacher"),
    *("without", "without-largest", "without-smallest"),
)
"""Fixed rules that stand in every table: each may be all that there is to learn."""
BASELINES = (NONE, UNIFORM, *RULES, "random-search", "best-rule")
"""What every comparison needs: what the shots alone are worth, and what a selector has to beat."""
CHEAP = (
    *("random-half", "teacher-confidence", "similarity", "prototype", "dsir", "moore-lewis"),
    *("max-kl", "loss-curriculum", "el2n", "meta-gradient", "oracle"),
)
"""Other selectors that learn nothing."""


@dataclass(frozen=True)
class Suite:
    """A benchmark's frozen part.

    Attributes:
        tasks: task ids, ``toy`` among them; ``<id>@<pool>`` has another make-up of candidates.
        selectors: those that are compared beside :data:`BASELINES` unless others are named.
        budget: student updates and dev passes that each training is given.
        seeds: of the trainings that are reported; students' seeds follow from them.
        tuning: seeds to choose settings on, none of which is reported.
        students: final students a training.
    """

    tasks: tuple[str, ...]
    selectors: tuple[str, ...]
    budget: int
    seeds: tuple[int, ...]
    tuning: tuple[int, ...] = tuple(range(100, 110))
    students: int = 3


TARGETS = ("nyt", "tweets", "amazon", "movie")


def _questions(*targets: str) -> Suite:
    """Six questions, posed to each of the targets."""
    return Suite(
        tasks=tuple(
            f"hutto/{target}{question}"
            for target in targets
            for question in ("", "-noise40", "-asym60", "-inverted", "-shift", "-mixed")
        ),
        selectors=("oracle", "influence", "metagradient", "pgpe", "ppo", "metagradient@shuffled"),
        budget=1000,
        seeds=tuple(range(6)),
    )


SUITES = {
    "smoke": Suite(
        tasks=(TOY, "hutto/nyt-16"),
        selectors=("pgpe",),
        budget=328,
        seeds=(0, 1),
        students=1,
    ),
    "core": Suite(
        tasks=tuple(f"hutto/{target}-64{noise}" for target in TARGETS for noise in ("-noise40", "")),
        selectors=(*CHEAP, "pgpe", "ppo", "pgpe@shuffled"),
        budget=2000,
        seeds=tuple(range(6)),
    ),
    "questions": _questions("nyt-64all", "amazon-64all"),
    "questions-800": _questions("nyt-16", "amazon-64"),
    "full": Suite(
        tasks=(
            *(
                f"hutto/{target}-{shots}{noise}"
                for target in TARGETS
                for shots in (16, 64, 256)
                for noise in ("", "-noise40")
            ),
            *(f"hutto/{target}-64@generated" for target in TARGETS),
            *("hub/mrpc-100", "hub/mrpc-100@generated"),
        ),
        selectors=(*CHEAP, "cma-es", "bayes", "pgpe", "dvrl", "ppo", "pgpe@shuffled"),
        budget=5000,
        seeds=tuple(range(10)),
        students=5,
    ),
}
"""``smoke``: everything works, in minutes. ``core``: the four domains, clean and with 40 % of the source labels
flipped. ``questions``: six troubles of the sources where 64 labels of the target are all that there is, so that nobody
can judge labels well; ``questions-800``: the same questions where some 800 labels make good judges.
``full``: all numbers of shots, pairs of texts, and pools with generated texts."""


def suite_of(name: str) -> Suite:
    """A suite by its name.

    Raises:
        UserError: unknown name.
    """
    if name not in SUITES:
        raise unknown("suite", name, SUITES)
    return SUITES[name]
