"""Whether the generator's texts are near the target, keep their labels, vary, and are likely, sweep by sweep.

On walks from the target's shots and from source texts: where the chain forgets its start, both come to the same place.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from l2a_gym.augment.config import LEXICAL
from l2a_gym.augment.generator import masked_lm_of
from l2a_gym.augment.masked_lm import MaskedLM, masked_perplexity
from l2a_gym.augment.operator import sides_of
from l2a_gym.augment.pool import draw_starts
from l2a_gym.augment.settings import ChainConfig
from l2a_gym.augment.walk import MaskedWalk
from l2a_gym.distill.checkpoint import load_teacher, load_tokenizer
from l2a_gym.distill.device import resolve_device
from l2a_gym.distill.encode import Tokens, encode
from l2a_gym.distill.teacher import predict, sentence_vectors
from l2a_gym.errors import UserError, check_least, check_seed
from l2a_gym.preparation.config import Preparation
from l2a_gym.preparation.open_task import OpenTask
from l2a_gym.preparation.store import Prepared, read_candidates
from l2a_gym.progress import progress_bar
from l2a_gym.tasks.task import Task, Texts

SHOTS, SOURCES, SELECT, EDA = "from shots", "from sources", "select, untouched", "EDA of shots"
DRAWS = 1000
"""Bootstrap draws behind an interval."""
MASKINGS = 4
"""Draws of masks behind a perplexity."""


@dataclass(frozen=True)
class Sample:
    """n texts to measure.

    Attributes:
        origin: where they come from.
        sweeps: of the chain, since the start.
        texts: with the labels of their starts.
        start: (n,) which start each comes from.
        labelled: whether the labels may be looked at.
    """

    origin: str
    sweeps: int
    texts: Texts
    start: NDArray[np.int64]
    labelled: bool = True


@dataclass(frozen=True)
class Row:
    """What is measured of a sample: the columns of the table, which the notes under it explain."""

    origin: str
    sweeps: int
    texts: int
    log_odds: float
    log_odds_low: float
    log_odds_high: float
    labels_kept: float
    labels_kept_low: float
    labels_kept_high: float
    distinct_1: float
    distinct_2: float
    perplexity: float


@dataclass(frozen=True)
class Judges:
    """The models that texts are measured with, on one device.

    Attributes:
        lm: the task's masked language model.
        base: the teacher before fine-tuning.
        domains: tells sentence vectors of the target, by ``base``, from those of the sources.
        teacher: the all-data teacher.
        tokenizer: of ``teacher``.
        whole: the checkpoint's tokenizer, of ``base``.
        max_length: texts are cut at this many tokens.
    """

    lm: MaskedLM
    base: PreTrainedModel
    domains: LogisticRegression
    teacher: PreTrainedModel
    tokenizer: PreTrainedTokenizerFast
    whole: PreTrainedTokenizerFast
    max_length: int

    def log_odds(self, texts: Texts) -> NDArray[np.float64]:
        """Log-odds (n,) of the target."""
        vectors = sentence_vectors(self.base, self._tokens(self.whole, texts)).flatten(1).float().numpy()
        odds: NDArray[np.float64] = self.domains.decision_function(vectors).astype(np.float64)
        return odds

    def likeliest(self, texts: Texts) -> NDArray[np.int64]:
        """The all-data teacher's likeliest labels (n,)."""
        return predict(self.teacher, self._tokens(self.tokenizer, texts)).argmax(1).cpu().numpy()

    def perplexity(self, texts: Texts, label: NDArray[np.int64], seed: int) -> float:
        """Masked perplexity; a model that sees labels is shown ``label`` (n,)."""
        tokens = self._tokens(self.lm.tokenizer, texts)
        shown = torch.from_numpy(label).to(tokens.ids.device)
        each = [masked_perplexity(self.lm, tokens, seed + i, label=shown) for i in range(MASKINGS)]
        return float(np.exp(np.log(each).mean()))

    def _tokens(self, tokenizer: PreTrainedTokenizerFast, texts: Texts) -> Tokens:
        return encode(tokenizer, texts, self.max_length).to(self.lm.special.device)


def diagnose(task_id: str, config: Preparation, device: str, texts: int, sweeps: int, seed: int) -> list[Row]:
    """Walk, and measure after each sweep.

    Args:
        task_id: a task id or the path of a task file.
        config: what is prepared; its pool has edited copies of the shots and says how the chain draws.
        device: auto, cpu, cuda or cuda:<i>.
        texts: walks from shots, and from source texts.
        sweeps: of each walk.
        seed: of every draw.

    Returns:
        The table: the walks from shots after 0, 1, ... sweeps, those from source texts, select, and EDA.

    Raises:
        UserError: a number that is not valid, a pool without edited copies, or a task or checkpoint that can't be had.
    """
    opened, where = OpenTask(task_id), resolve_device(device)
    _check(config, texts, sweeps, seed)
    task, prepared = opened.task(config.checkpoint), opened.prepared(config, where)
    lm = masked_lm_of(task, config.checkpoint, config.pool.masked_lm, config.seed, where)
    rng = np.random.default_rng(seed)
    order = rng.permutation(np.flatnonzero(np.array(prepared.pool()["operator"][:]) == 0))
    begin, rest = np.split(order, [min(texts, len(order) // 2)])
    judges = load_judges(task, prepared, config, lm, rest)
    chain = replace(config.pool.chain, burn_in=0, thinning=1, keep=sweeps + 1)
    walks = partial(walk_from, lm=lm, max_length=task.max_length, chain=chain, n=texts, rng=rng)
    samples = [
        *walks(SHOTS, task.train),
        *walks(SOURCES, read_candidates(prepared.folder / "pool").take(begin)),
        *references(task, prepared, texts, rng),
    ]
    return [measure(judges, sample, seed) for sample in progress_bar(samples, desc="measuring", leave=False)]


def _check(config: Preparation, texts: int, sweeps: int, seed: int) -> None:
    for name, value in (("texts", texts), ("sweeps", sweeps)):
        check_least(name, value)
    check_seed(seed)
    if not any(config.pool.copies.get(name) for name in LEXICAL):
        raise UserError(f"the pool has no edited copies of the shots: valid are pools with {', '.join(LEXICAL)}")


def load_judges(
    task: Task, prepared: Prepared, config: Preparation, lm: MaskedLM, sources: NDArray[np.int64]
) -> Judges:
    """The judges of a prepared task; ``domains`` is fitted on dev and on the pool's rows ``sources``."""
    vectors = prepared.array("answers/vectors")
    base, teacher = load_teacher(config.checkpoint, 2, config.seed), prepared.teacher("all-data")
    for model in (base, teacher):
        torch.nn.Module.to(model, lm.special.device)
    domains = fit_domains(vectors[prepared.rows["dev"]], vectors[sources])
    tokenizers = prepared.tokenizer(), load_tokenizer(config.checkpoint)
    return Judges(lm, base, domains, teacher, *tokenizers, task.max_length)


def fit_domains(target: NDArray[Any], sources: NDArray[Any]) -> LogisticRegression:
    """A classifier of sentence vectors (n, H), whose decision function is the log-odds of the target."""
    vectors = np.concatenate([target, sources]).astype(np.float32)
    classifier = LogisticRegression(class_weight="balanced", max_iter=1000)
    return classifier.fit(vectors, np.arange(len(vectors)) < len(target))


def walk_from(
    origin: str, starts: Texts, lm: MaskedLM, max_length: int, chain: ChainConfig, n: int, rng: np.random.Generator
) -> list[Sample]:
    """What n walks, spread evenly over the starts, keep: a sample of n texts for each turn of ``chain.keep``."""
    start = draw_starts(len(starts), n / len(starts), None, rng)
    with tempfile.TemporaryDirectory() as parts:
        sides = MaskedWalk(lm, chain, max_length, Path(parts))(starts, np.repeat(start, chain.keep), rng)
    samples = []
    for turn in range(chain.keep):
        text, *pair = zip(*sides[turn :: chain.keep], strict=True)
        samples.append(Sample(origin, turn, Texts(text, starts.label[start], pair[0] if pair else None), start))
    return samples


def references(task: Task, prepared: Prepared, n: int, rng: np.random.Generator) -> list[Sample]:
    """Up to n texts of select, and of the edited copies of the shots."""
    select = rng.permutation(len(task.select))[:n]
    codes = [code for code, name in enumerate(prepared.manifest()["operators"]) if name in LEXICAL]
    pool = prepared.pool()
    edited = rng.permutation(np.flatnonzero(np.isin(pool["operator"][:], codes)))[:n]
    return [
        Sample(SELECT, 0, task.select.take(select), select, labelled=False),
        Sample(EDA, 0, read_candidates(prepared.folder / "pool").take(edited), np.array(pool["parent"][:])[edited]),
    ]


def measure(judges: Judges, sample: Sample, seed: int) -> Row:
    """A row of the table; ``seed`` is of the bootstrap and the masks."""
    rng = np.random.default_rng(seed)
    odds, likeliest = judges.log_odds(sample.texts), judges.likeliest(sample.texts)
    kept = (likeliest == sample.texts.label).astype(np.float64) if sample.labelled else np.full(len(odds), np.nan)
    sides = [side for sides in sides_of(sample.texts) for side in sides]
    return Row(
        sample.origin,
        sample.sweeps,
        len(odds),
        *mean_interval(odds, sample.start, rng),
        *mean_interval(kept, sample.start, rng),
        distinct(sides, 1),
        distinct(sides, 2),
        judges.perplexity(sample.texts, likeliest, seed),
    )


def mean_interval(
    values: NDArray[np.float64], start: NDArray[np.int64], rng: np.random.Generator
) -> tuple[float, float, float]:
    """Mean of ``values`` (n,), and both ends of its 95 % interval.

    By bootstrap over the starts (n,): texts of one start resemble each other, so they are drawn together.
    """
    _, group = np.unique(start, return_inverse=True)
    total, count = np.bincount(group, values), np.bincount(group)
    drawn = rng.integers(len(count), size=(DRAWS, len(count)))
    low, high = np.percentile(total[drawn].sum(1) / count[drawn].sum(1), [2.5, 97.5])
    return float(values.mean()), float(low), float(high)


def distinct(texts: Sequence[str], n: int) -> float:
    """Different n-grams over all n-grams of the texts, after Li et al. (2016); NaN where there are none.

    Words and punctuation marks count, in lower case, so that the spaces that decoding puts between them don't.
    """
    words = [re.findall(r"\w+|[^\w\s]", text.lower()) for text in texts]
    grams = [tuple(each[i : i + n]) for each in words for i in range(len(each) - n + 1)]
    return len(set(grams)) / len(grams) if grams else float("nan")
