"""``L2A-Toy-v0``: the contract of the real environment, and an optimum that is what it says."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
import warnings
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec
from gymnasium.error import ResetNeeded
from gymnasium.utils.env_checker import check_env
from numpy.typing import NDArray

from l2a_gym.envs.features import FEATURES
from l2a_gym.envs.observation import candidate_columns, check_features, observation_space
from l2a_gym.envs.toy import ToyEnv
from l2a_gym.errors import UserError

Rule = Any  # of an observation, an action
SEEDS = range(20)


def play(env: ToyEnv, seed: int, rule: Rule) -> list[float]:
    """Return the rewards of one episode."""
    (observation, _), rewards, over = env.reset(seed=seed), [], False
    while not over:
        observation, reward, over, _, _ = env.step(rule(observation))
        rewards.append(reward)
    return rewards


def actions(n: int, candidates: int = 32) -> NDArray[np.float32]:
    return np.random.default_rng(7).uniform(-1, 1, (n, candidates)).astype(np.float32)


def column(env: ToyEnv, observation: dict[str, NDArray[np.float32]], name: str) -> NDArray[np.float64]:
    return observation["candidates"][:, env.columns.index(name)].astype(np.float64)


def useful(env: ToyEnv, observation: dict[str, NDArray[np.float32]]) -> NDArray[np.float64]:
    """Compute the formula of the class docstring."""
    return 0.7 * (2 * column(env, observation, "all_data_label") - 1) + 0.3 * column(
        env, observation, "domain_log_odds"
    )


def test_gymnasium_has_no_complaint() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(gym.make("l2a_gym:L2A-Toy-v0", disable_env_checker=True).unwrapped, skip_render_check=False)


def test_trust_changes_nothing() -> None:
    plain, trusting = ToyEnv(), ToyEnv(action="trust")
    assert trusting.action_space.shape == (64,)
    rewards = [play(env, 0, lambda _, env=env: actions(1, env.action_space.shape[0])[0]) for env in (plain, trusting)]
    assert rewards[0] == rewards[1]


def test_stable_baselines_complains_of_tables_alone() -> None:
    checker = pytest.importorskip("stable_baselines3.common.env_checker")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        checker.check_env(ToyEnv())
    # Tables (N, F) and (D, G) are what agents that treat candidates alike need; its advice is for flat networks.
    assert [str(warning.message).split(" (neither")[0] for warning in caught] == [
        "Your observation candidates has an unconventional shape",
        "Your observation domains has an unconventional shape",
        "Your observation operators has an unconventional shape",
    ]


def test_neither_torch_nor_matplotlib_is_imported() -> None:
    code = (
        "import sys, gymnasium\n"
        "env = gymnasium.make('l2a_gym:L2A-Toy-v0')\n"
        "env.reset(seed=0)\n"
        "env.step(env.action_space.sample())\n"
        "print(sorted({'torch', 'transformers', 'datasets', 'sklearn', 'matplotlib'} & set(sys.modules)))\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_spaces_are_built_like_those_of_the_real_environment() -> None:
    env = ToyEnv(candidates=5)
    values = {"domain": ("target", "near", "far"), "operator": ("source", "edit"), "label": ("negative", "positive")}
    assert env.columns == candidate_columns(check_features(None, 2), values)
    assert env.observation_space == observation_space(5, env.columns, 3, 2)
    assert env.action_space == gym.spaces.Box(-1, 1, (5,), dtype=np.float32)


@pytest.mark.parametrize("noise", [0.0, 0.5])
@pytest.mark.parametrize("features", [None, list(FEATURES)])
def test_observations_stay_in_their_ranges(noise: float, features: list[str] | None) -> None:
    env = ToyEnv(noise=noise, features=features)
    for seed in SEEDS:
        observation, _ = env.reset(seed=seed)
        assert env.observation_space.contains(observation)
        for action in actions(env.steps):
            observation, *_ = env.step(action)
            assert env.observation_space.contains(observation)


def test_features_that_are_asked_for_are_columns_of_the_whole() -> None:
    """Whatever is shown, candidates and rewards are the same."""
    whole, some, plain = (ToyEnv(noise=0.1, features=f) for f in (list(FEATURES), ["clean", "length", "domain"], None))
    assert some.columns == ("domain=target", "domain=near", "domain=far", "length", "clean")
    assert some.observation_space == observation_space(32, some.columns, 3, 2)
    seen = [env.reset(seed=4)[0] for env in (whole, some, plain)]
    for action in [*actions(10), None]:
        for env, observation in zip((some, plain), seen[1:], strict=True):
            index = [whole.columns.index(name) for name in env.columns]
            assert np.array_equal(seen[0]["candidates"][:, index], observation["candidates"])
            assert all(np.array_equal(seen[0][n], observation[n]) for n in ("student", "domains", "operators"))
        if action is not None:
            steps = [env.step(action) for env in (whole, some, plain)]
            assert steps[0][1:] == steps[1][1:] == steps[2][1:]
            seen = [step[0] for step in steps]


def test_features_on_request_are_signs_of_usefulness() -> None:
    env = ToyEnv(candidates=4000, steps=1, features=list(FEATURES))
    observation, _ = env.reset(seed=0)
    u = useful(env, observation)
    assert np.array_equal(column(env, observation, "clean"), u > 0)
    importance, difference = (column(env, observation, name) for name in ("importance", "cross_entropy_difference"))
    for noise in (2 * importance - u, -2 * difference - u):  # uniform in [-1, 1], and like no other column
        assert abs(noise).max() <= 1 + 1e-6
        np.testing.assert_allclose(np.quantile(noise, [0.25, 0.5, 0.75]), [-0.5, 0, 0.5], atol=0.05)
        others = [i for i, name in enumerate(env.columns) if name not in ("importance", "cross_entropy_difference")]
        shown = observation["candidates"][:, others].T
        assert max(abs(np.corrcoef(noise, each)[0, 1]) for each in shown if np.ptp(each) > 0) < 0.06


def test_the_optimum_is_known_whatever_is_shown() -> None:
    env, few = ToyEnv(), ToyEnv(features=["importance", "clean"])
    assert few.optimal_return(3) == env.optimal_return(3)
    assert few.optimal_return(3) == pytest.approx(sum(play(few, 3, lambda seen: seen["candidates"][:, 1])), abs=1e-12)
    both = ToyEnv(features=["domain_log_odds", "all_data_label"])
    assert sum(play(both, 3, both.optimal_action)) == env.optimal_return(3)
    hidden = ToyEnv(features=["all_data_label"])
    with pytest.raises(UserError, match="domain_log_odds must be shown to compute usefulness"):
        hidden.optimal_action(hidden.reset(seed=0)[0])


def test_one_domain_one_operator_and_one_label_a_candidate() -> None:
    env = ToyEnv()
    candidates = env.reset(seed=0)[0]["candidates"]
    for kind in ("domain", "operator", "label"):
        one_hot = candidates[:, [i for i, name in enumerate(env.columns) if name.startswith(f"{kind}=")]]
        assert (np.sort(one_hot, axis=1)[:, :-1] == 0).all()
        assert (one_hot.max(1) == 1).all()


def test_reward_is_the_formula_of_the_docstring() -> None:
    env = ToyEnv(candidates=8, steps=3)
    observation, _ = env.reset(seed=1)
    for action in actions(3, 8):
        expected = float(np.maximum(action, 0).astype(np.float64) @ useful(env, observation)) / (8 * 3)
        observation, reward, *_ = env.step(action)
        assert reward == pytest.approx(expected, abs=1e-9)


def test_useful_and_harmful_candidates_are_about_as_many() -> None:
    env = ToyEnv(candidates=3000, steps=1)
    u = env.usefulness(env.reset(seed=0)[0])
    assert -1 <= u.min() < -0.9
    assert 0.9 < u.max() <= 1
    assert abs((u > 0).mean() - 0.5) < 0.03


def test_optimum_is_the_sum_of_all_useful_candidates() -> None:
    env = ToyEnv(candidates=16, steps=4)
    for seed in SEEDS:
        (observation, _), best = env.reset(seed=seed), 0.0
        for action in actions(4, 16):  # what was chosen does not change what is shown
            u = useful(env, observation)
            best += float(u[u > 0].sum()) / (16 * 4)
            observation, *_ = env.step(action)
        assert env.optimal_return(seed) == pytest.approx(best, abs=1e-9)


def test_no_action_beats_the_optimal_one() -> None:
    env = ToyEnv(candidates=6, steps=1)
    corners = np.array(np.meshgrid(*[[-1, 1]] * 6)).reshape(6, -1).T.astype(np.float32)
    for seed in range(5):
        env.reset(seed=seed)
        start = env.save_state()
        returns = []
        for action in [*corners, *actions(50, 6)]:
            env.restore_state(start)
            returns.append(env.step(action)[1])
        assert env.optimal_return(seed) == max(returns)
        assert sum(play(env, seed, env.optimal_action)) == max(returns)


def test_asking_for_the_optimum_does_not_disturb_the_episode() -> None:
    env, twin = ToyEnv(noise=0.1), ToyEnv(noise=0.1)
    for each in (env, twin):
        each.reset(seed=3)
    rewards = []
    for each in (env, twin):
        if each is env:
            env.optimal_return(4)
        rewards.append([each.step(action)[1] for action in actions(5)])
    assert rewards[0] == rewards[1]


@pytest.mark.parametrize(("standardised", "reached"), [(False, 0.999), (True, 0.97)])
def test_a_linear_rule_comes_close_to_the_optimum(standardised: bool, reached: float) -> None:
    """Least squares finds usefulness from the columns, raw or standardised in each batch; the rule is a steep tanh."""

    def seen(observation: dict[str, NDArray[np.float32]]) -> NDArray[np.float64]:
        z = observation["candidates"].astype(np.float64)
        return (z - z.mean(0)) / (z.std(0) + 1e-6) if standardised else z

    large, env = ToyEnv(candidates=2000, steps=1), ToyEnv()
    sample, _ = large.reset(seed=99)
    theta = np.linalg.lstsq(seen(sample), large.usefulness(sample), rcond=None)[0]
    total = sum(sum(play(env, seed, lambda seen_: np.tanh(100 * seen(seen_) @ theta))) for seed in SEEDS)
    assert total >= reached * sum(env.optimal_return(seed) for seed in SEEDS)


def test_uniform_weights_are_far_from_the_optimum() -> None:
    env = ToyEnv()
    uniform = [sum(play(env, seed, lambda _: np.ones(32, dtype=np.float32))) for seed in SEEDS]
    assert np.mean(uniform) < 0.2 * np.mean([env.optimal_return(s) for s in SEEDS])


def test_rewards_add_up_to_the_fall_of_dev_nll() -> None:
    env = ToyEnv(noise=0.05)
    _, first = env.reset(seed=0)
    steps = [env.step(action) for action in actions(env.steps)]
    assert sum(step[1] for step in steps) == pytest.approx(first["dev_nll"] - steps[-1][4]["dev_nll"], abs=1e-12)


def test_noise_has_the_size_it_says_and_follows_the_seed() -> None:
    quiet, loud = ToyEnv(steps=500), ToyEnv(steps=500, noise=0.01)

    def drop(_: object) -> NDArray[np.float32]:
        return -np.ones(32, dtype=np.float32)

    assert play(quiet, 0, drop) == [0.0] * 500
    rewards = play(loud, 0, drop)
    assert np.std(rewards) == pytest.approx(0.01, rel=0.1)
    assert abs(np.mean(rewards)) < 0.002
    assert play(loud, 0, drop) == rewards
    assert play(loud, 1, drop) != rewards
    assert loud.optimal_return(5) == quiet.optimal_return(5)


def test_types_and_termination() -> None:
    env = ToyEnv(steps=2)
    env.reset(seed=0)
    ends = []
    for action in actions(2):
        _, reward, terminated, truncated, _ = env.step(action)
        assert (type(reward), type(terminated), type(truncated)) == (float, bool, bool)
        ends.append((terminated, truncated))
    assert ends == [(False, False), (True, False)]
    with pytest.raises(ResetNeeded, match="the episode is over"):
        env.step(actions(1)[0])


def test_before_the_first_reset() -> None:
    env = ToyEnv(render_mode="ansi")
    for call in (lambda: env.step(actions(1)[0]), env.save_state, env.fork, env.render):
        with pytest.raises(ResetNeeded, match=r"call reset\(\) first"):
            call()


def test_info_counts_the_budget_and_the_choice() -> None:
    env = ToyEnv()
    _, info = env.reset(seed=0)
    keys = list(info)
    assert (info["updates"], info["dev_passes"]) == (0, 1)
    half = np.where(np.arange(32) % 2, 0.5, -0.5).astype(np.float32)
    for t in (1, 2, 3):
        *_, info = env.step(half)
        assert list(info) == keys
        assert (info["updates"], info["dev_passes"]) == (t * env.updates, 1 + t)
        assert info["selected"] == 0.5
        assert sum(info[f"weight/{domain}"] for domain in env.domains) == pytest.approx(1)
    assert all(isinstance(value, (bool, int, float)) for value in info.values())


@pytest.mark.parametrize("noise", [0.0, 0.1])
def test_restoring_repeats_and_a_fork_goes_its_own_way(noise: float) -> None:
    env = ToyEnv(noise=noise, features=["clean", "kl"])
    env.reset(seed=0)
    env.step(actions(1)[0])
    state, twin = env.save_state(), env.fork()
    first = [env.step(action) for action in actions(5)]
    env.restore_state(state)
    again = [env.step(action) for action in actions(5)]
    forked = [twin.step(action) for action in actions(5)]
    for other in (again, forked):
        assert [step[1:] for step in other] == [step[1:] for step in first]
        for one, two in zip(first, other, strict=True):
            assert all(np.array_equal(one[0][name], two[0][name]) for name in one[0])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"candidates": 0}, "candidates = 0: valid are whole numbers from 1"),
        ({"steps": -1}, "steps = -1: valid are whole numbers from 1"),
        ({"noise": -0.1}, "noise = -0.1: valid are finite numbers from 0"),
        ({"noise": float("nan")}, "noise = nan: valid are finite numbers from 0"),
        ({"features": ["clear"]}, "unknown feature 'clear': did you mean 'clean'"),
        ({"features": []}, "features = .*: valid are one or more of domain"),
        ({"render_mode": "rgb"}, "unknown render_mode 'rgb': did you mean 'rgb_array'"),
    ],
)
def test_bad_arguments_are_named(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        ToyEnv(**arguments)


def test_spec_survives_json_and_pickle() -> None:
    spec = gym.make("l2a_gym:L2A-Toy-v0", candidates=4, noise=0.1, features=["clean"]).spec
    assert spec is not None
    for copy in (EnvSpec.from_json(spec.to_json()), pickle.loads(pickle.dumps(spec))):
        assert json.loads(copy.to_json()) == json.loads(spec.to_json())
        assert gym.make(copy).unwrapped.get_wrapper_attr("candidates") == 4
