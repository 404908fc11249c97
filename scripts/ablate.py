"""Train final students with one part of the method changed at a time; one table of what each part is worth."""

from l2a_gym.cli import run_cli
from l2a_gym.experiment.ablate import Ablation, ablate

if __name__ == "__main__":
    run_cli(Ablation, ablate)
