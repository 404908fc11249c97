"""What every selector must do to be benchmarked: `python -m pytest test_my_selector.py` in this folder."""

from l2a_gym.experiment.conformance import SelectorConformance


class TestMySelector(SelectorConformance):
    """On the toy."""

    selector = "my_selector:MySelector"
