"""What the analysis scripts share: where numbers come from, and features."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from mmengine.runner.checkpoint import load_state_dict
from numpy.typing import NDArray

from mmgmp.apis.predictions import Predictions, read_predictions
from mmgmp.apis.stored_weights import check_fit
from mmgmp.registry import MODELS
from mmgmp.utils.checkpoint_files import read_checkpoint
from mmgmp.utils.modality_order import restore_encoders, trained_order
from mmgmp.utils.plain_loading import without_augmentation
from mmgmp.utils.protocol import resolve_protocol
from mmgmp.utils.text_files import read_json

__all__ = [
    'Features',
    'Origin',
    'Predictions',
    'class_names',
    'extract_features',
    'find_cell',
    'find_origin',
    'read_predictions',
]
#: What is read from the file of a benchmark cell.
_CELL = {'corpus', 'method', 'seed', 'synthetic', 'target'}


@dataclass(frozen=True)
class Origin:
    """Where numbers come from; stands in the title of every figure.

    Args:
        corpus: Name of the corpus.
        seed: Training seed.
        synthetic: Whether the corpus is rendered.
        run: Which run of the corpus, such as ``'GMP, target H'``.
    """

    corpus: str
    seed: int
    synthetic: bool = False
    run: str = ''

    @property
    def title(self) -> str:
        """Text of the title.

        Example:
            >>> Origin('mini-HAC', 0, True, 'GMP, target H').title
            'GMP, target H: mini-HAC (SYNTHETIC), seed 0'
        """
        kind = ' (SYNTHETIC)' if self.synthetic else ''
        start = f'{self.run}: ' if self.run else ''
        return f'{start}{self.corpus}{kind}, seed {self.seed}'


def find_origin(
    path: str | Path,
    corpus: str | None = None,
    seed: int | None = None,
    synthetic: bool = False,
) -> Origin:
    """Say where a file comes from.

    Args:
        path: File or folder below a cell of a benchmark, or any other.
        corpus: Name of the corpus; needed outside of a benchmark.
        seed: Training seed; needed outside of a benchmark.
        synthetic: Whether the corpus is rendered; a cell knows it, too.

    Returns:
        The origin.

    Raises:
        ValueError: If there is no cell and corpus or seed is not given, or
            the cell's own file is damaged.
    """
    cell = find_cell(path)
    if cell is not None:
        values = read_json(cell / 'cell.json')
        if not isinstance(values, dict) or not set(values) >= _CELL:
            raise ValueError(
                f'{cell / "cell.json"} must say what the cell is, with '
                f'{sorted(_CELL)}; run the benchmark again, which mends it'
            )
        return Origin(
            corpus or str(values['corpus']),
            values['seed'] if seed is None else seed,
            synthetic or bool(values['synthetic']),
            f'{values["method"]}, target {values["target"]}',
        )
    if corpus is None or seed is None:
        raise ValueError(
            f'{path} belongs to no cell of a benchmark, so --corpus and '
            f'--seed must be given, got {corpus!r} and {seed!r}; add '
            '--synthetic if the corpus is rendered'
        )
    return Origin(corpus, seed, synthetic)


def find_cell(path: str | Path) -> Path | None:
    """Return the benchmark cell that a file lies in, None if in none.

    Args:
        path: File or folder.
    """
    path = Path(path).resolve()
    for folder in (path, *path.parents):
        if (folder / 'cell.json').is_file():
            return folder
    return None


def class_names(checkpoint: str | Path) -> list[str]:
    """Return the class names that a checkpoint holds.

    Args:
        checkpoint: File written by MMEngine.

    Raises:
        ValueError: If it cannot be read or holds none.
    """
    state = read_checkpoint(checkpoint)
    try:
        classes = state['meta']['dataset_meta']['classes']
    except (LookupError, TypeError) as error:
        raise ValueError(
            f'checkpoint must hold the names of its classes, {checkpoint} '
            'does not; name one that training wrote with --checkpoint'
        ) from error
    return [str(name) for name in classes]


@dataclass(frozen=True)
class Features:
    """Features of many samples.

    Args:
        values: ``(N, D)`` by name: each modality and ``'fused'``.
        labels: Classes, ``(N,)``.
        domains: Domain of each sample.
        classes: Class names.
        targets: Domains of the split ``'test'``.
        splits: Split of each sample.
    """

    values: Mapping[str, NDArray[np.float32]]
    labels: NDArray[np.int_]
    domains: Sequence[str]
    classes: Sequence[str]
    targets: Collection[str] = ()
    splits: Sequence[str] = ()


@torch.no_grad()
def extract_features(
    config: Config,
    checkpoint: str | Path,
    splits: Sequence[str] = ('val', 'test'),
    device: str = 'cpu',
) -> Features:
    """Run the encoders and the fusion over whole splits.

    Args:
        config: Training config.
        checkpoint: File to load.
        splits: ``'val'`` for the source domains, ``'test'`` for the target,
            ``'train'`` for the training clips through the pipeline of
            ``'val'``.
        device: Torch device.

    Returns:
        The features, in the order of the splits.

    Raises:
        ValueError: If the weights are not those of the model.
    """
    config = resolve_protocol(config)
    model = _load_model(config, checkpoint).to(device).eval()
    parts: dict[str, list[torch.Tensor]] = {}
    labels: list[int] = []
    domains: list[str] = []
    origins: list[str] = []
    classes: Sequence[str] = ()
    targets: set[str] = set()
    for split in splits:
        loader = Runner.build_dataloader(
            without_augmentation(config, 'extract_features')
            if split == 'train'
            else config[f'{split}_dataloader']
        )
        classes = loader.dataset.metainfo.get('classes', ())
        for batch in loader:
            data = model.data_preprocessor(batch, False)
            features = model.extract_feat(data['inputs'])
            features = {**features, 'fused': model.fusion(features)}
            for name, value in features.items():
                parts.setdefault(name, []).append(value.float().cpu())
            for sample in data['data_samples']:
                labels.append(int(sample.gt_label))
                domains.append(sample.domain)
                origins.append(split)
        if split == 'test':
            targets.update(loader.dataset.metainfo.get('domains', ()))
    return Features(
        {name: torch.cat(part).numpy() for name, part in parts.items()},
        np.array(labels),
        domains,
        classes,
        targets,
        origins,
    )


def _load_model(config: Config, checkpoint: str | Path) -> Any:
    """Build the model of a config with the weights of a checkpoint."""
    init_default_scope(config.get('default_scope', 'mmaction'))
    weights = read_checkpoint(checkpoint)['state_dict']
    encoders = restore_encoders(config.model.encoders, trained_order(weights))
    model = MODELS.build({**config.model, 'encoders': encoders})
    check_fit(model, weights)
    load_state_dict(model, weights)
    return model
