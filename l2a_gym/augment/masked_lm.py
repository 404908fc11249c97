"""A masked language model of the task's texts, and new texts near given ones by walking with it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm, trange
from transformers import AutoModelForMaskedLM, PreTrainedModel

from l2a_gym.augment.chain import ChainConfig, Conditional, Sites, walk
from l2a_gym.distill.device import attention, autocast
from l2a_gym.distill.encode import Tokens, shuffled_batches
from l2a_gym.distill.teacher import checkpoint_folder, load_tokenizer, no_checkpoint
from l2a_gym.errors import UserError


@dataclass(frozen=True)
class MaskedTraining:
    """How a masked language model is trained: AdamW, linear warm-up and decay.

    Attributes:
        updates: how many.
        batch: texts in an update.
        learning_rate: the peak.
        share: share of a text's tokens that are masked, at least one.
    """

    updates: int = 700
    batch: int = 64
    learning_rate: float = 4e-4
    share: float = 0.15


class MaskedLM:
    """A checkpoint with a masked-language-model head; where it has none, a new one, tied to its embeddings.

    Args:
        checkpoint: ``embedded``, a hub id or a local folder.
        seed: of a new head's weights.

    Attributes:
        model: the Hugging Face model.
        has_head: whether the head is the checkpoint's own.
        mask: id of the mask.
        special: (V,) bool, the special tokens: they are never masked, drawn or changed.

    Raises:
        UserError: there is no such checkpoint, or it is of a kind whose head can't be found.
    """

    def __init__(self, checkpoint: str, seed: int) -> None:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            try:
                model, report = AutoModelForMaskedLM.from_pretrained(
                    checkpoint_folder(checkpoint), dtype=torch.float32, output_loading_info=True
                )
            except (OSError, ValueError, SafetensorError) as error:
                raise no_checkpoint(checkpoint, error) from error
        self.model = cast(PreTrainedModel, model)
        name = next((name for name in ("cls", "lm_head") if hasattr(model, name)), None)
        if name is None:
            raise UserError(f"the teacher {checkpoint!r} has no masked-LM head of BERT's or RoBERTa's kind")
        self.head: torch.nn.Module = getattr(model, name)
        tokenizer = load_tokenizer(checkpoint)
        self.mask = int(tokenizer.mask_token_id)
        self.special = torch.isin(torch.arange(self.model.config.vocab_size), torch.tensor(tokenizer.all_special_ids))
        self.has_head = not any(key.startswith(name) and "bias" not in key for key in report["missing_keys"])

    def to(self, device: torch.device) -> MaskedLM:
        """Move the model to ``device``."""
        torch.nn.Module.to(self.model, device)
        self.special = self.special.to(device)
        self.model.set_attn_implementation(attention(device))
        return self

    def logits(self, tokens: Tokens, sites: Sites) -> Tensor:
        """Logits (n, V), float32, at n sites of the texts."""
        with autocast(tokens.ids.device):
            hidden = self.model.base_model(**tokens.inputs()).last_hidden_state
            return self.head(hidden[sites]).float()

    def expect(self, ids: Tensor) -> None:
        """Let a new head begin with the frequencies of the tokens in ``ids``."""
        decoder = cast(torch.nn.Linear, self.model.get_output_embeddings())
        counts = torch.bincount(ids.flatten().long(), minlength=decoder.out_features) + 1.0
        decoder.bias.data.copy_((counts / counts.sum()).log())

    def free(self, texts: Tokens) -> Tensor:
        """Which positions (n, L) hold a token of the text itself."""
        position = torch.arange(texts.ids.shape[1], device=texts.ids.device)
        return (position < texts.length[:, None]) & ~self.special[texts.ids.long()]

    def hide(self, texts: Tokens, share: float) -> tuple[Tokens, Sites, Tensor]:
        """Mask a random share of each text's tokens, at least one.

        Returns:
            The masked texts, where the masks stand, and (n,) what they hide.
        """
        free = self.free(texts)
        size = (free.sum(1) * share).round().clamp(min=1).minimum(free.sum(1))
        rank = torch.where(free, torch.rand(free.shape, device=free.device), 2.0).argsort(1).argsort(1)
        rows, columns = (rank < size[:, None]).nonzero(as_tuple=True)
        ids = texts.ids.clone()
        ids[rows, columns] = self.mask
        return Tokens(ids, texts.length, texts.first, texts.pad), (rows, columns), texts.ids[rows, columns].long()


def train_masked_lm(lm: MaskedLM, texts: Tokens, config: MaskedTraining, seed: int) -> None:
    """Train on unlabelled texts, in place: predict the tokens behind masks that are drawn anew in each update.

    Args:
        lm: the model.
        texts: what it learns.
        config: how it learns.
        seed: of every draw.
    """
    optimiser = torch.optim.AdamW(lm.model.parameters(), lr=config.learning_rate, fused=True)
    rate = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, config.learning_rate, total_steps=config.updates, pct_start=0.1, anneal_strategy="linear"
    )
    lm.model.train()
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        batches = shuffled_batches(texts.length, config.batch)
        bar = trange(config.updates, desc="training the masked LM", leave=False)
        for _, rows in zip(bar, batches, strict=False):
            masked, sites, truth = lm.hide(texts.take(rows), config.share)
            loss = F.cross_entropy(lm.logits(masked, sites), truth)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(lm.model.parameters(), 1.0)
            optimiser.step()
            optimiser.zero_grad()
            rate.step()
            bar.set_postfix(nll=f"{loss.item():.2f}")
    lm.model.eval()


@torch.no_grad()
def masked_perplexity(lm: MaskedLM, texts: Tokens, seed: int, share: float = 0.15) -> float:
    """exp of the mean negative log-likelihood of masked tokens; the masks depend on ``seed`` alone."""
    losses = []
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        for rows in texts.length.argsort(stable=True).split(64):
            masked, sites, truth = lm.hide(texts.take(rows), share)
            losses.append(F.cross_entropy(lm.logits(masked, sites), truth, reduction="none"))
    return float(torch.cat(losses).mean().exp())


def generate(
    lm: MaskedLM, starts: Tokens, config: ChainConfig, copies: int, seed: int, batch: int = 64
) -> Iterator[tuple[NDArray[np.int64], Tensor]]:
    """Walk from each start; of a pair, one side changes, drawn for each start.

    Args:
        lm: the model.
        starts: n texts, on the model's device.
        config: how to walk.
        copies: texts that are kept of each walk.
        seed: with a start's row, the seed of its random stream.
        batch: walks at a time.

    Yields:
        Rows (b,) of starts, and ids (b, copies, L) of what became of them, padded like the starts.
    """
    free = lm.free(starts)
    with tqdm(total=len(starts), desc="generating", unit="text", leave=False) as bar:
        for rows in starts.length.argsort(stable=True).split(batch):
            streams = [np.random.default_rng([seed, row]) for row in rows.tolist()]
            part = starts.take(rows)
            sides = _one_side(part, streams) & free[rows]
            kept = walk(
                _conditional(lm, part), part.ids.long(), sides.cpu().numpy(), lm.mask, ~lm.special, config, streams
            )
            yield rows.cpu().numpy(), torch.stack(list(islice(kept, copies)), dim=1)
            bar.update(len(rows))


def _conditional(lm: MaskedLM, texts: Tokens) -> Conditional:
    @torch.no_grad()
    def logits(ids: Tensor, sites: Sites) -> Tensor:
        return lm.logits(Tokens(ids, texts.length, texts.first, texts.pad), sites)

    return logits


def _one_side(texts: Tokens, streams: list[np.random.Generator]) -> Tensor:
    """Positions (n, L) of the side of a pair that may change; all of single texts."""
    position = torch.arange(texts.ids.shape[1], device=texts.ids.device)
    in_first = position < texts.first[:, None]
    heads = torch.tensor([bool(rng.integers(2)) for rng in streams], device=texts.ids.device)
    single = texts.first == texts.length
    return torch.where((single | heads)[:, None], in_first, ~in_first)
