"""The joint loop: selector and pool refine each other, round by round.

A round trains the selector on the pool. Before the next, the pool is made anew: texts to start from are drawn as the
selector weighted them, operators get copies as it weighted theirs, and the all-data teacher is tuned again on sources
in the same proportions. A round that stands in the run folder is not done again.
"""

from __future__ import annotations

import json
import logging
from collections import deque
from dataclasses import asdict, replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from l2a_agents.rollout import rollout
from l2a_agents.selector import Action, Observation, Selector
from numpy.typing import NDArray

from l2a_gym.augment.config import PoolConfig
from l2a_gym.cache import damaged, hashes, write_folder, write_text
from l2a_gym.checked import digest_of, write_array
from l2a_gym.experiment.adapter import TaskAdapter, distill
from l2a_gym.experiment.progress import train_selector
from l2a_gym.experiment.run import load_selector, new_selector
from l2a_gym.experiment.seeds import renewal_seeds
from l2a_gym.experiment.settings import Run

log = logging.getLogger(__name__)

WATCHED = 8
"""Episodes over whose candidates a selector's weights are averaged."""
FLOOR = 0.1
"""What a text or an operator that the selector never weights keeps of the mean weight: rounds don't burn bridges."""


def rounds_of(run: Run) -> list[Run]:
    """The rounds of a run as runs of their own; the last lies in the run's folder, the others in folders of it.

    Each begins with the pool that the one before left; the budget is split evenly.
    """
    share = run.budget // run.rounds
    pools = [run.pool, *(str(_folder(run, number) / "pool" / "pool.json") for number in range(1, run.rounds))]
    rounds = [
        replace(run, rounds=1, pool=pool, budget=share, out=_folder(run, number))
        for number, pool in enumerate(pools, start=1)
    ]
    return [*rounds[:-1], replace(rounds[-1], budget=run.budget - share * (run.rounds - 1), out=run.folder)]


def _folder(run: Run, number: int) -> Path:
    return run.folder / f"round-{number}"


def train_rounds(run: Run, first: TaskAdapter) -> tuple[Run, TaskAdapter, Selector, int]:
    """Train a run's selector round by round, as far as that was not done before.

    Args:
        run: of one round or more.
        first: the adapter of the first round's task.

    Returns:
        The last round, which has the last pool; its adapter; the trained selector; the budget spent in all rounds.
    """
    rounds = rounds_of(run)
    adapter, selector = first, new_selector(rounds[0], first)
    spent = train_selector(rounds[0], adapter, selector)
    for before, part in pairwise(rounds):
        renew(before, adapter, load_selector(before, adapter))
        adapter = adapter.with_settings(part.environment)
        selector = new_selector(part, adapter)
        selector.load(before.folder / "selector")
        spent += train_selector(part, adapter, selector)
    return rounds[-1], adapter, load_selector(rounds[-1], adapter), spent


def renew(run: Run, adapter: TaskAdapter, selector: Selector) -> None:
    """Write the pool that a round's selector prefers into the round's folder, unless it stands there undamaged."""
    pool, key = run.folder / "pool", digest_of(hashes(run.folder / "selector"))
    if lost := damaged(pool, key):
        if pool.exists():
            log.warning("%s is damaged (%s): making it again", pool, ", ".join(lost))
        write_folder(pool, partial(renew_pool, run, adapter, selector), key)


def renew_pool(run: Run, adapter: TaskAdapter, selector: Selector, folder: Path) -> None:
    """Write ``preference.npy`` and ``pool.json`` into a folder: the pool that the run's selector prefers."""
    view = adapter.env(**selector.env_options)
    env = distill(view)
    weight, shown = np.zeros((2, env.world.candidates))

    def act(observation: Observation) -> Action:
        rows, action = env.shown(), selector.act(observation, deterministic=True)
        weight[rows] += np.maximum(action[: len(rows)], 0)
        shown[rows] += 1
        return action

    for seed in renewal_seeds(WATCHED, run.seed):
        deque(rollout(view, act, seed), maxlen=0)
    pool, config = env.world.prepared.pool(), PoolConfig.from_setting(run.pool)
    operator, domain, parent = (np.array(pool[name][:]) for name in ("operator", "domain", "parent"))
    names = config.operators(unlabelled=False)
    sources, labelled = operator == 0, operator < len(names)
    made = labelled & (domain == 0)
    shots = env.world.prepared.rows["train"]
    preference = [
        mean_weight(np.arange(sources.sum()), weight[sources], shown[sources], int(sources.sum())),
        mean_weight(parent[made], weight[made], shown[made], shots.stop - shots.start),
    ]
    liked = mean_weight(operator[labelled], weight[labelled], shown[labelled], len(names))[1:]
    counts = np.array(list(config.copies.values()))
    copies = counts * liked / max(float(counts @ liked / max(counts.sum(), 1e-12)), 1e-12)
    write_array(folder / "preference.npy", np.concatenate(preference))
    values: dict[str, Any] = asdict(config) | {
        "copies": dict(zip(config.copies, copies.round(3).tolist(), strict=True)),
        "preference": "preference.npy",
    }
    write_text(folder / "pool.json", json.dumps(values, indent=1))


def mean_weight(
    group: NDArray[np.int64], weight: NDArray[np.float64], shown: NDArray[np.float64], groups: int
) -> NDArray[np.float64]:
    """Mean weight (groups,) that the members of each group got when they were shown, never below a floor.

    Args:
        group: (n,) each candidate's group.
        weight: (n,) sum of its weights.
        shown: (n,) how often it was shown.
        groups: how many groups there are; one that was not shown gets the mean of all.
    """
    total, times = (np.bincount(group, weights=each, minlength=groups) for each in (weight, shown))
    mean = weight.sum() / max(shown.sum(), 1)
    found = np.where(times > 0, total / np.maximum(times, 1), mean)
    return np.maximum(found, FLOOR * mean) if mean > 0 else np.ones(groups)
