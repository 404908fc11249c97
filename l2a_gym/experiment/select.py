"""Source texts cleaned and weighted by a trained selector, for whoever trains something else with them."""

from __future__ import annotations

from l2a_gym.augment.config import SOURCE
from l2a_gym.experiment.adapter import DistillAdapter
from l2a_gym.experiment.candidates import write_candidates
from l2a_gym.experiment.frames import write_frame
from l2a_gym.experiment.settings import Selection
from l2a_gym.experiment.train import Clock, trained
from l2a_gym.wording import printable

COLUMNS = ("text", "pair", "label", "domain", "weight", "origin")


def select(settings: Selection) -> None:
    """Write the source texts of enough weight, in the order of their files; train the selector if it is not yet.

    Raises:
        UserError: a setting that is not valid, or a run folder that holds another run or files of the user's.
    """
    with trained(settings.run, Clock()) as (run, adapter, selector, _, sources):
        assert isinstance(adapter, DistillAdapter)  # the settings refuse the toy
        table = write_candidates(run, adapter, selector, sources)
    texts = table[table["operator"] == SOURCE]
    trusted = texts[texts["kept"] & (texts["weight"] >= settings.least)]
    write_frame(settings.out, trusted[[name for name in COLUMNS if name in table]])
    print(
        f"{printable(settings.out)}: {len(trusted):,} of {len(texts):,} source texts, to which {printable(run.algo)} "
        f"gives a weight of {settings.least:g} or more"
    )
