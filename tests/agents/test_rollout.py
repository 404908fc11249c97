"""The loop that plays one episode; the one for a batch is tested by what is played with it (test_episodes)."""

from __future__ import annotations

from typing import Any

import numpy as np
from l2a_agents.rollout import rollout
from l2a_agents.selector import Spaces

from l2a_gym.envs.toy import ToyEnv


def test_an_episode_is_that_of_the_environment(spaces: Spaces) -> None:
    """Each step has what was seen before and after it, and the environment stands at it while the caller has it."""
    env, twin = ToyEnv(), ToyEnv()
    before, _ = twin.reset(seed=3)
    for t, step in enumerate(rollout(env, lambda seen: seen["candidates"][:, spaces.column("kl")], seed=3)):
        after, reward, over, _, info = twin.step(before["candidates"][:, spaces.column("kl")])
        assert (step.reward, step.over, step.info) == (reward, over, info)
        for found, expected in ((step.observation, before), (step.next_observation, after)):
            assert all(np.array_equal(found[name], part) for name, part in expected.items())
        assert spaces.begins(step.observation) == (t == 0)
        assert spaces.progress(step.next_observation["student"]) == np.float32((t + 1) / 10)
        assert env.save_state().episode.t == t + 1
        before = after
    assert t == 9


def test_spaces_name_every_part(spaces: Spaces) -> None:
    shown: Any = ToyEnv().observation_space
    assert shown["candidates"].shape == (spaces.candidates, len(spaces.columns))
    assert shown["student"].shape == (len(spaces.student_columns),)
    assert shown["domains"].shape == (len(spaces.domains), len(spaces.domain_columns))
    assert shown["operators"].shape == (len(spaces.operators), len(spaces.operator_columns))
