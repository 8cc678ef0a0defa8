"""What a cache takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

DTYPES = {
    'float32': torch.float32,
    'float16': torch.float16,
    'bfloat16': torch.bfloat16,
}


@dataclass(frozen=True)
class FillReport:
    """What a cache takes.

    Args:
        num_clips: Clips by part.
        num_views: Views by part.
        bytes_per_view: Of one view of one clip, by part and modality.
        num_bytes: Of the whole cache.
        num_bytes_left: Of what was not there when it was asked for.
        unreadable: Ids of clips that could not be read.
    """

    num_clips: Mapping[str, int]
    num_views: Mapping[str, int]
    bytes_per_view: Mapping[str, Mapping[str, int]]
    num_bytes: int
    num_bytes_left: int
    unreadable: Sequence[str] = ()
