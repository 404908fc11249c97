"""A masked language model of the task's texts, and new texts near given ones by walking with it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F
from transformers import AutoModelForMaskedLM

from l2a_gym.augment.chain import Sites, walk
from l2a_gym.augment.settings import ChainConfig, MaskedTraining
from l2a_gym.checked import read_array, write_array
from l2a_gym.distill.checkpoint import load_model, load_tokenizer
from l2a_gym.distill.device import attention, teacher_precision
from l2a_gym.distill.encode import Tokens, shuffled_batches, trim_vocabulary
from l2a_gym.distill.schedule import one_cycle
from l2a_gym.distill.teacher import keep_pieces
from l2a_gym.errors import UserError
from l2a_gym.progress import progress_bar


class MaskedLM:
    """A checkpoint with a masked-language-model head; where it has none, a new one, tied to its embeddings.

    Args:
        checkpoint: ``embedded``, a hub id or a local folder.
        seed: of a new head's weights.
        classes: C, where the model is to see labels: its segment embeddings become one for each segment and label.

    Attributes:
        model: the Hugging Face model.
        has_head: whether the head is the checkpoint's own.
        segments: how many segments it tells apart; 0 where it does not see labels.
        tokenizer: the checkpoint's, until :meth:`trim`.
        mask: id of the mask.
        special: (V,) bool, the special tokens: they are never masked, drawn or changed.

    Raises:
        UserError: there is no such checkpoint, it has no mask token, or it is of a kind whose head can't be found.
    """

    def __init__(self, checkpoint: str, seed: int, classes: int = 0) -> None:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            model, report = load_model(AutoModelForMaskedLM, checkpoint)
        self.model = model
        name = next((name for name in ("cls", "lm_head") if hasattr(model, name)), None)
        if name is None:
            raise UserError(f"the teacher {checkpoint!r} has no masked-LM head of BERT's or RoBERTa's kind")
        self.head: torch.nn.Module = getattr(model, name)
        self.tokenizer = load_tokenizer(checkpoint)
        if self.tokenizer.mask_token_id is None:
            raise UserError(f"the teacher {checkpoint!r} has no mask token, which the generator needs")
        self._find_special()
        self.has_head = not any(key.startswith(name) and "bias" not in key for key in report["missing_keys"])
        self.segments = getattr(self.model.config, "segments", 0)
        if classes and not self.segments:
            self._see_labels(classes)

    def _see_labels(self, classes: int) -> None:
        embeddings = cast(torch.nn.Module, self.model.base_model.embeddings)
        old = cast(torch.nn.Embedding, embeddings.token_type_embeddings)
        self.segments = self.model.config.segments = old.num_embeddings
        self.model.config.type_vocab_size = classes * self.segments
        table = torch.nn.Embedding.from_pretrained(old.weight.detach().repeat(classes, 1), freeze=False)
        embeddings.token_type_embeddings = table

    def trim(self, count: NDArray[np.int64]) -> None:
        """Forget the pieces that do not occur, see :func:`trim_vocabulary`; the others get new ids.

        Fewer pieces to score make training and walks faster, and no walk strays to pieces that no text of the task has.
        """
        self.tokenizer, kept = trim_vocabulary(self.tokenizer, count)
        if len(kept) == len(self.special):
            return
        bias = cast(torch.nn.Linear, self.model.get_output_embeddings()).bias.detach()[torch.from_numpy(kept)]
        keep_pieces(self.model, kept)
        decoder = torch.nn.utils.skip_init(torch.nn.Linear, self.model.config.hidden_size, len(kept))
        decoder.bias = torch.nn.Parameter(bias)
        self.model.set_output_embeddings(decoder)
        self.model.tie_weights()
        self._find_special()

    def _find_special(self) -> None:
        self.mask = int(self.tokenizer.mask_token_id)
        special = torch.tensor(self.tokenizer.all_special_ids)
        self.special = torch.isin(torch.arange(self.model.config.vocab_size), special)

    def to(self, device: torch.device) -> MaskedLM:
        """Move the model to ``device``."""
        torch.nn.Module.to(self.model, device)
        self.special = self.special.to(device)
        self.model.set_attn_implementation(attention(device))
        return self

    def logits(self, tokens: Tokens, sites: Sites, label: Tensor | None = None) -> Tensor:
        """Logits (n, V), float32, at n sites of the texts; ``label`` is for a model that sees it."""
        with teacher_precision(tokens.ids.device):
            hidden = self.model.base_model(**self.inputs(tokens, label)).last_hidden_state
            return self.head(hidden[sites]).float()

    def inputs(self, tokens: Tokens, label: Tensor | None = None) -> dict[str, Tensor]:
        """The model's arguments; where it sees labels (n,), they stand in for segments."""
        inputs = tokens.inputs()
        if self.segments and label is not None:
            segment = inputs.get("token_type_ids", torch.zeros_like(inputs["input_ids"]))
            inputs["token_type_ids"] = segment + self.segments * label[:, None]
        return inputs

    def expect(self, ids: Tensor) -> None:
        """Let a new head begin with the frequencies of the tokens in ``ids``."""
        decoder = cast(torch.nn.Linear, self.model.get_output_embeddings())
        counts = torch.bincount(ids.flatten().long(), minlength=decoder.out_features) + 1.0
        decoder.bias.data.copy_((counts / counts.sum()).log())

    def pieces(self, words: Sequence[str]) -> Tensor:
        """The ids of all pieces of some words."""
        ids = self.tokenizer(list(words), add_special_tokens=False)["input_ids"] if words else []
        return torch.tensor([i for pieces in ids for i in pieces], dtype=torch.int32)

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


def train_masked_lm(
    lm: MaskedLM,
    texts: Tokens,
    updates: int,
    learning_rate: float,
    config: MaskedTraining,
    seed: int,
    label: Tensor | None = None,
) -> None:
    """Train in place: predict the tokens behind masks that are drawn anew in each update.

    Args:
        lm: the model.
        texts: n texts, on the model's device.
        updates: how many.
        learning_rate: the peak.
        config: batch and share.
        seed: of every draw.
        label: (n,) for a model that sees it.
    """
    optimizer = torch.optim.AdamW(lm.model.parameters(), lr=learning_rate, fused=True)
    rate = one_cycle(optimizer, learning_rate, updates, anneal="linear")
    lm.model.train()
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        batches = shuffled_batches(texts.length, config.batch)
        bar = progress_bar(range(updates), desc="training the masked LM", leave=False)
        for _, rows in zip(bar, batches, strict=False):
            masked, sites, truth = lm.hide(texts.take(rows), config.share)
            loss = F.cross_entropy(lm.logits(masked, sites, None if label is None else label[rows]), truth)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(lm.model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
            rate.step()
            bar.set_postfix(nll=f"{loss.item():.2f}")
    lm.model.eval()


@torch.no_grad()
def masked_perplexity(
    lm: MaskedLM, texts: Tokens, seed: int, share: float = 0.15, label: Tensor | None = None
) -> float:
    """exp of the mean negative log-likelihood of masked tokens; the masks depend on ``seed`` alone."""
    losses = []
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        for rows in texts.length.argsort(stable=True).split(64):
            masked, sites, truth = lm.hide(texts.take(rows), share)
            logits = lm.logits(masked, sites, None if label is None else label[rows])
            losses.append(F.cross_entropy(logits, truth, reduction="none"))
    return float(torch.cat(losses).mean().exp())


def generate(
    lm: MaskedLM,
    starts: Tokens,
    config: ChainConfig,
    seed: int,
    *,
    label: Tensor | None = None,
    parts: Path | None = None,
    batch: int = 64,
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Walk from each start; of a pair, one side changes, drawn for each start.

    Args:
        lm: the model.
        starts: n texts, on the model's device.
        config: how to walk.
        seed: with a start's row, the seed of its random stream.
        label: (n,) for a model that sees it.
        parts: a folder for what is done; walks that are found there are not walked again.
        batch: walks at a time.

    Yields:
        Rows (b,) of starts, and ids (b, keep, L) of what became of them, padded like the starts.
    """
    free = lm.free(starts) & ~torch.isin(starts.ids, lm.pieces(config.protected).to(starts.ids.device))
    with progress_bar(total=len(starts), desc="generating", unit="walk", leave=False) as bar:
        for number, rows in enumerate(starts.length.argsort(stable=True).split(batch)):
            file = parts and parts / f"{number:05d}.npy"
            kept = read_array(file) if file else None
            if kept is None:
                seen = None if label is None else label[rows]
                kept = _walks(lm, starts.take(rows), free[rows], config, seed, rows, seen)
                if file:
                    write_array(file, kept)
            yield rows.cpu().numpy(), kept
            bar.update(len(rows))


@torch.no_grad()
def _walks(
    lm: MaskedLM,
    texts: Tokens,
    free: Tensor,
    config: ChainConfig,
    seed: int,
    rows: Tensor,
    label: Tensor | None,
) -> NDArray[np.int64]:
    streams = [np.random.default_rng([seed, row]) for row in rows.tolist()]
    may = (_one_side(texts, streams) & free).cpu().numpy()

    def conditional(ids: Tensor, sites: Sites) -> Tensor:
        return lm.logits(Tokens(ids, texts.length, texts.first, texts.pad), sites, label)

    walked = walk(conditional, texts.ids.long(), may, lm.mask, ~lm.special, config, streams)
    return torch.stack(list(islice(walked, config.keep)), dim=1).cpu().numpy()


def _one_side(texts: Tokens, streams: list[np.random.Generator]) -> Tensor:
    """Positions (n, L) of the side of a pair that may change; all of single texts."""
    position = torch.arange(texts.ids.shape[1], device=texts.ids.device)
    in_first = position < texts.first[:, None]
    heads = torch.tensor([bool(rng.integers(2)) for rng in streams], device=texts.ids.device)
    single = texts.first == texts.length
    return torch.where((single | heads)[:, None], in_first, ~in_first)
