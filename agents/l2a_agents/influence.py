"""Rules by the influence of single candidates; read from top to bottom.

**Prior.** Before any training the weights are those of a fixed rule.

**Credit.** Episodes under uniform weights give a credit for each candidate of each step: what more weight for it would
be worth on dev. Here it is the column ``agreement``, the cosine of its and dev's gradient at the student's last layer;
``metagradient`` takes the exact derivative.

**Arms.** Fixed rules are ordered by how well their weights align with credit. Regression of credit on the columns
(``credit.py``) gives a direction beta of length 1. Moves along it from the weights p of the rule that aligns best are
further arms: with standardised columns z of a candidate,

    w = clip(p + length * beta . z / 2, -1, 1)

**Race.** Sequential halving by episodes from new seeds over the prior and the likeliest arms, as many as would play two
episodes each if all played alike. Those that credit speaks against are left out first.

**Mixture.** Arms act together. With w_k the weights by arm k, divided by their mean, and g_k its mean gain in the race,

    w = sum_k a_k w_k,   a_k = exp(g_k / scale) / sum_j exp(g_j / scale)

divided by the largest (exponential weights: Freund & Schapire, 1997). Students differ from seed to seed more than arms
do, so gains are compared on the same seeds: when those that are left have played on, the gains of the others move by as
much as theirs do on average. A few dozen dev texts can't tell apart arms that are close, and the mean of several judges
is seldom far from the best one. So credit proposes, and rewards decide.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import islice, zip_longest
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import gymnasium as gym
import numpy as np

from l2a_agents.credit import Credited, Floats, alignment, direction
from l2a_agents.halving import halve
from l2a_agents.prior import JUDGES, PRIOR, SHOWN, prior_of, weighing_rules
from l2a_agents.rollout import Actor, Transition, fresh_seeds, late_gain, rollout
from l2a_agents.rule import RuleConfig, apply_rule, positions, rule_columns
from l2a_agents.selector import Action, Configured, Log, MakeEnv, Observation, Spaces, spent

LENGTHS = (1.0, 2.0, 4.0)
"""Lengths of the direction that become arms, the likeliest first: credit holds for small moves."""
TRIES, LEAST = 2, 3
"""Episodes an arm, on average, and the fewest arms whatever the budget."""
UNIFORM = "uniform"
TINY = 1e-9
GROUPS = ("domain", "label")
"""One-hot features whose columns the regression looks at too, where they are shown."""


@dataclass(frozen=True)
class Config(RuleConfig):
    """Hyper-parameters of learners from credit."""

    prior: str = PRIOR  # the fixed rule that acts before any training, and races; empty: 1/2 for all
    credits: int = 3  # episodes with credit, at most
    share: float = 0.45  # of the budget that these may take
    ridge: float = 0.01  # of the regression on standardised columns
    scale: float = 0.02  # a gain larger by so much makes an arm's share e times as large


class Choice(NamedTuple):
    """A way to weight: a fixed rule's name, and theta (H,), a direction away from it."""

    rule: str
    theta: Floats

    @property
    def name(self) -> str:
        """What logs call it."""
        length = float(np.linalg.norm(self.theta))
        return f"{self.rule}+{length:g}" if length > 0 else self.rule


class Influence(Configured):
    """Fixed rules and rules in the direction of credit, by what they gain.

    Attributes:
        columns: names of the columns that directions are about.
        arms: what acts, the leader first.
        shares: of the arms, (A,), with the sum 1.
        length: units of an episode; 0 before any training.
    """

    config: Config
    config_class = Config
    env_options: Mapping[str, Any] = SHOWN
    file: ClassVar[str] = "influence.json"

    def __init__(self, spaces: Spaces, config: Any = None) -> None:
        super().__init__(spaces, config)
        groups = [name for name in spaces.columns if "=" in name and name.partition("=")[0] in GROUPS]
        self.columns = tuple(dict.fromkeys((*rule_columns(spaces, self.config.groups), *JUDGES, *groups)))
        self.where = positions(spaces, self.columns)
        rules = {name: rule.act for name, rule in weighing_rules(spaces).items()}
        self.rules = {self.config.prior: prior_of(spaces, self.config.prior)} | rules
        self._mix([(Choice(self.config.prior, np.zeros(len(self.columns))), 0.0)])
        self.length = 0

    def act(self, observation: Observation, deterministic: bool = True) -> Action:
        """The mixture of the arms' weights."""
        if len(self.arms) == 1:
            return self._weights(self.arms[0], observation)
        weights = np.maximum([self._weights(arm, observation) for arm in self.arms], 0)
        mixed = self.shares @ (weights / np.maximum(weights.mean(1, keepdims=True), TINY))
        return (mixed / max(mixed.max(), TINY)).astype(np.float32)

    def train(self, make_env: MakeEnv, budget: int, seed: int, log: Log, num_envs: int = 1) -> None:
        """Learn in one environment, whatever ``num_envs``, until the budget is spent.

        A selector that has learnt before races its first arms again, beside new ones. Where the budget does not suffice
        for a race, it stays as it is.

        Raises:
            ValueError: the environment does not have what the credit is made of.
        """
        if budget < (1 + LEAST) * self.length:
            return
        player, seeds = Player(make_env()), fresh_seeds(np.random.SeedSequence(seed))
        self.check(player.env)
        began, episodes = self.arms[:LEAST], list(self._credited(player, seeds, budget))
        self.length, likely = player.length, self._likely(episodes)
        self._mix([(likely[0], 0.0)])
        log(player.spent, {"gain": float(np.mean([each.gain for each in episodes]))})
        number = max(LEAST, (budget - player.spent) // (TRIES * player.length))
        named: dict[str, Choice] = {}
        for each in (*began, *likely):
            named.setdefault(each.name, each)
        arms = dict(islice(named.items(), number))

        gains: dict[str, float] = {}

        def told(_: int, means: dict[str, float]) -> None:
            gains.update(_moved(gains, means) | means)
            self._mix([(arms[name], gain) for name, gain in gains.items()])
            figures = {f"gain/{name}": mean for name, mean in means.items()}
            figures |= {f"share/{arm.name}": share for arm, share in zip(self.arms, self.shares.tolist(), strict=True)}
            log(player.spent, figures | {"gain": max(means.values())})

        halve(
            {name: partial(player.gain, partial(self._weights, arm)) for name, arm in arms.items()},
            budget - player.spent,
            seeds,
            told,
        )
        player.env.close()

    def save(self, folder: Path) -> None:
        """Write the file, hyper-parameters among them."""
        arms = [{"rule": arm.rule, "theta": arm.theta.tolist()} for arm in self.arms]
        state = {"config": asdict(self.config), "columns": self.columns, "length": self.length}
        state |= {"arms": arms, "shares": self.shares.tolist()}
        (folder / self.file).write_text(json.dumps(state, indent=1), encoding="utf-8")

    def load(self, folder: Path) -> None:
        """Read the file."""
        state = json.loads((folder / self.file).read_text(encoding="utf-8"))
        self.arms = [Choice(arm["rule"], np.array(arm["theta"])) for arm in state["arms"]]
        self.shares, self.length = np.array(state["shares"]), state["length"]

    def check(self, env: gym.Env[Any, Any]) -> None:
        """Find an environment that has not what the credit is made of."""

    def credit(self, player: Player, steps: Sequence[Transition], seed: int) -> Floats:
        """The credits (T, N) of the candidates of an episode that the player has played."""
        column = self.spaces.column("agreement")
        return np.stack([step.observation["candidates"][:, column] for step in steps])

    def _mix(self, gains: Sequence[tuple[Choice, float]]) -> None:
        """Act by arms, each by its gain."""
        order = sorted(gains, key=lambda each: -each[1])
        self.arms = [arm for arm, _ in order]
        odds = np.exp((np.array([gain for _, gain in order]) - order[0][1]) / max(self.config.scale, TINY))
        self.shares = odds / odds.sum()

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


def _moved(gains: Mapping[str, float], means: Mapping[str, float]) -> dict[str, float]:
    """Gains as they would be on further seeds, from which only the arms of ``means`` have played.

    Differences stay those on the seeds that all have played from.
    """
    change = np.mean([mean - gains.get(name, mean) for name, mean in means.items()])
    return {name: gain + float(change) for name, gain in gains.items()}


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
