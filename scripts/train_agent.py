"""Train a selector, compare it with the controls and export the student."""

from l2a_gym.cli import run_cli
from l2a_gym.runs.run import Run
from l2a_gym.runs.runner import train

if __name__ == "__main__":
    run_cli(Run, train)
