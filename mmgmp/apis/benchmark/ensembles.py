"""A cell that combines what other cells predicted."""

from __future__ import annotations

from typing import Any

from mmgmp.apis.benchmark.cell_state import CellFiles
from mmgmp.apis.benchmark.cells import SOURCE
from mmgmp.apis.ensemble import Aligned, align, choose_weights, measure
from mmgmp.apis.predictions import read_predictions


def run_ensemble(files: CellFiles, stage: str) -> dict[str, Any]:
    """Measure an ensemble on source validation or on the target.

    Args:
        files: Of its cell, whose members are done.
        stage: ``'source'``, which may choose the weights, or ``'test'``.

    Returns:
        What the file of the stage says: ``metrics``, ``weights`` by member,
        number of ``samples``, and how many each member has besides.

    Raises:
        OSError: If predictions cannot be read.
        ValueError: If they do not fit together.
    """
    spec = files.cell.ensemble
    assert spec is not None
    aligned = _read(files, stage)
    weights = None
    if spec.weights == 'validation':
        source = aligned if stage == SOURCE else _read(files, SOURCE)
        weights = choose_weights(source.scores, source.labels, spec.space)
    shown = weights or (1 / len(spec.members),) * len(spec.members)
    return {
        'metrics': measure(aligned, weights, spec.space),
        'weights': dict(zip(spec.members, shown, strict=True)),
        'samples': len(aligned.labels),
        'left_out': dict(aligned.left_out),
    }


def _read(files: CellFiles, stage: str) -> Aligned:
    return align(
        {
            need.cell.method: read_predictions(
                need.stage_folder(stage) / 'predictions.pkl'
            )
            for need in files.needs()
        }
    )
