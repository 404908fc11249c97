"""The command ``l2a select``, in a checkout."""

from l2a_gym.cli import main

if __name__ == "__main__":
    main("select")
