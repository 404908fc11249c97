"""Rules by the influence of single candidates; read from top to bottom.

**Prior.** Before any training the weights are those of a fixed rule.

**Credit.** Episodes under uniform weights give a credit for each candidate of each step: what more weight for it would
be worth on dev. Here it is the column ``agreement``, the cosine of its and dev's gradient at the student's last layer;
``metagradient`` takes the exact derivative.

**Arms.** Fixed rules are ordered by how well their weights align with credit. Regression of credit on the columns
(``credit.py``) gives a direction beta of length 1. Moves along it from the weights p of the rule that aligns best are
further arms: with standardised columns z of a candidate,

    w = clip(p + length * beta . z / 2, -1, 1)

**Race.** Sequential halving by episodes from new seeds over the prior and the likeliest arms: few, so that each is
tried several times, and so that an arm that credit speaks against can't win by chance. So credit proposes, and rewards
decide.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice, zip_longest
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np

from l2a_agents.credit import Credited, Floats, alignment, direction
from l2a_agents.halving import halve
from l2a_agents.prior import JUDGES, PRIOR, SHOWN, weighing_rules
from l2a_agents.rollout import Actor, Transition, fresh_seeds, late_gain, rollout
from l2a_agents.rule import RuleConfig, StaticRule, apply_rule, named, positions
from l2a_agents.selector import Action, Log, MakeEnv, Observation, Spaces, spent

LENGTHS = (1.0, 2.0, 4.0)
"""Lengths of the direction that become arms, the likeliest first: credit holds for small moves."""
TRIES, LEAST = 4, 3
"""Episodes an arm, on average, and the fewest arms whatever the budget."""
UNIFORM = "uniform"
GROUPS = ("domain", "label")
"""One-hot features whose columns the regression looks at too, where they are shown."""


@dataclass(frozen=True)
class Config(RuleConfig):
    """Hyper-parameters of learners from credit."""

    prior: str = PRIOR  # the fixed rule that acts before any training, and races; empty: 1/2 for all
    credits: int = 3  # episodes with credit, at most
    share: float = 0.45  # of the budget that these may take
    ridge: float = 0.01  # of the regression on standardised columns


class Choice(NamedTuple):
    """A way to weight: a fixed rule's name, and theta (H,), a direction away from it."""

    rule: str
    theta: Floats

    @property
    def name(self) -> str:
        """What logs call it."""
        length = float(np.linalg.norm(self.theta))
        return f"{self.rule}+{length:g}" if length > 0 else self.rule


class Influence(StaticRule):
    """The best of fixed rules and of rules in the direction of credit."""

    config: Config
    config_class = Config
    env_options: Mapping[str, Any] = SHOWN
    file, kept = "influence.json", ("rule",)

    def __init__(self, spaces: Spaces, config: Any = None) -> None:
        super().__init__(spaces, config)
        groups = [name for name in spaces.columns if "=" in name and name.partition("=")[0] in GROUPS]
        self.columns = tuple(dict.fromkeys((*self.columns, *JUDGES, *groups)))
        self.where = positions(spaces, self.columns)
        rules = {name: rule.act for name, rule in weighing_rules(spaces).items()}
        self.rules = {self.config.prior: self.prior} | rules
        self._choose(Choice(self.config.prior, np.zeros(len(self.columns))))

    def act(self, observation: Observation, deterministic: bool = True) -> Action:
        """The weights of the rule and the direction away from it."""
        return self._weights(Choice(self.rule, self.theta), observation)

    def train(self, make_env: MakeEnv, budget: int, seed: int, log: Log, num_envs: int = 1) -> None:
        """Learn in one environment, whatever ``num_envs``, until the budget is spent.

        Raises:
            ValueError: the environment does not have what the credit is made of.
        """
        player, seeds = Player(make_env()), fresh_seeds(np.random.SeedSequence(seed))
        self.check(player.env)
        began, episodes = Choice(self.rule, self.theta), list(self._credited(player, seeds, budget))
        likely = self._likely(episodes)
        self._choose(likely[0])
        log(player.spent, {"reward": float(np.mean([each.gain for each in episodes]))})
        number = max(LEAST, (budget - player.spent) // (TRIES * player.length))
        arms = dict(islice({each.name: each for each in (began, *likely)}.items(), number))

        def told(_: int, means: dict[str, float]) -> None:
            self._choose(arms[max(means, key=lambda name: means[name])])
            figures = {f"gain/{name}": mean for name, mean in means.items()} | named(self.theta, self.columns)
            log(player.spent, figures | {"reward": max(means.values())})

        races = {name: partial(player.gain, partial(self._weights, arm)) for name, arm in arms.items()}
        self._choose(arms[halve(races, budget - player.spent, seeds, told)])
        player.env.close()

    def check(self, env: gym.Env[Any, Any]) -> None:
        """Find an environment that has not what the credit is made of."""

    def credit(self, player: Player, steps: Sequence[Transition], seed: int) -> Floats:
        """The credits (T, N) of the candidates of an episode that the player has played."""
        column = self.spaces.column("agreement")
        return np.stack([step.observation["candidates"][:, column] for step in steps])

    def _choose(self, choice: Choice) -> None:
        self.rule, self.theta = choice

    def _weights(self, choice: Choice, observation: Observation) -> Action:
        return apply_rule(choice.theta, observation, self.where, self.rules[choice.rule](observation))

    def _credited(self, player: Player, seeds: Iterator[int], budget: int) -> Iterator[Credited]:
        """Episodes with credit: one, and more while their share of the budget allows."""
        for number in range(1, self.config.credits + 1):
            seed = next(seeds)
            steps = player.play(self.rules[UNIFORM], seed)
            first = min(1, len(steps) - 1)
            credit = self.credit(player, steps, seed)[first:]
            yield Credited(late_gain(steps), [step.observation for step in steps[first:]], credit)
            if player.spent * (number + 1) / number > self.config.share * budget:
                return

    def _likely(self, episodes: Sequence[Credited]) -> list[Choice]:
        """Rules and directions, the likeliest first: three rules, then a direction, and so on."""
        worth = {name: alignment(act, episodes) for name, act in self.rules.items()}
        rules = [Choice(name, np.zeros(len(self.columns))) for name in sorted(worth, key=lambda name: -worth[name])]
        beta = direction(episodes, self.where, self.config.ridge)
        directed = [rules[0]._replace(theta=length * beta) for length in LENGTHS if beta.any()]
        turns = zip_longest(rules[::3], rules[1::3], rules[2::3], directed)
        return [each for turn in turns for each in turn if each]


class Player:
    """Plays episodes of an environment, and counts what they spend.

    Attributes:
        length: what the last episode took.
    """

    def __init__(self, env: gym.Env[Any, Any]) -> None:
        self.env, self.spent, self.length = env, 0, 0

    def play(self, act: Actor, seed: int) -> list[Transition]:
        """The steps of an episode."""
        steps = list(rollout(self.env, act, seed))
        self.length = int(spent(steps[-1].info))
        self.spent += self.length
        return steps

    def gain(self, act: Actor, seed: int) -> tuple[float, int]:
        """An episode's gain, averaged over the states of its second half, and what it took."""
        return late_gain(self.play(act, seed)), self.length
