"""Damage to picture and sound at test time, in five severities."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from mmcv.transforms import BaseTransform

from mmgmp.datasets.transforms.damage import AUDIO, VIDEO, Kind
from mmgmp.datasets.transforms.multi_modal_pipeline import (
    MultiModalPipeline,
    build_pipeline,
)
from mmgmp.registry import TRANSFORMS
from mmgmp.utils.checks import check_choice

_SEVERITIES = (1, 2, 3, 4, 5)


class _Corruption(BaseTransform):
    """Shared frame: choose, seed by the sample, apply."""

    kinds: Mapping[str, Kind] = {}
    key = ''

    def __init__(self, kind: str, severity: int = 3, seed: int = 0) -> None:
        name = type(self).__name__
        check_choice(f'kind of {name}', kind, self.kinds)
        check_choice(
            f'severity of {name}',
            severity,
            _SEVERITIES,
            'leave the transform out for none',
        )
        self.kind = kind
        self.severity = severity
        self.seed = seed
        self.function, levels = self.kinds[kind]
        self.level = levels[severity - 1]

    def rng(self, results: Mapping[str, Any]) -> np.random.Generator:
        """Seed by sample, so that workers and batches change nothing."""
        name = results.get('sample_id') or results.get('filename')
        if name is None:
            raise ValueError(
                f'{type(self).__name__} needs sample_id or filename to seed '
                f'its randomness, got {sorted(results)}; put it inside a '
                'CorruptedPipeline'
            )
        words = f'{self.kind}/{self.severity}/{name}'
        return np.random.default_rng((self.seed, zlib.crc32(words.encode())))

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(kind={self.kind!r}, '
            f'severity={self.severity}, seed={self.seed})'
        )


@TRANSFORMS.register_module()
class CorruptVideo(_Corruption):
    """Damage the decoded frames.

    Required and modified key: ``imgs``, list of uint8 RGB ``(H, W, 3)``.
    Required besides: ``sample_id`` or ``filename``, which seeds the noise.

    Args:
        kind: ``'blur'``, ``'noise'``, ``'compression'`` or ``'brightness'``.
        severity: 1 (weak) to 5 (strong).
        seed: Of the random kinds.

    Raises:
        ValueError: If an option is unknown.

    Example:
        >>> frames = [np.full((8, 8, 3), 100, np.uint8)]
        >>> results = dict(imgs=frames, sample_id='human/a')
        >>> int(CorruptVideo('brightness', 5)(results)['imgs'][0].max())
        227

    Source: Hendrycks and Dietterich, "Benchmarking Neural Network Robustness
    to Common Corruptions" (ICLR 2019), with its strengths for 224 pixels; the
    radius of the blur follows the size of the picture [choice].
    """

    kinds = VIDEO
    key = 'imgs'

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Damage every frame; the frames handed in stay as they are."""
        rng = self.rng(results)
        results['imgs'] = [
            np.ascontiguousarray(self.function(frame, self.level, rng))
            for frame in results['imgs']
        ]
        return results


@TRANSFORMS.register_module()
class CorruptAudio(_Corruption):
    """Damage the waveform.

    Required and modified key: ``waveform``, float32 ``(L,)``, -1 to 1.
    Required besides: ``sample_rate`` in Hz; ``sample_id`` or ``filename``,
    which seeds the noise. Silence stays silence.

    Args:
        kind: ``'noise'``, ``'wind'``, ``'clipping'`` or ``'reverberation'``.
        severity: 1 (weak) to 5 (strong). Noise is 20, 15, 10, 5, 0 dB below
            the sound, wind 5 dB more; clipping leaves 0.5 to 0.05 of the
            peak; the room needs 0.2 to 1.5 s to fall by 60 dB [choice].
        seed: Of the random kinds.

    Raises:
        ValueError: If an option is unknown.

    Example:
        >>> wave = np.array([0.1, -0.8], np.float32)
        >>> results = dict(waveform=wave, sample_rate=16000, sample_id='a')
        >>> CorruptAudio('clipping', 1)(results)['waveform']
        array([ 0.2, -0.8], dtype=float32)

    Source: this project; the published evaluation has wind recordings mixed
    in, which are not rendered here.
    """

    kinds = AUDIO
    key = 'waveform'

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Damage the waveform; the array handed in stays as it is."""
        wave = np.asarray(results['waveform'], np.float64)
        if len(wave):
            wave = self.function(
                wave, self.level, results['sample_rate'], self.rng(results)
            )
        results['waveform'] = np.clip(wave, -1, 1).astype(np.float32)
        return results


@TRANSFORMS.register_module()
class CorruptedPipeline(BaseTransform):
    """Run a pipeline and damage what it has just decoded.

    Each corruption acts on frames or sound as soon as the modality's list has
    decoded them, before anything is resized, cropped or transformed. So any
    test pipeline can be evaluated on damaged data without being rewritten
    (``protocol.corruption``).

    Required keys: those of ``transforms``, and ``sample_id``.

    Args:
        transforms: The pipeline, with a ``MultiModalPipeline`` in it.
        corruptions: Config of a corruption by modality.

    Raises:
        ValueError: If there is no ``MultiModalPipeline``, or it has no list
            for a modality.

    Example:
        >>> pipeline = CorruptedPipeline(
        ...     [dict(type='MultiModalPipeline',
        ...           audio=[dict(type='LoadAudioSegment')])],
        ...     dict(audio=dict(type='CorruptAudio', kind='noise')))
        >>> wave = np.linspace(0.1, 0.5, 8)
        >>> entry = dict(waveform=wave, sample_rate=16000)
        >>> results = pipeline(dict(
        ...     modalities=('audio',), sources=dict(audio=entry),
        ...     sample_id='human/a'))
        >>> bool((results['audio']['waveform'] == wave).any())
        False
    """

    def __init__(
        self,
        transforms: Sequence[dict[str, Any] | Callable],
        corruptions: Mapping[str, dict[str, Any]],
    ) -> None:
        self.pipeline = build_pipeline('transforms', transforms)
        self.corruptions = {
            name: TRANSFORMS.build(config)
            for name, config in corruptions.items()
        }
        lists = [
            transform.pipelines
            for transform in self.pipeline.transforms
            if isinstance(transform, MultiModalPipeline)
        ]
        if len(lists) != 1:
            raise ValueError(
                'transforms of CorruptedPipeline must hold one '
                f'MultiModalPipeline, got {len(lists)}; wrap the whole '
                'test pipeline'
            )
        for name, corruption in self.corruptions.items():
            if name not in lists[0]:
                raise ValueError(
                    'corruptions must name modalities of the pipeline '
                    f'{list(lists[0])}, got {name!r}'
                )
            lists[0][name] = _CorruptedList(lists[0][name], corruption)

    def transform(self, results: dict[str, Any]) -> dict[str, Any] | None:
        """Run the pipeline on a sample."""
        sources = {
            name: {**entry, 'sample_id': results['sample_id']}
            for name, entry in results['sources'].items()
        }
        return self.pipeline({**results, 'sources': sources})

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}({self.pipeline}, '
            f'corruptions={self.corruptions})'
        )


class _CorruptedList:
    """The transforms of one modality with a corruption after decoding."""

    def __init__(self, pipeline: Any, corruption: _Corruption) -> None:
        self.pipeline = pipeline
        self.corruption = corruption
        self.key = corruption.key

    def __call__(self, results: dict[str, Any]) -> dict[str, Any] | None:
        is_damaged = False
        for transform in self.pipeline.transforms:
            output = transform(results)
            if output is None:
                return None
            results = output
            if not is_damaged and _is_decoded(transform, results, self.key):
                results = self.corruption(results)
                is_damaged = True
        if not is_damaged:
            raise ValueError(
                f'{self.corruption} must find {self.key!r} in its modality, '
                f'which has {sorted(results)}; CorruptVideo is for frames and '
                'CorruptAudio for sound'
            )
        return results


def _is_decoded(transform: Any, results: Mapping[str, Any], key: str) -> bool:
    # A waveform handed in as an array is there before it is loaded.
    has_loaded = key != 'waveform' or 'Load' in type(transform).__name__
    return has_loaded and key in results
