"""Read samples with the transforms that a config trains with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from mmengine.config import Config, ConfigDict

from mmgmp.apis.media_jobs import Fault
from mmgmp.datasets.annotations import resolve
from mmgmp.registry import DATASETS, TRANSFORMS
from mmgmp.utils.parallel import run_jobs
from mmgmp.utils.protocol import resolve_protocol

_LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')
# A modality has been read when its results hold one of these.
_READ = ('imgs', 'waveform', 'audios', 'signal')
_OWN_OPTIONS = ('type', 'crop', 'clip_fps', 'on_empty')


@dataclass(frozen=True)
class TrainingReads:
    """What a config says about reading its corpus.

    Args:
        datasets: Configs of its datasets, each once.
    """

    datasets: Sequence[Mapping[str, Any]]

    @property
    def root(self) -> str:
        """Data root of the first dataset."""
        return str(self.datasets[0].get('data_root') or '')

    @property
    def ann_files(self) -> list[str]:
        """Annotation files of all datasets, each once."""
        files: dict[str, None] = {}
        for config in self.datasets:
            names = config['ann_file']
            root = str(config.get('data_root') or '')
            for name in [names] if isinstance(names, str) else names:
                files[resolve(str(name), root)] = None
        return list(files)

    @property
    def modalities(self) -> list[str]:
        """Modalities of all datasets."""
        names: dict[str, None] = {}
        for config in self.datasets:
            names.update(
                dict.fromkeys(config.get('modalities', ('video', 'audio')))
            )
        return list(names)

    @property
    def optional(self) -> set[str]:
        """Modalities that a sample may lack in each dataset."""
        allowed = [
            {
                name
                for name in self.modalities
                if (policy if isinstance(policy, str) else policy.get(name))
                == 'zeros'
            }
            for policy in (c.get('on_missing', 'raise') for c in self.datasets)
        ]
        return set.intersection(*allowed)

    @property
    def sound_options(self) -> dict[str, dict[str, Any]]:
        """Options of ``LoadAudioSegment`` by modality that it reads."""
        found: dict[str, dict[str, Any]] = {}
        for config in self.datasets:
            lists = _find_pipeline(config['pipeline'])
            for name, transforms in lists.items():
                if name in ('type', 'order'):
                    continue
                for item in transforms:
                    if item['type'] == 'LoadAudioSegment':
                        found.setdefault(
                            name,
                            {
                                k: v
                                for k, v in item.items()
                                if k not in _OWN_OPTIONS
                            },
                        )
        return found


def read_config(config: str | Mapping[str, Any]) -> TrainingReads:
    """Find the datasets of a config.

    Args:
        config: Config file, which is run as code, or its content.

    Returns:
        What it says about reading.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it names no ``AudioVisualDataset``.
    """
    content: Any = resolve_protocol(
        Config.fromfile(config)
        if isinstance(config, str)
        else ConfigDict(config)
    )
    found: list[Mapping[str, Any]] = []
    for key in _LOADERS:
        loader = content.get(key) or {}
        for dataset in _find_datasets(loader.get('dataset')):
            if dataset not in found:
                found.append(dataset)
    if not found:
        raise ValueError(
            f'config: none of {_LOADERS} has a dataset of type '
            'AudioVisualDataset; name the annotation files instead'
        )
    return TrainingReads(found)


def read_samples(
    reads: TrainingReads,
    left_out: set[str],
    workers: int,
    title: str = '',
) -> Iterator[Fault]:
    """Read every sample once, as far as its pictures and sound.

    Args:
        reads: What the config says.
        left_out: Ids of samples known to be unusable.
        workers: Processes, >= 1.
        title: Text before the progress bar; ``''`` shows none.

    Returns:
        Iterator over what could not be read.
    """
    for config in reads.datasets:
        try:
            infos = _sample_infos(config)
        except (OSError, TypeError, ValueError) as error:
            yield Fault('annotation', str(config['ann_file']), str(error))
            continue
        waiting = [i for i in infos if i['sample_id'] not in left_out]
        reader = _Reader(_find_pipeline(config['pipeline']))
        results = run_jobs(
            partial(_read, reader),
            waiting,
            workers,
            crashed=lambda info: ('', _first_path(info), 'crashed'),
            title=title,
        )
        for info, problem in results:
            if problem:
                name, path, text = problem
                whom = (info['sample_id'],)
                yield Fault('unreadable', path, text, whom, name)


def _sample_infos(config: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What the pipeline is given for every sample of a dataset."""
    dataset = DATASETS.build(
        {
            **config,
            'pipeline': [],
            'skip_list': None,
            'indices': None,
            # What is missing has been told by now.
            'on_missing': 'zeros',
        }
    )
    return [dataset.get_data_info(i) for i in range(len(dataset))]


class _Reader:
    """The lists of a ``MultiModalPipeline``, each as far as it reads."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        self.pipeline = TRANSFORMS.build(dict(config))
        self.pipeline.pipelines = {
            name: _UntilRead(name, part.transforms)
            for name, part in self.pipeline.pipelines.items()
        }


class _ReadingError(Exception):
    """A modality, its file, and what went wrong."""


class _UntilRead:
    """A list of transforms that stops at what it has read."""

    def __init__(self, name: str, transforms: Sequence[Any]) -> None:
        self.name = name
        self.transforms = transforms

    def __call__(self, results: dict[str, Any]) -> Any:
        path = str(results.get('filename') or results.get('frame_dir') or '')
        try:
            for transform in self.transforms:
                results = transform(results)
                if results is None or any(key in results for key in _READ):
                    break
        # Whatever stops training here is what is asked for.
        except Exception as error:
            text = f'{type(error).__name__}: {error}'
            raise _ReadingError(self.name, path, text) from error
        return results


def _read(
    reader: _Reader, info: Mapping[str, Any]
) -> tuple[str, str, str] | None:
    state = np.random.get_state()
    np.random.seed(0)
    try:
        reader.pipeline(dict(info))
    except _ReadingError as error:
        name, path, text = error.args
        return name, path or _first_path(info), text
    finally:
        np.random.set_state(state)
    return None


def _first_path(info: Mapping[str, Any]) -> str:
    entries = info['sources'].values()
    paths = [e[k] for e in entries for k in e if k.startswith('path')]
    return str(paths[0]) if paths else ''


def _find_datasets(config: Any) -> Iterator[Mapping[str, Any]]:
    """Look through wrappers such as ``RepeatDataset``."""
    if not isinstance(config, Mapping):
        return
    if config.get('type') == 'AudioVisualDataset':
        yield config
    for inner in [config.get('dataset'), *config.get('datasets', ())]:
        yield from _find_datasets(inner)


def _find_pipeline(transforms: Sequence[Any]) -> Mapping[str, Any]:
    """Find ``MultiModalPipeline``, also in a wrapper of other transforms."""
    for item in transforms:
        if item['type'] == 'MultiModalPipeline':
            found: Mapping[str, Any] = item
            return found
        if 'transforms' in item:
            return _find_pipeline(item['transforms'])
    raise ValueError(
        'config: the pipeline of a dataset holds no MultiModalPipeline, got '
        f'{[item["type"] for item in transforms]}'
    )
