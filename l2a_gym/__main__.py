"""``python -m l2a_gym`` is the command ``l2a``."""

from l2a_gym.cli import main

if __name__ == "__main__":
    main()
