"""A task as an experiment sees it: environments, selectors and scores."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from l2a_agents.selector import Spaces

from l2a_gym.errors import UserError
from l2a_gym.experiment.adapter import DistillAdapter, ToyAdapter, adapter_of, distill
from l2a_gym.experiment.references import names_of
from l2a_gym.experiment.seeds import EXPORT, episode_seeds
from l2a_gym.experiment.settings import Run
from l2a_gym.experiment.teachers import score_teacher
from l2a_gym.preparation.store import TEACHERS, Prepared


def test_environments_have_the_settings_and_the_options(adapter: DistillAdapter) -> None:
    one, many = Spaces.from_env(adapter.env()), adapter.make_env().vector(2).unwrapped
    assert (one.candidates, one.steps, many.candidates, many.steps) == (24, 4, 24, 4)
    assert one.columns == many.columns
    assert "clean" not in one.columns
    assert Spaces.from_env(adapter.env(steps=7)).steps == 7
    assert adapter.make_env(steps=7)().unwrapped is not adapter.env(steps=7).unwrapped


def test_selectors_of_different_features_share_an_environment_and_see_their_own(adapter: DistillAdapter) -> None:
    usual, truth, slow = (adapter.env(**each) for each in ({}, {"features": ["clean"]}, {"features": ["importance"]}))
    assert usual.unwrapped is truth.unwrapped is not slow.unwrapped
    for env, features in ((usual, None), (truth, ["clean"]), (slow, ["importance"])):
        alone = adapter.make_env(features=features)()
        assert env.observation_space == alone.observation_space
        assert env.get_wrapper_attr("columns") == alone.get_wrapper_attr("columns")
        for seen, expected in zip(steps_of(env), steps_of(alone), strict=True):
            assert {name: each.tolist() for name, each in seen.items()} == {
                name: each.tolist() for name, each in expected.items()
            }
    with pytest.raises(UserError, match="did you mean 'clean'"):
        adapter.env(features=["claen"])


def steps_of(env: Any) -> list[Any]:
    """What an episode under uniform weights shows."""
    seen, over = [env.reset(seed=5)[0]], False
    while not over:
        observation, _, over, *_ = env.step(np.ones(24, dtype=np.float32))
        seen.append(observation)
    return seen


def test_the_settings_of_a_run_reach_its_preparation(small: dict[str, Any], adapter: DistillAdapter) -> None:
    few = adapter.with_settings(Run(**small | {"general_updates": 3}).environment)
    assert few.opened is adapter.opened
    assert few.prepared.manifest()["config"]["general"]["updates"] == 3
    assert few.fingerprint() != adapter.fingerprint()
    usual = adapter.with_settings(Run(**small).environment)
    assert usual.prepared.manifest()["config"]["general"]["updates"] == small["general_updates"]
    assert usual.fingerprint() == adapter.fingerprint()


def test_a_tasks_folder_may_have_an_at_sign_in_its_name(small: dict[str, Any], tmp_path: Path) -> None:
    file = tmp_path / "me@corp" / "clinic.toml"
    file.parent.mkdir()
    file.write_bytes(Path(small["task"]).read_bytes())
    for task, name, pool in (
        (str(file), str(file), "lexical"),
        (f"{file}@sources", str(file), "sources"),
        ("hutto/nyt-64@generated", "hutto/nyt-64", "generated"),
    ):
        made = DistillAdapter(task, {"device": "cpu", "task": "another"})
        assert (made.opened.name, made.make_env().settings["pool"]) == (name, pool)


def test_teachers_are_scored_by_their_logits(adapter: DistillAdapter, prepared: Prepared) -> None:
    hits = {}
    for split in ("dev", "select", "test"):
        rows = prepared.rows[split]
        for name in TEACHERS:
            guess = prepared.logits(name, rows).argmax(1).numpy()
            hits[name, split] = float((guess == prepared.array("tokens/label")[rows]).mean())
            assert score_teacher(prepared, name, split).accuracy == pytest.approx(hits[name, split], abs=1e-9)
    assert adapter.reference_score([1]) == pytest.approx(hits["all-data", "test"], abs=1e-9)
    few, every, crossed = (prepared.logits(name, rows).softmax(1) for name in ("few-shot", "all-data", "cross-fitted"))
    torch.testing.assert_close(prepared.logits("mean", rows).exp(), (few + every + crossed) / 3)


def test_classifiers_are_teachers_then_references(adapter: DistillAdapter, prepared: Prepared) -> None:
    found, task = adapter.classifiers(), adapter.task
    assert list(found) == [*(f"{name} teacher" for name in TEACHERS), *names_of(task)]
    shots, every = len(task.train), len(task.train) + len(task.dev)
    assert [found[name].labels for name in ("frozen vectors, shots", "TF-IDF", "few-shot teacher")] == [
        *(shots, every, every)
    ]
    assert {figures.texts for figures in found.values()} == {len(task.test)}
    for name in TEACHERS:
        assert found[f"{name} teacher"].test_accuracy == score_teacher(prepared, name, "test").accuracy


def test_the_oracle_drops_exactly_the_flipped(adapter: DistillAdapter) -> None:
    view, oracle = adapter.env(features=["clean"]), adapter.selector("oracle")
    observation, _ = view.reset(seed=0)
    env = distill(view)
    flipped = np.array(env.world.prepared.pool()["flipped"])[env.save_state().episode.rows]
    assert np.array_equal(oracle.act(observation) == 0, flipped)
    assert 0 < flipped.sum() < len(flipped)
    assert adapter.has_noise()


def test_the_toy_is_scored_by_its_own_formulas() -> None:
    toy = adapter_of("toy", {"device": "cpu"})
    assert isinstance(toy, ToyAdapter)
    seeds = episode_seeds(EXPORT, 2, 0)
    env: Any = toy.env().unwrapped
    assert toy.reference_score(seeds) == pytest.approx(np.mean([(1 + env.optimal_return(seed)) / 2 for seed in seeds]))
    assert (toy.fingerprint(), toy.scores(env, {"dev_accuracy": 0.5}), toy.classifiers(), toy.has_noise()) == (
        "",
        (0.5, {}),
        {},
        True,
    )
