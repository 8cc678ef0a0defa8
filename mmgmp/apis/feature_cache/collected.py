"""The shard that is being computed."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from mmgmp.apis.feature_cache.rows import Row
from mmgmp.utils.feature_cache import Shard


@dataclass
class Collected:
    """Maps of the shard that is being computed.

    Args:
        maps: By modality, then by place in the shard and view.
        unreadable: What is wrong with a clip, by place.
    """

    maps: dict[str, dict[Row, tuple[Tensor, ...]]] = field(
        default_factory=dict
    )
    unreadable: dict[int, str] = field(default_factory=dict)

    def shard(self, views: int) -> Shard:
        """Stack the clips of which every view was read.

        Args:
            views: Views per clip.

        Raises:
            ValueError: If the clips differ in shape.
        """
        maps, present = {}, {}
        for modality, found in self.maps.items():
            places = sorted({p for p, _ in found} - set(self.unreadable))
            if not places:
                continue
            rows = [found[p, v] for p in places for v in range(views)]
            shapes = {tuple(m.shape for m in row) for row in rows}
            if len(shapes) > 1:
                raise ValueError(
                    f'the frozen maps of {modality} must have one shape for '
                    f'all clips, got {sorted(shapes)[:2]}; let the pipeline '
                    'cut clips to one size'
                )
            present[modality] = places
            maps[modality] = tuple(
                torch.stack(pathway).unflatten(0, (len(places), views))
                for pathway in zip(*rows, strict=True)
            )
        return Shard(maps, present, self.unreadable)
