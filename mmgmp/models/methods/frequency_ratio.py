"""Low and high frequencies of the inputs, block by block."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from mmgmp.models.methods.base_method import BaseMethod
from mmgmp.registry import MODELS
from mmgmp.structures import FrozenState, MultiModalBatch, Task, spread_rows

_BLOCK = 8
#: In denominators of single ratios.
_TINY = 1e-6
_NAMES = (
    'frequency_low', 'frequency_high', 'frequency_ratio', 'frequency_count',
)  # fmt: skip


@MODELS.register_module()
class FrequencyRatioMethod(BaseMethod):
    """Low against high frequencies of the inputs, for ``MWAMModulation``.

    Each input is cut into blocks of 8 x 8, a video or flow clip after taking
    its mean over frames, a spectrogram as it is; rows and columns beyond a
    multiple of 8 are left out. Of the orthonormal DCT-II of a block, ``lo``
    is the upper left 2 x 2 and ``hi`` the lower right 2 x 2, flipped in both
    axes. No loss and no parameter. It sees the normalised inputs, so it
    cannot act on what frozen stages made of them: a feature cache is refused,
    and so is UMT or MIRO, which run those stages first.

    Args:
        in_channels: Feature width D_m per modality.
        num_classes: Number of classes K.
        init_cfg: As in MMEngine.

    Raises:
        ValueError: If an input is not an image or smaller than a block.

    Example:
        >>> FrequencyRatioMethod({'video': 4}, 3).losses(None)
        {}

    Source: MWAM, Lu et al., ICLR 2026 (arXiv 2602.22644) [release]; the mean
    over frames, the crop and sums of squares are [choice].
    """

    allows_missing = True
    rows: Tensor

    def __init__(
        self,
        in_channels: Mapping[str, int],
        num_classes: int,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(in_channels, num_classes, init_cfg)
        # Constant, and no part of the model's state.
        self.register_buffer('rows', _dct_rows(), persistent=False)

    def losses(self, batch: MultiModalBatch) -> dict[Task, dict[str, Tensor]]:
        """Return none; see the base class."""
        del batch
        return {}

    @torch.no_grad()
    def statistics(
        self, batch: MultiModalBatch
    ) -> dict[str, dict[str, Tensor]]:
        """Return sums over blocks and channels, ``(N,)``.

        ``frequency_low`` and ``frequency_high`` are sums of ``lo^2`` and
        ``hi^2``, ``frequency_ratio`` is that of ``|lo / (hi + 1e-6)|``, and
        ``frequency_count`` is 1; all are 0 for samples that lack a modality.
        """
        found = {m: self._measure(m, batch) for m in self.modalities}
        return {
            name: {m: values[:, place] for m, values in found.items()}
            for place, name in enumerate(_NAMES)
        }

    def _measure(self, modality: str, batch: MultiModalBatch) -> Tensor:
        """The sums of each sample and its count, ``(N, 4)``."""
        inputs = batch.inputs[modality]
        present = batch.present.get(modality)
        if not inputs.numel():
            return self.rows.new_zeros(len(batch.labels), len(_NAMES))
        low, high = self.rows.reshape(2, 2, _BLOCK)
        blocks = _blocks(_images(modality, inputs))
        lo = torch.einsum('ki,ncyixj,lj->ncyxkl', low, blocks, low)
        hi = torch.einsum('ki,ncyixj,lj->ncyxkl', high, blocks, high)
        floored = hi + _TINY
        ratio = lo / torch.where(floored == 0, _TINY, floored)
        sums = torch.stack(
            [
                *(x.flatten(1).sum(1) for x in (lo**2, hi**2, ratio.abs())),
                ratio.new_ones(len(ratio)),
            ],
            dim=1,
        )
        return sums if present is None else spread_rows(sums, present)


def _dct_rows() -> Tensor:
    """Rows 0, 1, 7 and 6 of the orthonormal DCT-II of 8 values, ``(4, 8)``."""
    places = torch.arange(_BLOCK, dtype=torch.float64) + 0.5
    order = torch.tensor([0, 1, _BLOCK - 1, _BLOCK - 2], dtype=torch.float64)
    rows = (math.pi / _BLOCK * order[:, None] * places).cos()
    rows *= math.sqrt(2 / _BLOCK)
    rows[0] /= math.sqrt(2)
    return rows.float()


def _images(modality: str, inputs: Tensor | FrozenState) -> Tensor:
    """Float images ``(N, C, H, W)``; clips and frames are averaged away."""
    if isinstance(inputs, FrozenState):
        raise ValueError(
            f'FrequencyRatioMethod must see the inputs, got what the frozen '
            f'stages of {modality} made of them; leave protocol.cache out, '
            'and methods with frozen twins of the encoders (UMT, MIRO)'
        )
    if inputs.ndim < 4 or min(inputs.shape[-2:]) < _BLOCK:
        raise ValueError(
            'FrequencyRatioMethod needs images or clips of at least '
            f'{_BLOCK} x {_BLOCK}, got {modality} of shape '
            f'{tuple(inputs.shape)}; take MWAM out for it'
        )
    # (N, C, F, T) spectrograms, (N, frames, C, H, W) frames one by one,
    # (N, clips, C, T, H, W) clips.
    images = inputs.float()
    if images.ndim > 4:
        images = images.mean(1 if images.ndim == 5 else -3)
    return images.reshape(len(images), -1, *images.shape[-2:])


def _blocks(images: Tensor) -> Tensor:
    """Cut ``(N, C, H, W)`` into ``(N, C, H / 8, 8, W / 8, 8)``."""
    height, width = (size - size % _BLOCK for size in images.shape[-2:])
    cropped = images[..., :height, :width]
    return cropped.unflatten(-1, (-1, _BLOCK)).unflatten(-3, (-1, _BLOCK))
