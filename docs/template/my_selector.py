"""A selector to start your own from: a bandit over the share of candidates that are kept."""

import json
from pathlib import Path

import numpy as np
from l2a_agents.rollout import rollout
from l2a_agents.selector import Action, Fixed, Log, MakeEnv, Observation, Spaces, spent

SHARES = (1.0, 0.75, 0.5, 0.25)


class MySelector(Fixed):
    """Keeps the candidates whose labels are likeliest; learns by trial which share of them to keep."""

    def __init__(self, spaces: Spaces) -> None:
        super().__init__(spaces)
        self.share = 1.0
        self.returns: list[float] = []

    def act(self, observation: Observation, deterministic: bool = True) -> Action:
        """Weights (N,) in [-1, 1]; zero or less drops a candidate."""
        likely = observation["candidates"][:, self.spaces.column("all_data_label")]
        return (likely >= np.quantile(likely, 1 - self.share)).astype(np.float32)

    def train(self, make_env: MakeEnv, budget: int, seed: int, log: Log, num_envs: int = 1) -> None:
        """Try the shares in turn, each on the same episodes; then keep the best."""
        env, total = make_env(), 0
        while total < budget:
            turn, self.share = len(self.returns) // len(SHARES), SHARES[len(self.returns) % len(SHARES)]
            steps = list(rollout(env, self.act, seed=1000 * seed + turn))
            self.returns.append(sum(step.reward for step in steps))
            tried = min(len(self.returns), len(SHARES))
            means = [np.mean(self.returns[i :: len(SHARES)]) for i in range(tried)]
            self.share, total = SHARES[int(np.argmax(means))], total + spent(steps[-1].info)
            figures = {"gain": self.returns[-1], "dev_accuracy": steps[-1].info["dev_accuracy"]}
            log(total, {"share": self.share, **figures})

    def save(self, folder: Path) -> None:
        """Write what was learnt."""
        state = {"share": self.share, "returns": self.returns}
        (folder / "my_selector.json").write_text(json.dumps(state), encoding="utf-8")

    def load(self, folder: Path) -> None:
        """Read it."""
        state = json.loads((folder / "my_selector.json").read_text(encoding="utf-8"))
        self.share, self.returns = state["share"], state["returns"]
