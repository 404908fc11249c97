"""The two ways to keep students give the same episodes; observations can stay on the device."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from l2a_gym.envs.distill_aug import DistillAugEnv
from l2a_gym.envs.distill_aug_vector import DistillAugVectorEnv
from l2a_gym.errors import UserError

E, N, T = 2, 24, 4  # the budget of the small task


def actions(seed: int = 0, size: int = N) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1, 1, (T, E, size)).astype(np.float32)


@pytest.mark.parametrize("options", [{}, {"action": "mixture"}, {"action": "trust", "baseline": "uniform"}], ids=str)
def test_a_batch_gives_what_threads_give(
    small: dict[str, Any], options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two episodes, the second one begun by the first one's end."""
    monkeypatch.setattr(torch, "get_num_threads", lambda: E)  # tests have one, and nothing would go on side by side
    both = [DistillAugVectorEnv(num_envs=E, **small, **options, engine=engine) for engine in ("threads", "batched")]
    for found in zip(*(envs.reset(seed=3)[0].items() for envs in both), strict=True):
        (name, threads), (_, batch) = found
        np.testing.assert_allclose(batch, threads, rtol=0, atol=1e-4, err_msg=name)
    size = both[0].single_action_space.shape[0]
    for action in np.concatenate([actions(0, size), actions(1, size)]):
        (seen, rewards, over, _, infos), (batch, others, ended, _, told) = (envs.step(action) for envs in both)
        np.testing.assert_allclose(others, rewards, rtol=0, atol=1e-4)
        np.testing.assert_array_equal(ended, over)
        np.testing.assert_allclose(told["dev_nll"], infos["dev_nll"], rtol=0, atol=1e-4)
        for name in seen:
            np.testing.assert_allclose(batch[name], seen[name], rtol=0, atol=2e-4, err_msg=name)


def test_a_batch_goes_back_to_a_moment_bit_for_bit(small: dict[str, Any]) -> None:
    env = DistillAugEnv(**small, engine="batched")
    env.reset(seed=1)
    env.step(actions()[0, 0])
    state, fork = env.save_state(), env.fork()
    rewards = [env.step(action)[1] for action in actions()[1:3, 0]]
    env.restore_state(state)
    assert [env.step(action)[1] for action in actions()[1:3, 0]] == rewards
    assert [fork.step(action)[1] for action in actions()[1:3, 0]] == rewards


def test_the_student_taken_out_of_a_batch_predicts_what_it_predicts_there(small: dict[str, Any]) -> None:
    env = DistillAugEnv(**small, engine="batched")
    env.reset(seed=1)
    env.step(actions()[0, 0])
    dev = env.world.dev.tokens
    torch.testing.assert_close(env.student(**dev.inputs()).logits, env.predict(dev), rtol=0, atol=1e-4)


def test_observations_on_the_device_are_those_in_memory(small: dict[str, Any]) -> None:
    plain = DistillAugVectorEnv(num_envs=E, **small)
    tensors = DistillAugVectorEnv(num_envs=E, **small, device_observations=True)
    seen, _ = plain.reset(seed=3)
    kept, _ = tensors.reset(seed=3)
    for action in actions():
        for name, value in kept.items():
            assert isinstance(value, torch.Tensor)
            np.testing.assert_array_equal(value.numpy(), seen[name], err_msg=name)
        seen, rewards, over, _, infos = plain.step(action)
        kept, others, _, _, told = tensors.step(torch.from_numpy(action))
        np.testing.assert_array_equal(others, rewards)
    assert over.all()
    for i in range(E):
        for name, value in infos["final_obs"][i].items():
            np.testing.assert_array_equal(told["final_obs"][i][name].numpy(), value, err_msg=name)


def test_what_is_not_valid_is_named(small: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="unknown engine 'batch': did you mean 'batched'"):
        DistillAugEnv(**small, engine="batch")
    with pytest.raises(UserError, match="unknown precision 'float16': did you mean 'bfloat16'"):
        DistillAugEnv(**small, precision="float16")
