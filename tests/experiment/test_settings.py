"""What settings of experiments are valid, what they stand for, and where their results lie."""

from __future__ import annotations

from pathlib import Path

import pytest

from l2a_gym.errors import UserError
from l2a_gym.experiment.settings import Ablation, Benchmark, Run


@pytest.mark.parametrize("name", ["budget", "num_envs", "rounds", "students", "export_steps"])
@pytest.mark.parametrize("value", [0, -5])
def test_counts_start_from_one(name: str, value: int) -> None:
    with pytest.raises(UserError, match=f"^{name} = {value}: valid are whole numbers from 1$"):
        Run(**{name: value})  # type: ignore[arg-type]  # all of these are integers


@pytest.mark.parametrize("name", ["seed", "general_updates"])
def test_seeds_and_general_updates_start_from_zero(name: str) -> None:
    assert getattr(Run(**{name: 0}), name) == 0  # type: ignore[arg-type]  # both are integers
    with pytest.raises(UserError, match=f"^{name} = -1: valid are whole numbers from 0"):
        Run(**{name: -1})  # type: ignore[arg-type]


def test_seeds_are_those_that_every_generator_takes() -> None:
    assert Run(seed=2**63 - 1).seed == 2**63 - 1
    with pytest.raises(UserError, match=rf"^seed = {10**23}: valid are whole numbers from 0, below 2\^63$"):
        Run(seed=10**23)


def test_the_folders_name_says_what_ran(tmp_path: Path) -> None:
    assert Run(algo="ppo", task="hutto/nyt-64", seed=3).folder == Path("runs/hutto-nyt-64-ppo-s3")
    assert Run(algo="mine:Best", task="/data/paraphrase.toml").folder == Path("runs/paraphrase-mine-Best-s0")
    assert Ablation().folder == Path("runs/hutto-nyt-64-noise40-ablation")
    assert Ablation(task="/data/clinic.toml").folder == Path("runs/clinic-ablation")
    assert Benchmark().folder == Path("runs/benchmark-smoke")
    assert Benchmark(suite="core", tuning=True).folder == Path("runs/benchmark-core-tuning")
    assert Run(out=tmp_path).folder == Ablation(out=tmp_path).folder == Benchmark(out=tmp_path).folder == tmp_path


def test_l2a_stands_for_a_generated_pool_and_a_pruned_student() -> None:
    run, other = Run(algo="l2a"), Run(algo="ppo")
    assert (run.pool, other.pool) == ("generated", "lexical")
    assert (run.student, run.export_student, other.export_student) == ("tiny", "pruned", "tiny")
    assert Run(algo="uniform", student="ratio").export_student == "ratio"
    assert Run(algo="l2a", export_steps=3).export_steps == 3
    assert (other.rounds, Run(algo="l2a", pool="sources", rounds=3).rounds) == (1, 3)
    assert Run(algo="l2a", pool="sources").pool == "sources"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"suite": "cor"}, r"unknown suite 'cor': did you mean 'core'\? valid are smoke, core, questions"),
        ({"workers": 0}, r"workers = 0: valid are whole numbers from 1"),
        ({"seeds": (-1,)}, r"seed = -1: valid are whole numbers from 0"),
        ({"seeds": (1,), "tuning": True}, r"valid is it or --seeds, not both"),
    ],
)
def test_a_benchmarks_values_that_are_not_valid_are_named(values: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        Benchmark(**values)  # type: ignore[arg-type]  # some are wrong on purpose


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"variants": ("without generater",)}, "unknown variant 'without generater': did you mean 'without generator'"),
        ({"variants": ("full", "hard-labels")}, "unknown variant 'hard-labels': did you mean 'hard labels only'"),
        ({"students": 1}, "students = 1: valid are whole numbers from 2"),
    ],
)
def test_an_ablations_values_that_are_not_valid_are_named(values: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=f"^{message}"):
        Ablation(**values)  # type: ignore[arg-type]  # some are wrong on purpose
