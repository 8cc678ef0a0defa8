"""What one modality alone says through a joint head."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

#: Features of all modalities in, logits out: fusion and head in one.
HeadMap = Callable[[Mapping[str, Tensor]], Tensor]


@dataclass(frozen=True)
class JointHead:
    """A fusion and a head seen as one map from features to logits.

    Args:
        forward: The map, ``{m: (N, D_m)}`` to ``(N, K)``.
        output_bias: Bias of the last layer, ``(K,)``.
        unimodal_logits: Logits of separate heads per modality, if any.
    """

    forward: HeadMap
    output_bias: Tensor
    unimodal_logits: Mapping[str, Tensor] = field(default_factory=dict)


class BaseContribution(ABC):
    """Split the logits of a joint head into one share per modality.

    The caller passes detached features and puts fusion and head into eval
    mode. Absence of a modality means a zero feature; encoders are not rerun.

    Source: GMP (arXiv 2603.14175), Eq. (5)-(7), for linear heads; the
    generalisation to MLP heads and other fusions is [choice].
    """

    #: Whether the model must have ``unimodal_heads``.
    needs_unimodal_heads = False

    @abstractmethod
    def __call__(
        self, head: JointHead, features: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        """Return contribution logits.

        Args:
            head: The joint head.
            features: Detached encoder outputs, ``(N, D_m)`` per modality.

        Returns:
            Logits ``(N, K)`` per modality.
        """


def evaluate_subsets(
    head: HeadMap,
    features: Mapping[str, Tensor],
    subsets: Sequence[frozenset[str]],
) -> list[Tensor]:
    """Evaluate a joint head with only some modalities present.

    All subsets go through the head as one batch; the empty one, which is the
    same for every sample, as a single row.

    Args:
        head: Map from features to logits.
        features: ``(N, D_m)`` per modality.
        subsets: Which modalities are present, one set per evaluation.

    Returns:
        Logits ``(N, K)`` per subset, ``(1, K)`` for the empty one.

    Example:
        >>> def head(f):
        ...     return f['a'] + 1
        >>> evaluate_subsets(head, {'a': torch.ones(2, 1)}, [frozenset()])
        [tensor([[1.]])]
    """
    count = len(next(iter(features.values())))
    sizes = [count if subset else 1 for subset in subsets]
    stacked = {
        modality: torch.cat(
            [
                feature
                if modality in subset
                else feature.new_zeros(size, feature.shape[1])
                for subset, size in zip(subsets, sizes, strict=True)
            ]
        )
        for modality, feature in features.items()
    }
    return list(head(stacked).split(sizes))


@contextmanager
def evaluating(*modules: nn.Module) -> Iterator[None]:
    """Put modules into eval mode without gradient, and back.

    Dropout is off and batch norms keep their statistics.

    Args:
        *modules: Small modules; every submodule's mode is restored.

    Example:
        >>> layer = nn.Dropout()
        >>> with evaluating(layer):
        ...     layer.training
        False
        >>> layer.training
        True
    """
    states = [(m, m.training) for top in modules for m in top.modules()]
    for module in modules:
        module.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module, training in states:
            module.training = training
