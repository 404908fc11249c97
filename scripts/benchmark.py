"""Compare selectors on a suite of tasks at equal budgets; the same command again goes on where it was."""

from l2a_gym.benchmark.campaign import Campaign, run_campaign
from l2a_gym.cli import run_cli

if __name__ == "__main__":
    run_cli(Campaign, run_campaign)
