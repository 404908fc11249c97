"""Train a selector, compare it with the controls and export the student."""

from l2a_gym.benchmark.run import Run
from l2a_gym.benchmark.runner import train
from l2a_gym.cli import run_cli

if __name__ == "__main__":
    run_cli(Run, train)
