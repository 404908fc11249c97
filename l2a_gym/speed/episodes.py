"""How many episodes an hour a selector's training plays, all included."""

from __future__ import annotations

import time

import numpy as np

from l2a_gym.experiment.run import Run, new_selector


def episodes(run: Run, number: int) -> float:
    """Train a run's selector for about ``number`` episodes, from its first report on.

    What comes before the first report is a start that does not grow with the budget.
    """
    env = run.environment()
    cost = env.steps * (env.updates + 1) + 1
    reports: list[tuple[float, int]] = []
    selector = new_selector(run)
    selector.train(
        run.make_env(**selector.env_options),
        number * cost,
        run.seed,
        lambda spent, _: reports.append((time.perf_counter(), spent)),
        run.num_envs,
    )
    seconds, spent = np.diff(np.array(reports)[[0, -1]], axis=0)[0]
    return float(spent / cost / seconds * 3600)
