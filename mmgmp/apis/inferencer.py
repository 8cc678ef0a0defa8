"""Recognise actions in clips of the user's own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import Any, ClassVar

from mmaction.structures import ActionDataSample
from mmengine.infer import BaseInferencer
from mmengine.logging import print_log
from mmengine.registry import init_default_scope
from mmengine.runner import CheckpointLoader

from mmgmp.apis.clip_inputs import (
    SAMPLE_RATE,
    as_clip,
    clip_frames,
    clip_sources,
    reading_files,
)
from mmgmp.apis.stored_config import stored_config
from mmgmp.apis.stored_weights import (
    check_fit,
    class_names_of,
    state_dict_of,
)
from mmgmp.datasets.transforms.multi_modal_pipeline import build_pipeline
from mmgmp.models.recognizers.requirements import check_missing
from mmgmp.registry import INFERENCERS, MODELS
from mmgmp.utils.checks import check_choice
from mmgmp.utils.compat.private_names import chunks
from mmgmp.utils.modality_order import (
    restore_encoders,
    restore_pipeline,
    trained_order,
)
from mmgmp.utils.protocol import read_files, resolve_protocol
from mmgmp.visualization.prediction_video import write_prediction_video

#: What stands for a missing feature, in words.
_NAMES = {'zeros': 'zeros', 'translate': 'a translation'}


@INFERENCERS.register_module()
class MMGMPInferencer(BaseInferencer):
    """Fused and per-modality scores of clips, from files or arrays.

    Call it with the path of a video with sound, with ``(frames, waveform)``,
    with a dict (``video``, ``audio``, ``fps``, ``sample_rate``), or with a
    list of these. A clip that lacks a modality of the model, such as a file
    without a sound track, is recognised from the others, with what
    ``on_missing`` says for the missing feature; this is logged and stands in
    the result as ``missing``.

    The call takes ``batch_size``, ``out_dir``: where annotated videos go,
    with bars per branch (None writes none), and ``first_number``, with which
    their names begin to count. It returns ``predictions``, one
    dict per clip with ``label``, ``name``, ``score``, ``scores`` and
    ``modality_scores`` (probabilities by class name) and ``missing``; and
    ``visualization``, the written files.

    Args:
        model: Config or its path; None takes the config that the checkpoint
            holds as data. A config file is code and runs, a checkpoint does
            not; docs/security.md says more.
        weights: Checkpoint.
        device: Torch device; None takes the fastest there is.
        scope: Registry scope.
        show_progress: Whether to draw a progress bar.
        on_missing: What stands for the feature of a modality that a clip
            lacks: ``'zeros'``, ``'translate'`` (with a method that has
            translators), or ``'raise'`` to refuse the clip. What the model's
            config says in ``missing_modalities`` comes first.

    Raises:
        FileNotFoundError: If a file is missing.
        OSError: If it cannot be decoded, or the checkpoint is damaged.
        TypeError: If an input has none of the known forms.
        ValueError: If the checkpoint holds no config that can be used; if an
            array has the wrong shape, a clip lacks a modality and
            ``on_missing`` does not allow it, or it has none of them.

    Example:
        >>> INFERENCERS.get('MMGMPInferencer').__name__
        'MMGMPInferencer'
    """

    preprocess_kwargs: ClassVar[set[str]] = set()
    forward_kwargs: ClassVar[set[str]] = set()
    visualize_kwargs: ClassVar[set[str]] = {'out_dir', 'first_number'}
    postprocess_kwargs: ClassVar[set[str]] = set()

    def __init__(
        self,
        model: Any = None,
        weights: str | None = None,
        device: str | None = None,
        scope: str = 'mmaction',
        show_progress: bool = False,
        on_missing: str = 'zeros',
    ) -> None:
        check_choice('on_missing', on_missing, [*_NAMES, 'raise'])
        self.on_missing = on_missing
        init_default_scope(scope)
        super().__init__(model, weights, device, scope, show_progress)

    # -- from inputs to batches -------------------------------------------

    def _inputs_to_list(self, inputs: Any) -> list[dict[str, Any]]:
        # A tuple is one clip, unlike in the parent.
        values = inputs if isinstance(inputs, list) else [inputs]
        return [as_clip(value) for value in values]

    def preprocess(
        self, inputs: list[dict[str, Any]], batch_size: int = 1
    ) -> Iterator[dict[str, Any]]:
        """Decode clips, and batch neighbours that have the same modalities.

        Args:
            inputs: Clips.
            batch_size: Most clips in a batch.

        Yields:
            What the model's ``test_step`` takes.
        """
        packed = (self._pack(number, c) for number, c in enumerate(inputs))
        for _, group in groupby(packed, lambda item: tuple(item['inputs'])):
            for chunk in chunks(self, group, batch_size):
                yield self.collate_fn(chunk)

    def _pack(self, number: int, clip: dict[str, Any]) -> dict[str, Any]:
        video = clip.get('video')
        name = str(video) if isinstance(video, (str, Path)) else f'#{number}'
        sources = clip_sources(clip, self.model.modalities)
        if not sources:
            raise ValueError(
                f'clip {name} must have one of the modalities '
                f'{list(self.model.modalities)} of the model, got none'
            )
        missing = [m for m in self.model.modalities if m not in sources]
        if missing:
            self._report_missing(name, missing, list(sources))
        return self.pipeline(
            {
                'sample_id': name,
                'modalities': tuple(sources),
                'sources': sources,
            }
        )

    def _report_missing(
        self, name: str, missing: Sequence[str], there: Sequence[str]
    ) -> None:
        lacks = f'{name} has no {" and no ".join(missing)}'
        own = self.model.missing_modalities
        if self.on_missing == 'raise' and not set(missing) <= set(own):
            raise ValueError(
                f'{lacks}, which the model takes, and '
                "on_missing='raise'; with 'zeros' it is recognised from "
                f'{", ".join(there)} alone'
            )
        kinds = {_NAMES[own.get(m, self.on_missing)] for m in missing}
        print_log(
            f'{lacks}: recognised from {", ".join(there)}, with '
            f'{" and ".join(sorted(kinds))} for the missing feature',
            logger='current',
        )

    def forward(
        self, inputs: dict[str, Any], **kwargs: Any
    ) -> list[ActionDataSample]:
        """Recognise one batch.

        Args:
            inputs: Batch of clips with the same modalities.
            **kwargs: None are known.

        Returns:
            Samples with scores.

        Raises:
            ValueError: If a score is no number.
        """
        missing = set(self.model.modalities) - set(inputs['inputs'])
        with _without(self.model, missing, self.on_missing):
            samples: list[ActionDataSample] = super().forward(inputs, **kwargs)
        for sample in samples:
            if not sample.pred_score.isfinite().all():
                raise ValueError(
                    f'{sample.get("sample_id")} cannot be recognised: the '
                    'model gives scores that are NaN or infinite; are its '
                    'weights whole?'
                )
            sample.set_metainfo({'missing': sorted(missing)})
        return samples

    # -- from scores to results -------------------------------------------

    def visualize(
        self,
        inputs: list[dict[str, Any]],
        preds: Sequence[ActionDataSample],
        out_dir: str | Path | None = None,
        first_number: int = 0,
    ) -> list[str]:
        """Write an annotated video of each clip that has a picture.

        Args:
            inputs: Clips.
            preds: Their samples.
            out_dir: Folder; None writes nothing.
            first_number: Of the first clip, in the names of the files.

        Returns:
            The files.
        """
        if out_dir is None:
            return []
        files = []
        for number, (clip, sample) in enumerate(
            zip(inputs, preds, strict=True), start=first_number
        ):
            video = clip.get('video')
            if video is None:
                continue
            is_file = isinstance(video, (str, Path))
            stem = Path(video).stem if is_file else 'clip'
            path = Path(out_dir) / f'{number:03d}_{stem}_scores.mp4'
            result = self._result(sample)
            sound = clip_sources(clip, ('audio',)).get('audio', {})
            write_prediction_video(
                path,
                clip_frames(clip),
                {'fused': result['scores'], **result['modality_scores']},
                sound.get('waveform'),
                sound.get('sample_rate', SAMPLE_RATE),
            )
            files.append(str(path))
        return files

    def postprocess(
        self,
        preds: Sequence[ActionDataSample],
        visualization: list[str],
        return_datasample: bool = False,
    ) -> dict[str, Any]:
        """Put the results together.

        Args:
            preds: Samples with scores.
            visualization: Written files.
            return_datasample: Whether to return the samples themselves.

        Returns:
            ``predictions`` and ``visualization``.
        """
        return {
            'predictions': list(preds)
            if return_datasample
            else [self._result(sample) for sample in preds],
            'visualization': visualization,
        }

    def _result(self, sample: ActionDataSample) -> dict[str, Any]:
        names = self._class_names(len(sample.pred_score))

        def by_name(scores: Any) -> dict[str, float]:
            return dict(zip(names, scores.cpu().tolist(), strict=True))

        label = int(sample.pred_score.argmax())
        return {
            'label': label,
            'name': names[label],
            'score': float(sample.pred_score[label]),
            'scores': by_name(sample.pred_score),
            'modality_scores': {
                modality: by_name(sample.modality_scores[modality])
                for modality in self.model.modalities
                if modality not in sample.missing
            },
            'missing': sample.missing,
        }

    def _class_names(self, num_classes: int) -> list[str]:
        names = list(self.model.dataset_meta['classes'])
        if len(names) != num_classes:
            names = [f'class {number}' for number in range(num_classes)]
        return names

    # -- construction -----------------------------------------------------

    def _init_model(
        self, cfg: Any, weights: str | None, device: str = 'cpu'
    ) -> Any:
        if weights is None:
            _write_out(cfg)
            return super()._init_model(cfg, weights, device)
        state = CheckpointLoader.load_checkpoint(weights, map_location='cpu')
        if not cfg:
            cfg.update(stored_config(state, weights))
        _write_out(cfg)
        # Assigned, as updating a dict in place keeps its order.
        cfg.model['encoders'] = restore_encoders(
            cfg.model.encoders, trained_order(state_dict_of(state, weights))
        )
        # Not the parent's, which executes text in a checkpoint.
        model = MODELS.build(cfg.model)
        model.cfg = cfg
        self._load_weights_to_model(model, state, cfg)
        return model.to(device).eval()

    def _load_weights_to_model(
        self, model: Any, checkpoint: dict[str, Any] | None, cfg: Any
    ) -> None:
        if checkpoint is not None:
            check_fit(model, state_dict_of(checkpoint, 'weights'))
        super()._load_weights_to_model(model, checkpoint, cfg)
        model.dataset_meta = {'classes': class_names_of(checkpoint)}

    def _init_pipeline(self, cfg: Any) -> Any:
        # A clip that is handed in is in no cache.
        transforms = read_files(cfg.test_dataloader.dataset.pipeline)
        return build_pipeline(
            'pipeline',
            [reading_files(restore_pipeline(t)) for t in transforms],
        )

    def _init_visualizer(self, cfg: Any) -> None:  # noqa: ARG002
        return None


def _write_out(cfg: Any) -> None:
    """Resolve a protocol in place, for the pipeline to find it, too."""
    for key, value in resolve_protocol(cfg).items():
        cfg[key] = value


@contextmanager
def _without(model: Any, missing: set[str], stand_in: str) -> Iterator[None]:
    """Let something stand for some modalities, for a while."""
    before = model.missing_modalities
    model.missing_modalities = {**dict.fromkeys(missing, stand_in), **before}
    try:
        check_missing(model)
        yield
    finally:
        model.missing_modalities = before
