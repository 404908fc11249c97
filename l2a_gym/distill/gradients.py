"""Gradients of the cross-entropy at the student's last layer, without a backward pass."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from l2a_gym.distill.forward import Outputs


def last_layer_gradient(outputs: Outputs, label: Tensor) -> Tensor:
    """Gradient of the mean cross-entropy with respect to the classifier's weights, (..., C, F).

    Args:
        outputs: of n texts.
        label: (n,).
    """
    residual = outputs.logits.softmax(-1) - F.one_hot(label, outputs.logits.shape[-1])
    return residual.mT @ outputs.pooled / len(label)


def agreement(outputs: Outputs, label: Tensor, gradient: Tensor) -> Tensor:
    """Cosine in [-1, 1] of each text's last-layer gradient with ``gradient`` (..., C, F), (..., n).

    A text's gradient is the outer product of its residual and its pooled vector, so no backward pass is needed.

    Args:
        outputs: of n texts.
        label: (..., n).
        gradient: see :func:`last_layer_gradient`.
    """
    residual = outputs.logits.softmax(-1) - F.one_hot(label, outputs.logits.shape[-1])
    dot = ((residual @ gradient) * outputs.pooled).sum(-1)
    norm = residual.norm(dim=-1) * outputs.pooled.norm(dim=-1) * gradient.flatten(-2).norm(dim=-1)[..., None]
    return dot / norm.clamp(min=1e-12)
