"""On-the-fly gradient modulation, with and without noise."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor
from torch.nn import Parameter

from mmgmp.engine.optim.strategies.base import (
    FinalGradients,
    TensorModulation,
)
from mmgmp.engine.optim.strategies.encoder_modulation import (
    EncoderModulation,
)
from mmgmp.engine.optim.strategies.ratios import suppression
from mmgmp.registry import MODULATIONS
from mmgmp.structures import BatchSignals, Task

_STEP_PRIME = 1_000_003


@MODULATIONS.register_module()
class OGMModulation(EncoderModulation, TensorModulation):
    """Damp the encoder whose modality is ahead in classification.

    In each step the batch sums of the confidence in the true class are
    compared; the encoder that is ahead by the ratio rho > 1 has its gradient
    multiplied by ``1 - tanh(alpha * rho)``. With ``noise`` this is OGM-GE:
    every scaled tensor, also of the weaker modality, gets Gaussian noise with
    the standard deviation of its own unscaled gradient.

    The confidences are those of ``model.contribution``; the convention of
    the authors is ``dict(type='MaskedContribution', bias='split')``. At a
    ratio of exactly 1 nobody is damped, as in the paper (the authors' code
    damps the second modality).

    Only encoder parameters with two or more dimensions are scaled, so that
    biases and normalisations are neither scaled nor perturbed. The authors'
    code takes exactly four dimensions, which would leave out 3D convolutions
    [choice].

    Noise is drawn once per optimizer step, after gradients are averaged over
    ranks, from generators seeded with (seed, step, tensor), so all ranks draw
    the same and a resumed run continues [choice]. Under loss scaling it is
    drawn for the scaled gradient, whose deviation scales along.

    Args:
        alpha: Strength, in [0, 1]; the authors use 0.1 (VGGSound) and 0.8
            (CREMA-D), 0.5 is [choice].
        noise: Whether to add noise (OGM-GE).
        seed: Of the noise; None takes the seed of the run.
        apply_to: ``'total'`` or ``'cls'``; see :class:`EncoderModulation`.
        start_epoch: First active epoch, 0-based.
        end_epoch: Last active epoch, inclusive; ``None`` is open. The
            authors use epochs 0 to 50 of 100.

    Raises:
        ValueError: If alpha is not in [0, 1] or the window is empty.

    Example:
        >>> rho = torch.tensor([2., 0.5])
        >>> signals = BatchSignals(('video', 'audio'), rho, 1 / rho)
        >>> OGMModulation().factors(signals)
        tensor([0.2384, 1.0000])

    Source: Balanced Multimodal Learning via On-the-fly Gradient Modulation,
    Peng et al., CVPR 2022 (arXiv 2203.15332); the mean of the others for
    three or more modalities is [choice].
    """

    required_confidences = frozenset({Task.CLASSIFICATION})

    def __init__(
        self,
        alpha: float = 0.5,
        noise: bool = False,
        seed: int | None = None,
        apply_to: str = 'total',
        start_epoch: int = 0,
        end_epoch: int | None = None,
    ) -> None:
        super().__init__(apply_to, start_epoch, end_epoch)
        if not 0 <= alpha <= 1:
            raise ValueError(
                f'alpha must be in [0, 1], got {alpha}; set '
                'optim_wrapper.modulation.alpha (0 turns it off)'
            )
        self.alpha = alpha
        self.noise = noise
        self.seed = seed
        self._deviations: dict[str, list[Tensor | None]] = {}

    def selects(self, parameter: Parameter) -> bool:
        """Return whether this is a weight matrix or kernel."""
        return parameter.ndim >= 2

    def factors(self, signals: BatchSignals) -> Tensor:
        """Return k; see the class."""
        return suppression(signals.semantic_ratio, self.alpha)

    def inspect(
        self,
        gradients: Mapping[str, Iterable[Tensor]],
        signals: BatchSignals,
    ) -> None:
        """Keep the standard deviation of every raw gradient."""
        del signals
        if self.noise:
            self._deviations = {
                modality: [noise_deviation(gradient) for gradient in tensors]
                for modality, tensors in gradients.items()
            }

    def finalize(
        self, gradients: FinalGradients, signals: BatchSignals
    ) -> None:
        """Add the noise; see the class."""
        if not self.noise:
            return
        seed = signals.seed if self.seed is None else self.seed
        index = 0
        for modality, pairs in gradients.items():
            deviations = self._deviations[modality]
            for (_, tensor), deviation in zip(pairs, deviations, strict=True):
                if deviation is not None:
                    # Not from the global generator, whose state may differ
                    # between ranks: replicas would drift apart.
                    noise = seeded_noise(tensor, (seed, signals.step, index))
                    tensor.add_(noise * deviation)
                index += 1
        self._deviations = {}


def noise_deviation(gradient: Tensor) -> Tensor | None:
    """Return the standard deviation of the noise for one gradient, 0-dim.

    Args:
        gradient: Unscaled gradient of any shape.

    Returns:
        The unbiased deviation over the elements plus 1e-8; None for a single
        element, which has none.

    Example:
        >>> noise_deviation(torch.tensor([1., -1., 1., -1.]))
        tensor(1.1547)
        >>> noise_deviation(torch.ones(1)) is None
        True

    Source: OGM-GE (arXiv 2203.15332) and its released code.
    """
    if gradient.numel() < 2:
        return None
    return gradient.std() + 1e-8


def seeded_noise(like: Tensor, key: tuple[int, int, int]) -> Tensor:
    """Return standard normal noise that depends on the key alone.

    Args:
        like: Tensor whose shape, type and device are taken.
        key: Seed of the run, optimizer step and index of the tensor.

    Example:
        >>> a = seeded_noise(torch.zeros(2), (0, 1, 2))
        >>> torch.equal(a, seeded_noise(torch.zeros(2), (0, 1, 2)))
        True
    """
    seed, step, index = key
    mixed = (seed * _STEP_PRIME + step) * _STEP_PRIME + index
    generator = torch.Generator(device=like.device)
    generator.manual_seed(mixed % 2**63)
    return torch.randn(
        like.shape, generator=generator, dtype=like.dtype, device=like.device
    )
