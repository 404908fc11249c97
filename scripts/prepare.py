"""The command ``l2a prepare``, in a checkout."""

from l2a_gym.cli import main

if __name__ == "__main__":
    main("prepare")
