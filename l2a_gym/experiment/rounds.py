"""The joint loop: selector and pool refine each other, round by round.

A round trains the selector on the pool. Before the next, the pool is made anew: texts to start from are drawn as the
selector weighted them, operators get copies as it weighted theirs, and the all-data teacher is tuned again on sources
in the same proportions. A round that stands in the run folder is not done again.
"""

from __future__ import annotations

import json
import logging
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from l2a_agents.selector import Selector
from numpy.typing import NDArray

from l2a_gym.augment.config import PoolConfig
from l2a_gym.cache import damaged, hashes, write_folder, write_text
from l2a_gym.checked import digest_of, write_array
from l2a_gym.experiment.run import Run, load_selector, new_selector

log = logging.getLogger(__name__)

LOOKS = 8
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


def last_round(run: Run) -> Run:
    """The run as it stands after its rounds: with the last pool."""
    return rounds_of(run)[-1]


def _folder(run: Run, number: int) -> Path:
    return run.folder / f"round-{number}"


def begin_round(rounds: list[Run], number: int) -> Selector:
    """The selector that a round starts with: what the round before saved, or a new one."""
    if number == 0:
        return new_selector(rounds[0])
    before = rounds[number - 1]
    learnt, pool = before.folder / "selector", before.folder / "pool"
    preferred = load_selector(before)
    key = digest_of(hashes(learnt))
    if lost := damaged(pool, key):
        if pool.exists():
            log.warning("%s is damaged (%s): making it again", pool, ", ".join(lost))
        write_folder(pool, partial(renew_pool, before, preferred), key)
    selector = new_selector(rounds[number])
    selector.load(learnt)
    return selector


def renew_pool(run: Run, selector: Selector, folder: Path) -> None:
    """Write ``preference.npy`` and ``pool.json`` into a folder: the pool that the run's selector prefers."""
    env = run.environment(**selector.env_options)
    weight, shown = np.zeros((2, env.world.candidates))
    for seed in np.random.SeedSequence([run.seed, 0x9001]).generate_state(LOOKS).tolist():
        observation, _ = env.reset(seed=seed)
        done = False
        while not done:
            rows = env.save_state().episode.rows
            action = selector.act(observation, deterministic=True)
            weight[rows] += np.maximum(action, 0)
            shown[rows] += 1
            observation, _, terminated, truncated, _ = env.step(action)
            done = terminated or truncated
    pool, config = env.world.prepared.pool(), PoolConfig.of(run.pool)
    operator, domain, parent = (np.array(pool[name]) for name in ("operator", "domain", "parent"))
    sources = operator == 0
    shots = env.world.prepared.rows["train"]
    preference = [
        mean_weight(np.arange(sources.sum()), weight[sources], shown[sources], int(sources.sum())),
        mean_weight(parent[domain == 0], weight[domain == 0], shown[domain == 0], shots.stop - shots.start),
    ]
    liked = mean_weight(operator, weight, shown, len(config.names))[1:]
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
