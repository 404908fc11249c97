"""REINFORCE (Williams, 1992) on the shared rule, read from top to bottom.

``explore="parameters"``: theta ~ N(mu, sigma^2 I) is drawn once an episode and held, after parameter-exploring policy
gradients (Sehnke et al., 2010). Episodes come in antithetic pairs mu + sigma e and mu - sigma e from the same seed;
with their rewards G+ and G-,

    d E[G] / d mu  =  E[ (G+ - G-) / 2 * e / sigma ]

where the pair is its own baseline. The difference is divided by its running deviation, which frees the step from the
reward's scale.

``explore="candidates"``: each candidate is kept with probability p = clip((1 + theta . z) / 2, 0.05, 0.95). With k = 1
for kept ones, return-to-go R_t and its moving average b_t as baseline,

    d E[R] / d theta  =  E[ sum_t (R_t - b_t) * ( sum_i (k_i - p_i) / (p_i (1 - p_i)) * z_i / 2 ) ] + c * dH / d theta

with H the entropy of the choices.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from l2a_agents.episodes import RuleEpisodes, play
from l2a_agents.rule import BOUND, COLUMNS, apply_rule, named, positions, standardise
from l2a_agents.selector import Action, Log, MakeEnv, Observation, Spaces, spent


@dataclass(frozen=True)
class Config:
    """Attributes:
    explore: ``parameters`` or ``candidates``.
    sigma: deviation of theta when parameters explore.
    learning_rate: size of mu's step for a pair whose difference is one deviation.
    candidate_rate: size of theta's step, of unit length, when candidates explore.
    momentum: of the moving averages.
    entropy: c, weight of the choices' entropy.
    """

    explore: str = "parameters"
    sigma: float = 0.7
    learning_rate: float = 0.08
    candidate_rate: float = 0.1
    momentum: float = 0.9
    entropy: float = 0.0


class Reinforce:
    """REINFORCE with one linear rule for all candidates."""

    env_options: ClassVar[Mapping[str, Any]] = {}

    def __init__(self, spaces: Spaces, config: Config = Config()) -> None:
        if config.explore not in ("parameters", "candidates"):
            raise ValueError(f"explore = {config.explore!r}: valid are 'parameters' and 'candidates'")
        self.spaces, self.config = spaces, config
        self.where = positions(spaces)
        self.theta = np.zeros(len(COLUMNS))

    def act(self, observation: Observation, deterministic: bool = True) -> Action:
        """The rule's weights."""
        return apply_rule(self.theta, observation, self.where)

    def train(self, make_env: MakeEnv, budget: int, seed: int, log: Log, num_envs: int = 1) -> None:
        """Learn theta."""
        if self.config.explore == "parameters":
            self._explore_parameters(make_env, budget, seed, log, num_envs)
        else:
            self._explore_candidates(make_env, budget, seed, log)

    def _explore_parameters(self, make_env: MakeEnv, budget: int, seed: int, log: Log, num_envs: int) -> None:
        rng, sigma = np.random.default_rng(seed), self.config.sigma
        pairs = max(1, num_envs // 2)
        number, repeat = (1, 2) if num_envs == 1 else (2 * pairs, 1)
        episodes = RuleEpisodes(make_env, self.spaces, seed, number, repeat=repeat)
        differences: deque[float] = deque(maxlen=20)
        episodes.reset()
        while episodes.spent < budget:
            noise = rng.normal(size=(pairs, len(self.theta)))
            thetas = np.clip(self.theta + sigma * np.concatenate([noise, -noise]), -BOUND, BOUND)
            rewards, figures = play(episodes, thetas)
            plus, minus = rewards[:pairs], rewards[pairs:]
            differences.extend((plus - minus) / 2)
            scale = np.sqrt(np.mean(np.square(differences))) + 1e-12
            step = ((plus - minus) / 2 / scale) @ noise / pairs
            self.theta = np.clip(self.theta + self.config.learning_rate * step, -BOUND, BOUND)
            entropy = len(self.theta) * (0.5 * np.log(2 * np.pi * np.e) + np.log(sigma))
            log(
                episodes.spent,
                figures
                | {"reward": float(rewards.mean()), "entropy": entropy, "difference": float(scale)}
                | named(self.theta),
            )
        episodes.close()

    def _explore_candidates(self, make_env: MakeEnv, budget: int, seed: int, log: Log) -> None:
        rng, env = np.random.default_rng(seed), make_env()
        baseline = np.zeros(self.spaces.steps)
        seeds = np.random.SeedSequence(seed)
        total, episode = 0, 0
        while total < budget:
            observation, info = env.reset(seed=int(seeds.spawn(1)[0].generate_state(1)[0]))
            scores, rewards, entropies, kept, done = [], [], [], [], False
            while not done:
                z = standardise(observation["candidates"][:, self.where])
                p = np.clip((1 + z @ self.theta) / 2, 0.05, 0.95)
                k = rng.random(len(p)) < p
                observation, reward, terminated, truncated, info = env.step(k.astype(np.float32))
                done = terminated or truncated
                entropy_slope = self.config.entropy * np.log((1 - p) / p)
                scores.append((((k - p) / (p * (1 - p)))[:, None] * z / 2).sum(0))
                entropies.append((entropy_slope[:, None] * z / 2).sum(0))
                rewards.append(float(reward))
                kept.append(float(k.mean()))
            to_go = np.cumsum(rewards[::-1])[::-1]
            advantage = to_go - (baseline[: len(to_go)] if episode else to_go)
            baseline[: len(to_go)] += (1 - self.config.momentum if episode else 1) * (to_go - baseline[: len(to_go)])
            gradient = advantage @ np.array(scores) + np.sum(entropies, axis=0)
            self.theta += self.config.candidate_rate * gradient / max(float(np.linalg.norm(gradient)), 1e-12)
            self.theta = np.clip(self.theta, -BOUND, BOUND)
            total, episode = total + spent(info), episode + 1
            binary = float(np.mean([-(q * np.log(q) + (1 - q) * np.log(1 - q)) for q in p]))
            values = {"reward": sum(rewards), "entropy": binary, "selected": float(np.mean(kept))}
            log(total, values | named(self.theta))
        env.close()

    def save(self, folder: Path) -> None:
        """Write ``reinforce.json``."""
        state = {"config": asdict(self.config), "columns": COLUMNS, "theta": self.theta.tolist()}
        (folder / "reinforce.json").write_text(json.dumps(state, indent=1), encoding="utf-8")

    def load(self, folder: Path) -> None:
        """Read ``reinforce.json``."""
        self.theta = np.array(json.loads((folder / "reinforce.json").read_text(encoding="utf-8"))["theta"])


class ReinforceCandidates(Reinforce):
    """REINFORCE that explores with a coin flip for each candidate."""

    def __init__(self, spaces: Spaces) -> None:
        super().__init__(spaces, Config(explore="candidates"))
