"""L2A-Gym: learning to choose and weight texts for BERT distillation.

Importing this package registers ``L2A-Distill-v0`` and ``L2A-Toy-v0``; it imports neither torch nor transformers.
"""

import gymnasium

from l2a_gym.errors import UserError

__all__ = ["UserError"]

for _name, _entry_point, _vector_entry_point in (
    (
        "L2A-Distill-v0",
        "l2a_gym.envs.distill_aug:DistillAugEnv",
        "l2a_gym.envs.distill_aug_vector:DistillAugVectorEnv",
    ),
    ("L2A-Toy-v0", "l2a_gym.envs.toy:ToyEnv", None),
):
    if _name not in gymnasium.registry:
        gymnasium.register(_name, entry_point=_entry_point, vector_entry_point=_vector_entry_point)
