"""The command ``l2a train``, in a checkout."""

from l2a_gym.cli import main

if __name__ == "__main__":
    main("train")
