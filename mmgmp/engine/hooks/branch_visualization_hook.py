"""Draw what the model is given, and what every branch makes of it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmengine.utils import get_object_from_string

from mmgmp.registry import HOOKS
from mmgmp.utils.file_names import slug


@HOOKS.register_module()
class BranchVisualizationHook(Hook):
    """Write tested clips as videos with bars per modality.

    A video holds the frames and the spectrogram that the model was given,
    the true class, and the scores of the fused model and of each modality's
    branch. MMAction2's ``VisualizationHook`` takes the input of a model for
    one tensor; this one has its arguments, so that ``test.py --show-dir``
    sets it up in the same way.

    Args:
        enable: Whether to write anything.
        interval: Every how many samples one is written, >= 1.
        out_dir: Folder of the videos; None takes ``vis_data/clips`` below
            the folder of the log.
        show: Refused: there is no window, only files.
        wait_time: Not used; the script sets it.
        fps: Frames of the model per second of the video.
        writer: Full name of the function that writes, called with path,
            inputs, scores, ``caption`` and ``fps``.

    Raises:
        ValueError: If ``interval`` is not a positive integer, ``fps`` not
            positive, a window is wanted or ``writer`` names nothing.

    Example:
        >>> hook = dict(type='BranchVisualizationHook', interval=10)
        >>> HOOKS.build(hook).enable
        False
    """

    def __init__(
        self,
        enable: bool = False,
        interval: int = 1,
        out_dir: str | None = None,
        show: bool = False,
        wait_time: float = 0.0,  # noqa: ARG002
        fps: float = 4.0,
        writer: str = 'mmgmp.visualization.model_inputs.write_model_view',
    ) -> None:
        if not isinstance(interval, int) or interval < 1:
            raise ValueError(
                f'interval must be an integer >= 1, got {interval!r}; set '
                'interval of BranchVisualizationHook, 1 draws every sample'
            )
        if show:
            raise ValueError(
                'show must be False, as videos go to files, got True; name '
                'a folder with --show-dir or out_dir'
            )
        if not 0 < fps < math.inf:
            raise ValueError(f'fps must be > 0, got {fps!r}; set fps')
        self.enable = enable
        self.interval = interval
        self.out_dir = out_dir
        self.fps = fps
        # By name: rooms of one level do not import each other.
        self.write = get_object_from_string(writer)
        if not callable(self.write):
            raise ValueError(
                f'writer must name a function, got {writer!r}, which cannot '
                'be imported; correct it'
            )
        self._seen = 0

    def before_val_epoch(self, runner: Runner) -> None:  # noqa: ARG002
        """Count from the first sample.

        Args:
            runner: Not used.
        """
        self._seen = 0

    def before_test_epoch(self, runner: Runner) -> None:
        """Count from the first sample, and say where the videos are.

        Args:
            runner: Runner of the test.
        """
        self._seen = 0
        if self.enable:
            runner.logger.info(f'Clips are drawn in {self._folder(runner)}')

    def after_val_iter(
        self,
        runner: Runner,
        batch_idx: int,  # noqa: ARG002
        data_batch: Any = None,
        outputs: Sequence[Any] | None = None,
    ) -> None:
        """Draw samples of a validation batch.

        Args:
            runner: Runner of the validation.
            batch_idx: Not used.
            data_batch: What the data loader gave.
            outputs: Samples with scores.
        """
        self._draw(runner, data_batch, outputs or (), f'_{runner.epoch}')

    def after_test_iter(
        self,
        runner: Runner,
        batch_idx: int,  # noqa: ARG002
        data_batch: Any = None,
        outputs: Sequence[Any] | None = None,
    ) -> None:
        """Draw samples of a test batch.

        Args:
            runner: Runner of the test.
            batch_idx: Not used.
            data_batch: What the data loader gave.
            outputs: Samples with scores.
        """
        self._draw(runner, data_batch, outputs or (), '')

    def _draw(
        self,
        runner: Runner,
        data_batch: Mapping[str, Any],
        samples: Sequence[Any],
        ending: str,
    ) -> None:
        if not self.enable:
            return
        meta = runner.visualizer.dataset_meta or {}
        for row, sample in enumerate(samples):
            number, self._seen = self._seen, self._seen + 1
            if number % self.interval:
                continue
            name = slug(str(sample.get('sample_id', number)))
            inputs = {k: v[row] for k, v in data_batch['inputs'].items()}
            classes = _class_names(meta, len(sample.pred_score))
            self.write(
                self._folder(runner) / f'{name}{ending}.mp4',
                inputs,
                _scores(sample, classes),
                caption=f'true class: {classes[int(sample.gt_label)]}',
                fps=self.fps,
            )

    def _folder(self, runner: Runner) -> Path:
        if self.out_dir is not None:
            return Path(self.out_dir)
        return Path(runner.log_dir) / 'vis_data' / 'clips'


def _class_names(meta: Mapping[str, Any], count: int) -> list[str]:
    names = [str(name) for name in meta.get('classes', ())]
    fits = len(names) == count
    return names if fits else [f'class {number}' for number in range(count)]


def _scores(sample: Any, classes: list[str]) -> dict[str, dict[str, float]]:
    branches = {
        'fused': sample.pred_score,
        **sample.get('modality_scores', {}),
    }
    return {
        name: dict(zip(classes, scores.tolist(), strict=True))
        for name, scores in branches.items()
    }
