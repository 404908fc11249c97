"""The teacher: a checkpoint that is fine-tuned with early stopping, and asked once for every text."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm
from transformers import PreTrainedModel

from l2a_gym.distill.device import attention, teacher_precision
from l2a_gym.distill.distiller import Labelled
from l2a_gym.distill.encode import Tokens, shuffled_batches


@dataclass(frozen=True)
class FineTuning:
    """How a teacher is fine-tuned: AdamW, linear warm-up and decay, the state with the best dev loss is kept.

    Attributes:
        updates: at most this many.
        batch: texts in an update.
        learning_rate: the peak.
        check: updates between two looks at the dev loss.
        patience: looks without a better dev loss after which it stops.
    """

    updates: int
    batch: int
    learning_rate: float
    check: int
    patience: int = 3


FEW_SHOT = FineTuning(updates=120, batch=16, learning_rate=5e-5, check=12)
ALL_DATA = FineTuning(updates=300, batch=32, learning_rate=5e-5, check=50)


def keep_pieces(model: PreTrainedModel, kept: NDArray[np.int64]) -> None:
    """Leave the model only the embedding rows of the ids in ``kept`` (V,), ascending; its new ids are 0 to V - 1."""
    table = cast(torch.nn.Embedding, model.get_input_embeddings())
    padding = None if table.padding_idx is None else int(np.searchsorted(kept, table.padding_idx))
    rows = table.weight.detach()[torch.from_numpy(kept.copy())]
    model.set_input_embeddings(torch.nn.Embedding.from_pretrained(rows, freeze=False, padding_idx=padding))
    model.config.vocab_size = len(kept)


def embedding_table(model: PreTrainedModel) -> Tensor:
    """The model's word embeddings (V, H)."""
    return cast(torch.nn.Embedding, model.get_input_embeddings()).weight.detach()


def fine_tune(
    model: PreTrainedModel,
    train: Labelled,
    dev: Labelled,
    config: FineTuning,
    *,
    seed: int,
    name: str,
) -> None:
    """Fine-tune ``model`` in place, stopping early by the loss on ``dev``."""
    device = train.label.device
    model.set_attn_implementation(attention(device))
    optimiser = torch.optim.AdamW(model.parameters(), lr=config.learning_rate, weight_decay=0.01, fused=True)
    warmup = max(1, config.updates // 10)
    rate = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: min((step + 1) / warmup, (config.updates - step) / max(1, config.updates - warmup))
    )
    best, best_loss, since = {k: v.clone() for k, v in model.state_dict().items()}, float("inf"), 0
    with (
        torch.random.fork_rng(),
        tqdm(total=config.updates, desc=f"fine-tuning the {name} teacher", leave=False) as bar,
    ):
        torch.manual_seed(seed)
        for step, rows in zip(
            range(1, config.updates + 1), shuffled_batches(train.tokens.length, config.batch), strict=False
        ):
            model.train()
            with teacher_precision(device):
                logits = model(**train.tokens.take(rows).inputs()).logits
            loss = F.cross_entropy(logits.float(), train.label[rows])
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
            optimiser.zero_grad()
            rate.step()
            bar.update()
            if step % config.check:
                continue
            dev_loss = float(F.cross_entropy(predict(model, dev.tokens), dev.label))
            bar.set_postfix(dev_nll=f"{dev_loss:.3f}")
            since += 1
            if dev_loss < best_loss:
                best, best_loss, since = {k: v.clone() for k, v in model.state_dict().items()}, dev_loss, 0
            if since >= config.patience:
                break
    model.load_state_dict(best)


def predict(model: PreTrainedModel, tokens: Tokens, batch: int = 64) -> Tensor:
    """Logits (n, C), float32 on the model's device, in the order of ``tokens``."""
    logits = torch.empty(len(tokens), cast(int, model.config.num_labels), device=tokens.ids.device)
    return _ask(model, lambda inputs: model(**inputs).logits, tokens, batch, logits)


def sentence_vectors(model: PreTrainedModel, tokens: Tokens, batch: int = 64) -> Tensor:
    """Means of the last layer over each text's tokens (n, H), float16 on the CPU, in the order of ``tokens``."""

    def mean(inputs: dict[str, Tensor]) -> Tensor:
        mask = inputs["attention_mask"][..., None]
        return (model.base_model(**inputs).last_hidden_state.float() * mask).sum(1) / mask.sum(1)

    vectors = torch.empty(len(tokens), model.config.hidden_size, dtype=torch.float16)
    return _ask(model, mean, tokens, batch, vectors)


@torch.no_grad()
def _ask(
    model: PreTrainedModel, answer: Callable[[dict[str, Tensor]], Tensor], tokens: Tokens, batch: int, answers: Tensor
) -> Tensor:
    """Fill ``answers`` in the order of ``tokens``; texts of similar length share a batch, which saves padding."""
    model.eval()
    model.set_attn_implementation(attention(tokens.ids.device))
    batches = tokens.length.argsort(stable=True).split(batch)
    with teacher_precision(tokens.ids.device):
        for rows in tqdm(batches, desc="asking the teacher", delay=2, leave=False):
            answers[rows.to(answers.device)] = answer(tokens.take(rows).inputs()).to(answers)
    return answers
