"""Compare selectors on a suite of tasks at equal budgets; the same command again goes on where it was."""

from l2a_gym.cli import run_cli
from l2a_gym.experiment.benchmark import Campaign, run_campaign

if __name__ == "__main__":
    run_cli(Campaign, run_campaign)
