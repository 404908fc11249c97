"""Arguments as configuration files, command lines and programs give them: the right type, or one sentence."""

from __future__ import annotations

import re
from inspect import Parameter, signature
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec
from gymnasium.vector import AutoresetMode

from l2a_gym.envs.distill_aug import DistillAugEnv
from l2a_gym.envs.distill_aug_vector import DistillAugVectorEnv
from l2a_gym.envs.toy import ToyEnv
from l2a_gym.errors import UserError

MISTAKES = [
    (DistillAugEnv, {"task": None}, "task = None: valid are names"),
    (DistillAugEnv, {"task": b"hutto/nyt-64"}, "task = b'hutto/nyt-64': valid are names"),
    (
        DistillAugEnv,
        {"action": ["weights"]},
        "unknown action \"['weights']\": did you mean 'weights'? valid are weights, ",
    ),
    (DistillAugEnv, {"metric": None}, "unknown metric 'None': valid are nll, accuracy, macro_f1"),
    (DistillAugEnv, {"baseline": "unifrom"}, "unknown baseline 'unifrom': did you mean 'uniform'? valid are uniform"),
    (DistillAugEnv, {"baseline": True}, "unknown baseline 'True': valid are uniform"),
    (DistillAugEnv, {"teacher": {}}, "unknown teacher '{}': valid are few-shot, all-data"),
    (DistillAugEnv, {"student": 2}, "unknown student '2': valid are tiny, "),
    (DistillAugEnv, {"checkpoint": None}, "checkpoint = None: valid are names"),
    (DistillAugEnv, {"pool": 3}, "pool = 3: valid are names or values by name"),
    (DistillAugEnv, {"pool": {1: 2}}, "pool = {1: 2}: valid are names or values by name"),
    (DistillAugEnv, {"pool": {"share": "0.1"}}, "pool share = '0.1': valid are values like 0.1"),
    (
        DistillAugEnv,
        {"pool": {"copies": {"swap": "4"}}},
        "pool copies = {'swap': '4'}: valid are values like {'swap': 4, ",
    ),
    (DistillAugEnv, {"general_updates": 1.5}, "general_updates = 1.5: valid are whole numbers"),
    (DistillAugEnv, {"features": "length"}, "features = 'length': valid are lists of names or None"),
    (DistillAugEnv, {"features": [1, "length"]}, "features = [1, 'length']: valid are lists of names or None"),
    (DistillAugEnv, {"distillation": "alpha=0.5"}, "distillation = 'alpha=0.5': valid are values by name or None"),
    (DistillAugEnv, {"distillation": {"alpha": "0.5"}}, "distillation alpha = '0.5': valid are values like 0.25"),
    (DistillAugEnv, {"distillation": {"anchors": True}}, "distillation anchors = True: valid are values like 16"),
    (DistillAugEnv, {"steps": 2.5}, "steps = 2.5: valid are whole numbers or None"),
    (DistillAugEnv, {"steps": "3"}, "steps = '3': valid are whole numbers or None"),
    (DistillAugEnv, {"steps": True}, "steps = True: valid are whole numbers or None"),
    (DistillAugEnv, {"dev_every": 1.5}, "dev_every = 1.5: valid are whole numbers"),
    (DistillAugEnv, {"device": 0}, "device = 0: valid are names"),
    (DistillAugEnv, {"engine": True}, "unknown engine 'True': valid are auto, batched, threads"),
    (DistillAugEnv, {"precision": 32}, "unknown precision '32': did you mean 'float32'? valid are auto, "),
    (DistillAugEnv, {"render_mode": True}, "unknown render_mode 'True': valid are ansi, rgb_array"),
    (
        DistillAugEnv,
        {"step": 3},
        "unknown argument of DistillAugEnv 'step': did you mean 'steps'? valid are task, action, ",
    ),
    (
        DistillAugEnv,
        {"basline": None},
        "unknown argument of DistillAugEnv 'basline': did you mean 'baseline'? valid are ",
    ),
    (DistillAugVectorEnv, {"num_envs": 2.0}, "num_envs = 2.0: valid are whole numbers"),
    (DistillAugVectorEnv, {"num_envs": "2"}, "num_envs = '2': valid are whole numbers"),
    (
        DistillAugVectorEnv,
        {"autoreset_mode": "SAME_STEP"},
        "unknown autoreset_mode 'SAME_STEP': did you mean 'SameStep'? valid are NextStep, SameStep, Disabled",
    ),
    (DistillAugVectorEnv, {"device_observations": "no"}, "device_observations = 'no': valid are True and False"),
    (DistillAugVectorEnv, {"render_mode": "human"}, "unknown render_mode 'human': valid are ansi, rgb_array"),
    (DistillAugVectorEnv, {"max_episode_steps": 0}, "max_episode_steps = 0: valid are whole numbers from 1"),
    (DistillAugVectorEnv, {"max_episode_steps": "9"}, "max_episode_steps = '9': valid are whole numbers or None"),
    (DistillAugVectorEnv, {"baseline": 1}, "unknown baseline '1': valid are uniform"),
    (
        DistillAugVectorEnv,
        {"num_env": 2},
        "unknown argument of DistillAugVectorEnv 'num_env': did you mean 'num_envs'? ",
    ),
    (ToyEnv, {"candidates": 8.5}, "candidates = 8.5: valid are whole numbers"),
    (ToyEnv, {"candidates": "8"}, "candidates = '8': valid are whole numbers"),
    (ToyEnv, {"steps": 2.5}, "steps = 2.5: valid are whole numbers"),
    (ToyEnv, {"noise": "0.1"}, "noise = '0.1': valid are numbers"),
    (ToyEnv, {"noise": True}, "noise = True: valid are numbers"),
    (ToyEnv, {"noise": 10**400}, "0000: valid are numbers"),
    (ToyEnv, {"noise": np.inf}, "noise = inf: valid are finite numbers from 0"),
    (ToyEnv, {"features": "clean"}, "features = 'clean': valid are lists of names or None"),
    (
        ToyEnv,
        {"candidate": 8},
        "unknown argument of ToyEnv 'candidate': did you mean 'candidates'? valid are candidates, ",
    ),
    (
        ToyEnv,
        {"baseline": None},
        "unknown argument of ToyEnv 'baseline': valid are candidates, steps, noise, action, features, ",
    ),
]


@pytest.mark.parametrize(("kind", "arguments", "message"), MISTAKES, ids=lambda value: str(value)[:40])
def test_a_value_of_another_type_is_named(kind: Any, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as caught:
        kind(**arguments)
    assert message in str(caught.value)


@pytest.mark.parametrize("name", ["L2A-Distill-v0", "L2A-Toy-v0"])
def test_vectors_of_environments_name_it_too(name: str) -> None:
    for mode in (None, "sync"):
        with pytest.raises(UserError, match=r"steps = 2\.5: valid are whole numbers"):
            gym.make_vec(f"l2a_gym:{name}", num_envs=2, vectorization_mode=mode, steps=2.5)


def test_a_path_and_numpy_do_as_text_and_numbers_do(small: dict[str, Any]) -> None:
    given: dict[str, Any] = {
        "task": Path(small["task"]),
        "checkpoint": Path(small["checkpoint"]),
        "device": np.str_("cpu"),
        "baseline": np.str_("uniform"),
        "steps": np.int64(3),
        "features": np.array(["length", "kl"]),
        "distillation": {"alpha": np.float32(0.5), "anchors": np.int32(4)},
        "pool": {"copies": {"swap": np.int64(2)}},
    }
    for env in (gym.make("l2a_gym:L2A-Distill-v0", **given), gym.make_vec("l2a_gym:L2A-Distill-v0", 2, **given)):
        setup = env.unwrapped.setup  # type: ignore[attr-defined]
        assert (setup.arguments.baseline, setup.steps, setup.columns) == ("uniform", 3, ("length", "kl"))
        assert (type(setup.arguments.baseline), type(setup.steps)) == (str, int)
        assert (setup.distillation.alpha, setup.distillation.anchors) == (0.5, 4)
        assert setup.operators == ("source", "swap")
        env.reset(seed=0)
        assert env.spec is not None
        again = EnvSpec.from_json(env.spec.to_json())
        assert again.kwargs["task"] == small["task"]
        assert again.kwargs["distillation"] == {"alpha": 0.5, "anchors": 4}


def test_the_toy_takes_numpy() -> None:
    env = gym.make("l2a_gym:L2A-Toy-v0", candidates=np.int64(8), steps=np.uint8(3), noise=np.float32(0.5))
    assert env.action_space.shape == (8,)
    assert env.spec is not None
    assert EnvSpec.from_json(env.spec.to_json()).kwargs == {"candidates": 8, "steps": 3, "noise": 0.5}


def parameters(kind: type) -> dict[str, Parameter]:
    return dict(signature(kind).parameters)


def test_signatures_show_every_argument() -> None:
    one, many = parameters(DistillAugEnv), parameters(DistillAugVectorEnv)
    assert {name: many[name] for name in one} == one  # the same types and defaults
    assert set(many) - set(one) == {"num_envs", "autoreset_mode", "device_observations", "max_episode_steps"}
    for kind in (DistillAugEnv, DistillAugVectorEnv, ToyEnv):
        shown = parameters(kind)
        assert all(each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD) for each in shown.values())
        assert all(each.default is not each.empty is not each.annotation for each in shown.values())
        described = re.findall(r"^        (\w+): ", DistillAugEnv.__doc__ + kind.__doc__, flags=re.MULTILINE)
        assert set(shown) <= set(described)


def test_columns_are_named_by_all(small: dict[str, Any]) -> None:
    for env in (ToyEnv(), DistillAugEnv(**small), gym.make_vec("l2a_gym:L2A-Distill-v0", num_envs=2, **small)):
        space = getattr(env, "single_observation_space", env.observation_space)
        parts = {"student": env.student_columns, "domains": env.domain_columns, "operators": env.operator_columns}
        assert {name: len(columns) for name, columns in parts.items()} == {n: space[n].shape[-1] for n in parts}
        assert env.domain_columns[-1] == "student_loss"


def test_too_many_arguments_are_pythons_own_error(small: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match="from 1 to 2 positional arguments"):
        DistillAugEnv(small["task"], "weights")  # type: ignore[misc]


@pytest.mark.parametrize("mode", AutoresetMode)
def test_the_spec_of_many_is_json_and_makes_the_same(small: dict[str, Any], mode: AutoresetMode) -> None:
    envs = gym.make_vec("l2a_gym:L2A-Distill-v0", num_envs=3, autoreset_mode=mode, render_mode="ansi", **small)
    assert envs.spec is not None
    again = gym.make_vec(EnvSpec.from_json(envs.spec.to_json()))
    assert again.metadata["autoreset_mode"] is envs.metadata["autoreset_mode"] is mode
    assert (again.num_envs, again.render_mode) == (3, "ansi")
    assert isinstance(again, DistillAugVectorEnv)
