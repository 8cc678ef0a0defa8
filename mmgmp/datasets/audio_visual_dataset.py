"""Samples with several modalities, a class and a domain."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mmengine.dataset import BaseDataset
from mmengine.logging import print_log

from mmgmp.datasets.annotations import (
    check_domains,
    check_sample,
    load_annotation,
    merge_metainfo,
    read_skip_list,
    resolve,
)
from mmgmp.datasets.skip_policy import SkipPolicy, media_errors
from mmgmp.datasets.subset import spread
from mmgmp.datasets.transforms.multi_modal_pipeline import build_pipeline
from mmgmp.registry import DATASETS

_ON_ERROR = ('raise', 'skip')


@DATASETS.register_module()
class AudioVisualDataset(BaseDataset):
    """Audio-visual clips of chosen domains.

    One annotation file holds a split of a corpus with all its domains
    (``docs/data.md``). Which domains are the sources and which is the target
    is said here: leave-one-domain-out is two lists in a config. The domain
    label counts 0 to S-1 in the order of ``domains``.

    The pipeline is handed ``sample_id``, ``domain``, ``domain_label``,
    ``label``, ``modalities`` and ``sources``: the annotation entry of each
    modality, with every key that starts with ``path`` joined to the root.

    With ``on_error='skip'`` an unreadable sample is replaced by the next
    readable one, logged once with its id, and counted; too many of them stop
    the run. Only missing and undecodable files are skipped, never a mistake
    in config or code. Each data loader worker holds a copy of the dataset and
    counts for itself, so W workers bear up to W times ``max_errors``. In an
    evaluation the replacement counts twice: leave broken samples out with
    ``skip_list`` there.

    Args:
        ann_file: Annotation file, or several to be read as one (HAC's target
            is train and test together). A sample in two of them counts twice.
        domains: Domains to keep, in label order; ``None`` keeps all in the
            order of the file.
        modalities: Modalities that every sample must have.
        pipeline: Transforms, usually :class:`MultiModalPipeline` and
            :class:`PackMultiModalInputs`.
        data_root: Folder that relative paths start from.
        on_error: ``'raise'`` or ``'skip'``.
        max_errors: Unreadable samples to bear with ``'skip'``: a count (int)
            or a fraction of the dataset (float).
        skip_list: Ids to leave out, or a file of them (text with one id per
            line, or a JSON list); ids of other splits are ignored.
        test_mode: Whether the dataset is for evaluation.
        metainfo: Overrides entries of the file's metainfo.
        indices: So many samples of those kept, taken from all domains and
            classes by turns (if negative, from the end); or these samples.
        serialize_data: Whether workers share one copy of the annotation.
        lazy_init: Whether to read the annotation only when it is needed.
        max_refetch: Tries when a transform returns ``None`` in training.

    Raises:
        FileNotFoundError: If an annotation file or skip list is missing.
        TypeError: If a list is given as one string.
        ValueError: If a domain, label, modality or option is not one of those
            there are; the message lists them.

    Example:
        >>> import json, os, tempfile
        >>> entry = dict(id='human/a', domain='human', label=0,
        ...              audio=dict(path='human/audio/a.wav'))
        >>> metainfo = dict(classes=['sleeping'], domains=['human'])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with open(os.path.join(folder, 'train.json'), 'w') as file:
        ...         json.dump(dict(metainfo=metainfo, data_list=[entry]), file)
        ...     dataset = AudioVisualDataset(
        ...         'train.json', modalities=['audio'], data_root=folder)
        >>> dataset[0]['sample_id'], dataset[0]['domain_label']
        ('human/a', 0)
    """

    ann_file: Sequence[str]

    def __init__(
        self,
        ann_file: str | Sequence[str],
        domains: Sequence[str] | None = None,
        modalities: Sequence[str] = ('video', 'audio'),
        pipeline: Sequence[dict[str, Any] | Callable] = (),
        data_root: str = '',
        on_error: str = 'raise',
        max_errors: float = 0.05,
        skip_list: str | Sequence[str] | None = None,
        test_mode: bool = False,
        metainfo: Mapping[str, Any] | None = None,
        indices: int | Sequence[int] | None = None,
        serialize_data: bool = True,
        lazy_init: bool = False,
        max_refetch: int = 1000,
    ) -> None:
        if on_error not in _ON_ERROR:
            raise ValueError(
                f'on_error must be one of {_ON_ERROR}, got {on_error!r}'
            )
        if isinstance(modalities, str) or not modalities:
            raise TypeError(
                'modalities must be a list of at least one name, '
                f'got {modalities!r}'
            )
        SkipPolicy(max_errors, 0)  # checks the range before files are read
        self.domains = domains
        self.modalities = tuple(modalities)
        self.on_error = on_error
        self.max_errors = max_errors
        self.skip_list = skip_list
        #: All domains that the files name, when they have been read.
        self.known_domains: tuple[str, ...] = ()
        self._skip_policy: SkipPolicy | None = None
        super().__init__(
            ann_file=[ann_file] if isinstance(ann_file, str) else ann_file,
            metainfo=metainfo,
            data_root=data_root,
            indices=indices,
            serialize_data=serialize_data,
            pipeline=build_pipeline('pipeline', pipeline).transforms,
            test_mode=test_mode,
            lazy_init=lazy_init,
            max_refetch=max_refetch,
        )

    def _join_prefix(self) -> None:
        self.ann_file = [
            resolve(str(p), self.data_root) for p in self.ann_file
        ]

    def load_data_list(self) -> list[dict[str, Any]]:
        """Read, check and select the samples.

        Returns:
            One dict per sample, as handed to the pipeline.
        """
        annotations = [load_annotation(path) for path in self.ann_file]
        metainfo = merge_metainfo(annotations, self.ann_file)
        self.known_domains = tuple(metainfo['domains'])
        found = {s['domain'] for a in annotations for s in a['data_list']}
        present = [name for name in metainfo['domains'] if name in found]
        domains = check_domains(
            self.domains, present, ' + '.join(self.ann_file)
        )
        for key, value in {**metainfo, 'domains': list(domains)}.items():
            self._metainfo.setdefault(key, value)
        skipped = read_skip_list(self.skip_list, self.data_root)
        data_list = []
        num_skipped = 0
        for annotation, path in zip(annotations, self.ann_file, strict=True):
            for sample in annotation['data_list']:
                if sample['domain'] not in domains:
                    continue
                if sample['id'] in skipped:
                    num_skipped += 1
                    continue
                check_sample(
                    sample, metainfo['classes'], self.modalities, path
                )
                data_list.append(self._data_info(sample, domains))
        if num_skipped:
            print_log(
                f'skip_list left out {num_skipped} samples of {self.ann_file}',
                logger='current',
            )
        if not data_list:
            raise ValueError(
                f'skip_list must leave samples of {list(domains)}, got all '
                f'{num_skipped} of {self.ann_file}; shorten it'
            )
        return data_list

    def _get_unserialized_subset(
        self, indices: int | Sequence[int]
    ) -> list[dict[str, Any]]:
        if isinstance(indices, int):
            groups = [(d['domain'], d['label']) for d in self.data_list]
            indices = spread(groups, indices)
        chosen: list[dict[str, Any]]
        chosen = super()._get_unserialized_subset(indices)
        if not chosen:
            raise ValueError(
                f'indices must leave at least one sample, got {indices!r}; '
                'None keeps all'
            )
        return chosen

    def _data_info(
        self, sample: Mapping[str, Any], domains: tuple[str, ...]
    ) -> dict[str, Any]:
        sources = {
            name: {
                key: resolve(value, self.data_root)
                if key.startswith('path')
                else value
                for key, value in sample[name].items()
            }
            for name in self.modalities
        }
        return {
            'sample_id': sample['id'],
            'domain': sample['domain'],
            'domain_label': domains.index(sample['domain']),
            'label': sample['label'],
            'modalities': self.modalities,
            'sources': sources,
        }

    def get_cat_ids(self, idx: int) -> list[int]:
        """Class of a sample, for ``ClassBalancedDataset``.

        Args:
            idx: Index of the sample.

        Returns:
            A list of one class label.
        """
        return [self.get_data_info(idx)['label']]

    @property
    def unreadable_ids(self) -> list[str]:
        """Ids skipped so far, in this process."""
        policy = self._skip_policy
        return [] if policy is None else policy.sample_ids

    def prepare_data(self, idx: int) -> Any:
        """Run the pipeline on a sample, or on the next readable one.

        Args:
            idx: Index of the sample.

        Returns:
            What the pipeline returns.

        Raises:
            RuntimeError: If more samples are unreadable than ``max_errors``.
        """
        if self.on_error == 'raise':
            return super().prepare_data(idx)
        if self._skip_policy is None:
            self._skip_policy = SkipPolicy(self.max_errors, len(self))
        for step in range(len(self)):
            candidate = (idx + step) % len(self)
            if candidate in self._skip_policy:
                continue
            info = self.get_data_info(candidate)
            sample_id = info['sample_id']
            try:
                return self.pipeline(info)
            except media_errors() as error:
                self._skip_policy.record(candidate, sample_id, error)
        raise RuntimeError(
            f'no sample of {self.ann_file} can be read: {self.unreadable_ids}'
        )
