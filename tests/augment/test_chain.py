"""The chain against its exact stationary distribution, where the texts can be enumerated."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations, islice, product

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from l2a_gym.augment.chain import Sites, draw, walk
from l2a_gym.augment.settings import ChainConfig
from l2a_gym.errors import UserError

TOKENS, LENGTH, MASK = 3, 3, 3
TEXTS = list(product(range(TOKENS), repeat=LENGTH))


def made_up(ids: Tensor, sites: Sites) -> Tensor:
    """Logits that depend on the position and on every other token, masked ones too; no joint law fits them."""
    generator = torch.Generator().manual_seed(5)
    table = torch.randn(LENGTH, TOKENS + 1, LENGTH, TOKENS + 1, generator=generator) * 0.7
    seen = torch.nn.functional.one_hot(ids, TOKENS + 1).float()
    others = 1 - torch.eye(LENGTH)
    return torch.einsum("bju,juiv,ji->biv", seen, table, others)[sites]


def transition(config: ChainConfig) -> NDArray[np.float64]:
    """The probabilities (texts, texts) of one move, text by text."""
    size = max(1, round(config.mask_share * LENGTH))
    blocks = list(combinations(range(LENGTH), size))
    matrix = np.zeros((len(TEXTS), len(TEXTS)))
    for row, text in enumerate(TEXTS):
        for block in blocks:
            masked = [MASK if place in block else token for place, token in enumerate(text)]
            everywhere = torch.zeros(LENGTH, dtype=torch.long), torch.arange(LENGTH)
            logits = made_up(torch.tensor([masked]), everywhere)[:, :TOKENS].double().numpy() / config.temperature
            if config.top_k:
                cut = np.sort(logits, axis=1)[:, -config.top_k][:, None]
                logits = np.where(logits >= cut, logits, -np.inf)
            p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
            for column, other in enumerate(TEXTS):
                if all(other[place] == token for place, token in enumerate(text) if place not in block):
                    matrix[row, column] += np.prod([p[place, other[place]] for place in block]) / len(blocks)
    return matrix


def stationary(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.linalg.matrix_power(matrix, 1000)[0]


def start(chains: int, config: ChainConfig, seed: int = 0) -> Iterator[Tensor]:
    ids = torch.zeros(chains, LENGTH, dtype=torch.long)
    streams = [np.random.default_rng([seed, chain]) for chain in range(chains)]
    allowed = torch.tensor([True] * TOKENS + [False])
    return walk(made_up, ids, np.ones((chains, LENGTH), dtype=bool), MASK, allowed, config, streams)


@pytest.mark.parametrize(
    "config",
    [
        ChainConfig(mask_share=0.34, temperature=1.0, top_k=0, burn_in=10, thinning=2),
        ChainConfig(mask_share=0.67, temperature=1.0, top_k=0, burn_in=10, thinning=2),
        ChainConfig(mask_share=0.34, temperature=0.5, top_k=2, burn_in=10, thinning=3),
    ],
    ids=["one position", "two positions", "cooler, two likeliest"],
)
def test_the_chain_reaches_its_stationary_distribution(config: ChainConfig) -> None:
    exact = stationary(transition(config))
    assert np.abs(exact - 1 / len(TEXTS)).sum() / 2 > 0.1  # far from uniform
    kept = torch.cat(list(islice(start(1000, config), 15)))
    code = kept @ torch.tensor([TOKENS**2, TOKENS, 1])
    found = torch.bincount(code, minlength=len(TEXTS)).double().numpy() / len(code)
    assert np.abs(found - exact).sum() / 2 < 0.03


def test_the_first_text_is_burn_in_moves_away() -> None:
    """After few moves the chain is where the matrix's power says, not yet at rest."""
    config = ChainConfig(mask_share=0.34, temperature=0.5, top_k=2, burn_in=1)
    exact = np.linalg.matrix_power(transition(config), config.burn_in * config.moves)[0]
    assert np.abs(exact - stationary(transition(config))).sum() / 2 > 0.1
    kept = next(start(10000, config))
    found = torch.bincount(kept @ torch.tensor([TOKENS**2, TOKENS, 1]), minlength=len(TEXTS)).double().numpy()
    assert np.abs(found / found.sum() - exact).sum() / 2 < 0.02


def test_protected_positions_and_barred_tokens_stay_out() -> None:
    ids = torch.tensor([[0, 1, 2], [2, 1, 0], [1, 1, 1]])
    free = np.array([[True, False, True], [False, False, True], [False, False, False]])
    streams = [np.random.default_rng(seed) for seed in range(3)]
    allowed = torch.tensor([True, False, True, False])
    config = ChainConfig(mask_share=1.0, top_k=0, burn_in=1, thinning=1)
    kept = torch.stack(list(islice(walk(made_up, ids, free, MASK, allowed, config, streams), 200)))
    fixed = torch.from_numpy(~free)
    assert torch.equal(kept[:, fixed], ids[fixed].expand(200, -1))
    assert set(kept[:, ~fixed].unique().tolist()) == {0, 2}
    assert torch.equal(ids, torch.tensor([[0, 1, 2], [2, 1, 0], [1, 1, 1]]))


def test_a_text_does_not_depend_on_its_batch() -> None:
    config = ChainConfig(mask_share=0.34)
    together = list(islice(start(6, config), 4))
    ids, allowed = torch.zeros(1, LENGTH, dtype=torch.long), torch.tensor([True] * TOKENS + [False])
    alone = walk(made_up, ids, np.ones((1, LENGTH), dtype=bool), MASK, allowed, config, [np.random.default_rng([0, 4])])
    for batch, single in zip(together, islice(alone, 4), strict=True):
        assert torch.equal(batch[4], single[0])
    assert not torch.equal(torch.stack(list(islice(start(6, config, seed=1), 4))), torch.stack(together))


def test_draw_inverts_the_distribution() -> None:
    logits = torch.tensor([0.5, 0.3, 0.2]).log().expand(5, 3)
    assert draw(logits, torch.tensor([0.0, 0.49, 0.51, 0.79, 0.999]), 0).tolist() == [0, 0, 1, 1, 2]
    assert draw(logits, torch.tensor([0.0, 0.62, 0.63, 0.99, 0.999]), 2).tolist() == [0, 0, 1, 1, 1]
    barred = torch.tensor([[-torch.inf, 0.0, -torch.inf]])
    assert draw(barred, torch.tensor([1.0]), 0).tolist() == [1]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"mask_share": 0.0}, "mask_share = 0.0: valid are numbers above 0, up to 1"),
        ({"temperature": float("nan")}, "temperature = nan: valid are numbers above 0"),
        ({"top_k": -1}, "top_k = -1: valid are whole numbers from 0"),
        ({"thinning": 0}, "thinning = 0: valid are whole numbers from 1"),
    ],
)
def test_values_out_of_range(values: dict[str, float], message: str) -> None:
    with pytest.raises(UserError, match=f"^{message}$"):
        ChainConfig(**values)
