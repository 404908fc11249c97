"""Rules by the influence of single candidates; read from top to bottom.

**Prior.** Before any training the weights p are those of a fixed rule: by default they rise with the cross-fitted
teacher's probability of the given label.

**Credit.** Episodes under uniform weights give a credit for each candidate of each step: what more weight for it would
be worth on dev. Here it is the column ``agreement``, the cosine of its and dev's gradient at the student's last layer;
``metagradient`` takes the exact derivative.

**Arms.** Fixed rules are ordered by how well their weights align with credit. Regression of credit on the columns
(``credit.py``) gives a direction beta of length 1. Moves from the prior along it are further arms: with standardised
columns z of a candidate,

    w = clip(p + length * beta . z / 2, -1, 1)

**Race.** Sequential halving over as many arms as the budget can try, by episodes from new seeds, proposes one.

**Duel.** The winner acts if it beats the prior by more than two standard errors from new seeds. Otherwise the prior
acts. So credit proposes, rewards decide, and without evidence a short training stays where it began.
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
DUELS, ERRORS = 3, 2
"""Seeds of the duel, and the standard errors by which they have to agree."""
UNIFORM = "uniform"
GROUPS = ("domain", "label")
"""One-hot features whose columns the regression looks at too, where they are shown."""


@dataclass(frozen=True)
class Config(RuleConfig):
    """Hyper-parameters of learners from credit."""

    prior: str = PRIOR  # the fixed rule that acts unless rewards speak for another one; empty: 1/2 for all
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
        self.start = Choice(self.config.prior, np.zeros(len(self.columns)))
        self._choose(self.start)

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
        start, episodes = Choice(self.rule, self.theta), list(self._credited(player, seeds, budget))
        log(player.spent, {"reward": float(np.mean([each.gain for each in episodes]))})
        duel = player.length * 2 * DUELS
        arms = self._arms(episodes, start, (budget - player.spent - duel) // (2 * player.length))
        actors = {name: partial(self._weights, choice) for name, choice in arms.items()}

        def told(_: int, means: dict[str, float]) -> None:
            self._choose(arms[max(means, key=lambda name: means[name])])
            figures = {f"gain/{name}": mean for name, mean in means.items()} | named(self.theta, self.columns)
            log(player.spent, figures | {"reward": max(means.values())})

        races = {name: partial(player.gain, actor) for name, actor in actors.items()}
        winner = halve(races, budget - player.spent - duel, seeds, told)
        pairs = [[player.gain(each, seed)[0] for each in (actors[winner], self.prior)] for seed in islice(seeds, DUELS)]
        ahead = np.subtract(*np.transpose(pairs))
        self._choose(arms[winner] if ahead.mean() > ERRORS * ahead.std(ddof=1) / np.sqrt(len(ahead)) else self.start)
        log(player.spent, {"reward": float(ahead.mean())} | named(self.theta, self.columns))
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

    def _arms(self, episodes: Sequence[Credited], start: Choice, number: int) -> dict[str, Choice]:
        """So many choices by name: what acted before, then directions and rules in turn, the likeliest first."""
        worth = {name: alignment(act, episodes) for name, act in self.rules.items() if name != self.start.rule}
        rules = [self.start._replace(rule=name) for name in sorted(worth, key=lambda name: -worth[name])]
        beta = direction(episodes, self.where, self.config.ridge)
        directed = [self.start._replace(theta=length * beta) for length in LENGTHS if beta.any()]
        turns = [each for pair in zip_longest(directed, rules) for each in pair if each]
        order = [start, *turns] if start.name != self.start.name else turns
        return {each.name: each for each in order[: max(1, number)]}


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
