"""Settings of the masked language model and of its walks; nothing here loads torch."""

from __future__ import annotations

from dataclasses import dataclass

from l2a_gym.errors import UserError, check_least


@dataclass(frozen=True)
class MaskedTraining:
    """How a masked language model is trained: AdamW, linear warm-up and decay.

    Attributes:
        updates: on all texts of the task, for a model whose head is new.
        learning_rate: the peak meanwhile.
        adapt_updates: on the target's texts, afterwards.
        adapt_rate: the peak meanwhile.
        batch: texts in an update.
        share: share of a text's tokens that are masked, at least one.
        conditional: whether the model sees a text's label, after conditional BERT (Wu et al., 2019); then only the
            sources' and the shots' texts teach it.
    """

    updates: int = 400
    learning_rate: float = 4e-4
    adapt_updates: int = 150
    adapt_rate: float = 2e-4
    batch: int = 64
    share: float = 0.15
    conditional: bool = False

    def __post_init__(self) -> None:
        for name, least in (("updates", 0), ("adapt_updates", 0), ("batch", 1)):
            check_least(name, getattr(self, name), least)
        for name in ("learning_rate", "adapt_rate", "share"):
            if not 0 < getattr(self, name) <= 1:
                raise UserError(f"{name} = {getattr(self, name)}: valid are numbers above 0, up to 1")


@dataclass(frozen=True)
class ChainConfig:
    """How the chain walks.

    Attributes:
        mask_share: share of a text's free positions that are drawn again in a move, in (0, 1]; at least one is.
        block: positions that are masked side by side: 1 masks single tokens, more masks phrases.
        temperature: > 0, of the conditional; lower is nearer to the likeliest token.
        top_k: only the k likeliest tokens are drawn; 0 for all.
        burn_in: sweeps before the first text of a walk is kept.
        thinning: sweeps between two texts that are kept.
        keep: texts that are kept of a walk; where more are wanted of a start, more walks begin there.
        protected: words that never change.
    """

    mask_share: float = 0.15
    block: int = 1
    temperature: float = 0.8
    top_k: int = 20
    burn_in: int = 1
    thinning: int = 1
    keep: int = 4
    protected: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not 0 < self.mask_share <= 1:
            raise UserError(f"mask_share = {self.mask_share}: valid are numbers above 0, up to 1")
        if not 0 < self.temperature < float("inf"):
            raise UserError(f"temperature = {self.temperature}: valid are numbers above 0")
        for name, least in (("block", 1), ("top_k", 0), ("burn_in", 0), ("thinning", 1), ("keep", 1)):
            check_least(name, getattr(self, name), least)

    @property
    def moves(self) -> int:
        """Moves in a sweep, in which each free position is drawn again about once."""
        return round(1 / self.mask_share)
