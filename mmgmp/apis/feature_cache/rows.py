"""Views of clips as the frozen stages want them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import gcd
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from mmgmp.apis.feature_cache.source import SourcePart
from mmgmp.datasets.file_damage import find_damage
from mmgmp.datasets.skip_policy import media_errors
from mmgmp.datasets.transforms import SeededViews

#: Place of a clip in its part, number of a view.
Row = tuple[int, int]
SHARD_BYTES = 256 * 2**20


class ViewRows(Dataset):
    """One view of one clip per index.

    Args:
        part: Clips and pipeline.
        views: Views per clip.
        seed: Which views these are.
        on_error: ``'skip'`` returns the error of an unreadable clip.
    """

    def __init__(
        self, part: SourcePart, views: int, seed: int, on_error: str
    ) -> None:
        self.infos = part.infos
        self.views = views
        self.on_error = on_error
        self.transform = SeededViews(part.transforms, views, seed=seed)

    def __len__(self) -> int:
        return len(self.infos) * self.views

    def __getitem__(self, row: Row) -> tuple[Row, Any]:
        """Return the row and its inputs by modality, or its error.

        Args:
            row: Clip and view.
        """
        place, view = row
        info = self.infos[place]
        try:
            return row, self._read(info, view)
        except media_errors() as error:
            damage: Exception | None = error
            if self.on_error == 'raise':
                raise
        # Stock decoders raise anything on a damaged file.
        except Exception:
            damage = find_damage(info['sources'])
            if damage is None or self.on_error == 'raise':
                raise
        return row, f'{type(damage).__name__}: {damage}'

    def _read(self, info: dict[str, Any], view: int) -> dict[str, Tensor]:
        packed = self.transform.view(info, view)
        if packed is None:
            raise ValueError(
                f'a transform gave clip {info["sample_id"]!r} up; a cache '
                'cannot hold it, leave it out with skip_list'
            )
        inputs: dict[str, Tensor] = packed['inputs']
        return inputs


def clips_per_shard(bytes_per_clip: int, views: int, batch_size: int) -> int:
    """Choose how many clips a file holds: whole batches, some 256 MB.

    Args:
        bytes_per_clip: Of all views.
        views: Views per clip.
        batch_size: Views that are computed at a time.

    Example:
        >>> clips_per_shard(40 * 2**20, views=4, batch_size=16)
        4
    """
    step = batch_size // gcd(batch_size, views)
    return max(step, SHARD_BYTES // max(bytes_per_clip, 1) // step * step)


def read_batches(
    rows: ViewRows,
    shards: Sequence[range],
    batch_size: int,
    num_workers: int,
) -> Iterator[tuple[int, list[tuple[Row, Any]]]]:
    """Read the rows of shards in batches that do not cross their ends.

    Args:
        rows: All of them.
        shards: Places of the clips of each shard.
        batch_size: Rows of a batch.
        num_workers: Processes that read.

    Returns:
        Iterator over the number of a shard among those given and a batch.
    """
    batches: list[list[Row]] = []
    owners: list[int] = []
    for number, places in enumerate(shards):
        wanted = [(p, v) for p in places for v in range(rows.views)]
        for start in range(0, len(wanted), batch_size):
            batches.append(wanted[start : start + batch_size])
            owners.append(number)
    loader: DataLoader = DataLoader(
        rows,
        batch_sampler=batches,
        num_workers=num_workers,
        collate_fn=list,
    )
    yield from zip(owners, loader, strict=True)


def run_frozen(
    model: Any,
    modality: str,
    inputs: Sequence[Tensor],
    batch_size: int,
    dtype: torch.dtype,
) -> list[tuple[Tensor, ...]]:
    """Send inputs through the frozen stages of their encoder.

    Args:
        model: The recognizer.
        modality: Name of the encoder.
        inputs: One per row, at most ``batch_size``.
        batch_size: Rows that are computed; the last input stands for those
            that are not there. Convolutions of other batch sizes may round
            differently.
        dtype: Type to store.

    Returns:
        Per row ``(clips, C, ...)`` for each pathway, on the host.

    Raises:
        ValueError: If a value is too large for ``dtype``.
    """
    filled = [*inputs, *[inputs[-1]] * (batch_size - len(inputs))]
    batch = model.data_preprocessor(
        {'inputs': {modality: filled}, 'data_samples': []}
    )
    with torch.no_grad():
        state, clips = model.encoders[modality].forward_frozen(
            batch['inputs'][modality]
        )
    maps = state if isinstance(state, tuple) else (state,)
    stored = [m[: len(inputs) * clips].to(dtype).cpu() for m in maps]
    if not all(bool(m.isfinite().all()) for m in stored):
        raise ValueError(
            f'frozen maps of {modality} must be finite in {dtype}, got '
            'infinite ones; take --dtype bfloat16 or float32'
        )
    split = [m.unflatten(0, (-1, clips)) for m in stored]
    return [tuple(m[row] for m in split) for row in range(len(inputs))]
