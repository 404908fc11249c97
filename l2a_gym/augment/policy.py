"""Who says what the label of a new text is."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

POLICIES = ("keep", "teacher", "agree")


def apply_policy(
    policy: str, label: NDArray[np.int64], logits: NDArray[np.float32], made: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Labels (n,) under a policy, and (n,) bool, which texts stay in the pool.

    A text without a label has the teacher's likeliest under every policy.

    Args:
        policy: ``keep``: a new text has the label of the text it was made from; ``teacher``: the teacher's likeliest;
            ``agree``: its parent's, and where the teacher's likeliest is another, the text is dropped.
        label: (n,) the parents' labels; -1 for none.
        logits: (n, C) a teacher's.
        made: (n,) which texts are new; the others keep their label and stay.
    """
    likeliest = logits.argmax(1)
    label = np.where(label < 0, likeliest, label)
    if policy == "teacher":
        return np.where(made, likeliest, label), np.ones(len(label), dtype=np.bool_)
    agree = likeliest == label
    return label, ~made | agree if policy == "agree" else np.ones(len(label), dtype=np.bool_)
