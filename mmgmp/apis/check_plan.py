"""From annotation files to the media files that have to be opened."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import soundfile

from mmgmp.apis.media_jobs import Fault, MediaJob, Segment
from mmgmp.datasets.annotations import resolve
from mmgmp.datasets.sample_checks import check_entries, check_label
from mmgmp.datasets.transforms.signal_file import is_signal_file
from mmgmp.utils.checks import check_choice

_Key = tuple[str, tuple[str, ...], str, str]
# Endings that libsndfile reads besides the names of its formats.
_SOUND_ENDINGS = frozenset({'aif', 'aifc', 'mp3', 'oga', 'opus', 'snd'})


class CheckPlan:
    """Collect what the samples of several annotation files use.

    A file that many samples use parts of, such as the sound of a whole
    recording, becomes one job.

    Args:
        root: Data root that relative paths start from.
        modalities: Modalities to check; ``None`` takes all there are.
        sounds: Modalities that are read as sound, whatever their files are
            called. Of others the ending decides.

    Example:
        >>> plan = CheckPlan('data')
        >>> entry = dict(id='a', domain='x', label=0, audio=dict(path='a.wav'))
        >>> plan.add('train.json', dict(
        ...     metainfo=dict(classes=['walk'], domains=['x']),
        ...     data_list=[entry, entry]))
        >>> [job.paths for job in plan.jobs], plan.faults[0].message
        ([('data/a.wav',)], "entry 1: id 'a' is listed before, in entry 0")
    """

    def __init__(
        self,
        root: str = '',
        modalities: Sequence[str] | None = None,
        sounds: Sequence[str] = ('audio',),
    ) -> None:
        self.root = root
        self.modalities = modalities
        self.faults: list[Fault] = []
        self.sounds = frozenset(sounds)
        self.num_samples = 0
        #: Samples by modality that have an entry for it, and by annotation
        #: file those that are well-formed.
        self.having: dict[str, set[str]] = {}
        self.samples: dict[str, list[Mapping[str, Any]]] = {}
        #: Sample, video and sound file, where a sample is two whole files.
        self.pairs: list[tuple[str, str, str]] = []
        self._segments: dict[_Key, list[Segment]] = {}

    @property
    def jobs(self) -> list[MediaJob]:
        """One job per file or pair of files."""
        return [
            MediaJob(
                kind,
                paths,
                template,
                tuple(dict.fromkeys(segments)),
                modality,
            )
            for (kind, paths, template, modality), segments in (
                self._segments.items()
            )
        ]

    def lacking(self) -> list[Fault]:
        """Name the samples without an entry that they should have."""
        return [
            Fault(
                'lacking',
                path,
                f'{len(ids)} of {len(samples)} samples have no {name!r} entry',
                ids,
                name,
            )
            for name in self.modalities or ()
            for path, samples in self.samples.items()
            if (
                ids := tuple(
                    sample['id']
                    for sample in samples
                    if sample['id'] not in self.having[name]
                )
            )
        ]

    def add(self, path: str, annotation: Mapping[str, Any]) -> None:
        """Add the samples of one annotation file, or faults for bad ones.

        Args:
            path: Name of the file.
            annotation: Its content.
        """
        seen: dict[Any, int] = {}
        for number, sample in enumerate(annotation['data_list']):
            self.num_samples += 1
            try:
                self._check(sample, annotation['metainfo'], seen, path)
                seen[sample['id']] = number
                self._add_sample(sample)
                self.samples.setdefault(path, []).append(sample)
            except (TypeError, ValueError) as error:
                sample_id = sample.get('id') if _is_dict(sample) else None
                ids = (sample_id,) if isinstance(sample_id, str) else ()
                text = f'entry {number}: {error}'
                self.faults.append(Fault('annotation', path, text, ids))

    def _check(
        self,
        sample: Any,
        metainfo: Mapping[str, Any],
        seen: Mapping[Any, int],
        path: str,
    ) -> None:
        if not _is_dict(sample):
            raise TypeError(f'must be an object, got {sample!r}')
        missing = [k for k in ('id', 'domain', 'label') if k not in sample]
        if missing:
            raise ValueError(f'has no {missing}, it has {sorted(sample)}')
        if not isinstance(sample['id'], str) or not sample['id'].strip():
            raise ValueError(f'id must be a text, got {sample["id"]!r}')
        if sample['id'] in seen:
            raise ValueError(
                f'id {sample["id"]!r} is listed before, in entry '
                f'{seen[sample["id"]]}'
            )
        check_choice(
            'domain',
            sample['domain'],
            metainfo['domains'],
            'correct it, or add it to metainfo',
        )
        names = [
            k for k in sample if not self.modalities or k in self.modalities
        ]
        check_label(sample, metainfo['classes'], path)
        check_entries(sample, names, path)

    def _add_sample(self, sample: Mapping[str, Any]) -> None:
        present = [k for k in sample if _is_dict(sample[k])]
        if not present:
            raise ValueError(f'has no modality, only {sorted(sample)}')
        names = [k for k in self.modalities or present if k in present]
        parts = {
            name: _read_entry(
                name, sample[name], sample['id'], name in self.sounds
            )
            for name in names
        }
        for name in self.modalities or present:
            self.having.setdefault(name, set())
        whole = {}
        for name, ((kind, paths, template), segment) in parts.items():
            self.having[name].add(sample['id'])
            paths = tuple(resolve(path, self.root) for path in paths)
            key = (kind, paths, template, name)
            self._segments.setdefault(key, []).append(segment)
            if segment.start is None and segment.stop is None:
                whole[name] = (kind, paths[0])
        video, sound = whole.get('video'), whole.get('audio')
        if video and sound and (video[0], sound[0]) == ('video', 'sound'):
            self.pairs.append((sample['id'], video[1], sound[1]))


def _is_dict(value: Any) -> bool:
    return isinstance(value, Mapping)


def _read_entry(
    name: str, entry: Mapping[str, Any], sample: str, is_sound: bool
) -> tuple[tuple[str, tuple[str, ...], str], Segment]:
    """Kind, paths and template of an entry, and its segment."""
    paths = tuple(entry[k] for k in ('path', 'path_x', 'path_y') if k in entry)
    if not paths:
        raise ValueError(
            f'{name} must name a path, or path_x and path_y, got {entry}'
        )
    if 'num_frames' in entry:
        first, count = entry.get('start_frame', 1), entry['num_frames']
        if 'filename_tmpl' not in entry:
            raise ValueError(
                f'{name} is a folder of frames and must hold a filename_tmpl '
                f'with a field for the number, got {entry}'
            )
        part = Segment(sample, first, first + count)
        return ('frames', paths, entry['filename_tmpl']), part
    if is_signal_file(paths[0]):
        first = entry.get('start_sample', 0)
        count = entry.get('num_samples')
        behind = None if count is None else first + count
        return ('signal', paths, ''), Segment(sample, first, behind)
    part = Segment(sample, entry.get('start'), entry.get('stop'))
    suffix = Path(paths[0]).suffix.lower().removeprefix('.')
    is_sound = is_sound or suffix in _sound_endings()
    kind = 'sound' if is_sound else 'video'
    return (kind, paths, ''), part


@cache
def _sound_endings() -> frozenset[str]:
    formats = {suffix.lower() for suffix in soundfile.available_formats()}
    return _SOUND_ENDINGS | formats
