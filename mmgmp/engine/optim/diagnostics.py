"""What a step decided, kept on the device until somebody asks."""

from __future__ import annotations

import logging
from collections.abc import Iterable

import torch
from mmengine.logging import print_log
from torch import Tensor

from mmgmp.engine.optim.encoder_groups import EncoderGroups
from mmgmp.engine.optim.gradients import Gradients, accumulation_dtype
from mmgmp.utils import log_names


class Diagnostics:
    """Numbers of the last step by name, one per modality or one in all.

    Example:
        >>> numbers = Diagnostics()
        >>> numbers.record('ratio', torch.tensor([2., 0.5]))
        >>> numbers.read(['video', 'audio'])
        {'ratio_video': 2.0, 'ratio_audio': 0.5}
        >>> numbers.read(['video', 'audio'])
        {}
    """

    def __init__(self) -> None:
        self._values: dict[str, Tensor] = {}
        self._shared: set[str] = set()
        self._unreached: set[str] = set()

    def record(self, name: str, values: Tensor, shared: bool = False) -> None:
        """Keep one number per modality, or one for all of them."""
        self._values[name] = values.detach().reshape(-1)
        if shared:
            self._shared.add(name)

    def read(self, modalities: Iterable[str]) -> dict[str, float]:
        """Return and forget; one copy to the host."""
        if not self._values:
            return {}
        modalities = tuple(modalities)
        names = [
            full
            for name in self._values
            for full in (
                [name]
                if name in self._shared
                else [log_names.of_modality(name, m) for m in modalities]
            )
        ]
        dtype = accumulation_dtype(next(iter(self._values.values())).device)
        packed = torch.cat(
            [value.to(dtype) for value in self._values.values()]
        )
        self._values = {}
        return dict(zip(names, packed.tolist(), strict=True))

    def check_reached(
        self, groups: EncoderGroups, combined: Gradients
    ) -> None:
        """Warn, once per encoder, if no loss has reached it."""
        for modality, part in zip(
            groups.by_modality, groups.parts, strict=True
        ):
            if modality not in self._unreached and all(
                gradient is None for gradient in combined[part]
            ):
                self._unreached.add(modality)
                print_log(
                    f'No loss reaches the encoder {modality!r} in this step, '
                    'so it is left as it is. Expected where a method drops '
                    'the modality; otherwise look for a detached feature, '
                    'or for with_cp of a backbone, whose inputs need a '
                    'gradient',
                    logger='current',
                    level=logging.WARNING,
                )
