"""Samples with several modalities, a class and a domain."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from mmengine.dataset import BaseDataset
from mmengine.logging import print_log

from mmgmp.datasets.annotations import (
    check_domains,
    load_annotation,
    merge_metainfo,
    resolve,
)
from mmgmp.datasets.file_damage import find_damage
from mmgmp.datasets.missing_modalities import (
    find_modalities,
    read_on_missing,
    report_missing,
)
from mmgmp.datasets.sample_checks import (
    check_entries,
    check_identities,
    check_sample,
)
from mmgmp.datasets.skip_lists import find_skipped, read_skip_list
from mmgmp.datasets.skip_policy import SkipPolicy, media_errors
from mmgmp.datasets.subset import spread
from mmgmp.datasets.transforms.multi_modal_pipeline import build_pipeline
from mmgmp.registry import DATASETS
from mmgmp.utils.checks import check_choice
from mmgmp.utils.compat.private_names import fill_metainfo

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

    With ``on_missing='zeros'`` a sample may lack a modality: it has no entry
    for it, or its file is not there (a video without a sound track has no
    sound file). Such a sample is kept; it is handed on with the
    ``modalities`` that it has and the names of the others in
    ``missing_modalities``, and the model puts zeros in place of their
    features (``docs/data.md``). How many there are is logged. A file that is
    there but cannot be read is a matter of ``on_error``.

    With ``on_error='skip'`` an unreadable sample is replaced by the next
    readable one, logged once with its id, and counted; too many of them stop
    the run. Only missing and undecodable files are skipped, never a mistake
    in config or code: an error that may be either is blamed on a file only
    if that file, opened by itself, cannot be read. Each data loader worker
    holds a copy of the dataset and counts for itself, so W workers bear up to
    W times ``max_errors``. In an evaluation the replacement counts twice:
    leave broken samples out with ``skip_list`` there.

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
        on_missing: ``'raise'`` or ``'zeros'``, for all modalities or as a
            dict for some of them.
        max_errors: Unreadable samples to bear with ``'skip'``: a count (int)
            or a fraction of the dataset (float).
        skip_list: Ids to leave out, or a file of them (text with one id per
            line, or a JSON list); those that no file has are counted in
            the log.
        test_mode: Whether the dataset is for evaluation.
        metainfo: Overrides entries of the file's metainfo.
        indices: So many samples of those kept, taken from all domains and
            classes by turns (if negative, from the end); or these samples.
        serialize_data: Whether workers share one copy of the annotation.
        lazy_init: Whether to read the annotation only when it is needed.
        max_refetch: Tries when a transform returns ``None`` in training.
        unknown_classes: Classes to leave out, or with ``keep_unknown`` to
            number behind the others, in the order of the file.
        keep_unknown: Whether their samples stay.

    Raises:
        FileNotFoundError: If an annotation file or skip list is missing.
        TypeError: If a list is given as one string.
        ValueError: If a domain, label, modality or option is not one of those
            there are; the message lists them. If an annotation or skip list
            is no text of its format, an id stands twice in a file or with two
            labels, or an entry holds a path or time that cannot be.

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
        on_missing: str | Mapping[str, str] = 'raise',
        unknown_classes: Sequence[str] = (),
        keep_unknown: bool = False,
    ) -> None:
        check_choice('on_error', on_error, _ON_ERROR)
        if isinstance(modalities, str) or not modalities:
            raise TypeError(
                'modalities must be a list of at least one name, '
                f'got {modalities!r}'
            )
        SkipPolicy(max_errors, 0)  # checks the range before files are read
        self.domains = domains
        self.modalities = tuple(modalities)
        self.on_error = on_error
        self.on_missing = read_on_missing(on_missing, self.modalities)
        self.max_errors = max_errors
        self.skip_list = skip_list
        self._apart = (unknown_classes, keep_unknown)
        #: What the files say: all of their domains, and if clips are rendered.
        self.known_domains: tuple[str, ...] = ()
        self.is_synthetic = False
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
        root = self.data_root
        self.ann_file = [resolve(str(p), root) for p in self.ann_file]

    def load_data_list(self) -> list[dict[str, Any]]:
        """Read, check and select the samples.

        Returns:
            One dict per sample, as handed to the pipeline.
        """
        annotations = [load_annotation(p, *self._apart) for p in self.ann_file]
        metainfo = merge_metainfo(annotations, self.ann_file)
        for annotation, path in zip(annotations, self.ann_file, strict=True):
            check_identities(annotation, path)
        self.known_domains = tuple(metainfo['domains'])
        self.is_synthetic = any(a.get('synthetic') for a in annotations)
        found = {s['domain'] for a in annotations for s in a['data_list']}
        present = [name for name in metainfo['domains'] if name in found]
        domains = check_domains(
            self.domains, present, ' + '.join(self.ann_file)
        )
        fill_metainfo(self, {**metainfo, 'domains': list(domains)})
        chosen = self._select(annotations, domains, metainfo['classes'])
        data_list = list(chosen)
        if not data_list:
            raise ValueError(
                f'skip_list must leave samples of {list(domains)}, got all of '
                f'{self.ann_file}; shorten it'
            )
        report_missing(data_list, self.modalities, self.ann_file)
        return data_list

    def _select(
        self,
        annotations: Sequence[Mapping[str, Any]],
        domains: tuple[str, ...],
        classes: Sequence[str],
    ) -> Iterator[dict[str, Any]]:
        """The samples of some domains, each checked."""
        skipped = self._skipped(annotations)
        labels: dict[str, tuple[int, str]] = {}
        for annotation, path in zip(annotations, self.ann_file, strict=True):
            for sample in annotation['data_list']:
                if sample['domain'] not in domains or sample['id'] in skipped:
                    continue
                check_entries(sample, self.modalities, path)
                having = find_modalities(
                    sample, self.on_missing, self.data_root
                )
                check_sample(sample, classes, having, path)
                _check_same(sample, labels, path)
                yield self._data_info(sample, domains, having)

    def _skipped(self, annotations: Sequence[Mapping[str, Any]]) -> set[str]:
        listed = read_skip_list(self.skip_list, self.data_root)
        if not listed:
            return set()
        ids = [s['id'] for a in annotations for s in a['data_list']]
        found, unknown = find_skipped(listed, ids)
        examples = ', '.join(map(repr, sorted(unknown)[:3]))
        print_log(
            f'skip_list leaves out {len(found)} samples of {self.ann_file}; '
            f'{len(unknown)} of its {len(listed)} ids are none of these files'
            + (f', such as {examples}' if unknown else ''),
            logger='current',
            level=logging.INFO if found else logging.WARNING,
        )
        return found

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
        self,
        sample: Mapping[str, Any],
        domains: tuple[str, ...],
        present: tuple[str, ...],
    ) -> dict[str, Any]:
        sources = {
            name: {
                key: resolve(value, self.data_root)
                if key.startswith('path')
                else value
                for key, value in sample[name].items()
            }
            for name in present
        }
        info = {
            'sample_id': sample['id'],
            'domain': sample['domain'],
            'domain_label': domains.index(sample['domain']),
            'label': sample['label'],
            'modalities': present,
            'sources': sources,
        }
        if len(present) < len(self.modalities):
            info['missing_modalities'] = tuple(
                name for name in self.modalities if name not in present
            )
        return info

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
            # Stock decoders raise anything on a damaged file. It is skipped
            # if it proves to be damaged; all else is a mistake.
            except Exception:
                damage = find_damage(info['sources'])
                if damage is None:
                    raise
                self._skip_policy.record(candidate, sample_id, damage)
        raise RuntimeError(
            f'no sample of {self.ann_file} can be read: {self.unreadable_ids}'
        )


def _check_same(
    sample: Mapping[str, Any], labels: dict[str, tuple[int, str]], path: str
) -> None:
    """Refuse an id that another file gives another label."""
    label, other = labels.setdefault(sample['id'], (sample['label'], path))
    if label != sample['label']:
        raise ValueError(
            f'label of sample {sample["id"]!r} must be the same in all files, '
            f'got {label} in {other} and {sample["label"]} in {path}; correct '
            'one of them'
        )
