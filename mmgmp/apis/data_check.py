"""Find the samples of a corpus that training would stumble over."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from mmgmp.apis.check_plan import CheckPlan
from mmgmp.apis.media_checks import (
    FAULT_KINDS,
    CheckSettings,
    Fault,
    MediaJob,
    MediaResult,
    check_media,
)
from mmgmp.apis.published_counts import compare_counts
from mmgmp.datasets.annotations import load_annotation
from mmgmp.utils import draft_files
from mmgmp.utils.parallel import run_jobs

#: Faults that make a sample unusable. A silent clip can be used, and published
#: numbers include it; a sound of another rate is resampled.
UNUSABLE = (
    'missing',
    'truncated',
    'undecodable',
    'frame-count',
    'too-short',
)
_FORMAT = 'mmgmp check_data 1'
_SECONDS_BETWEEN_SAVES = 10.0


@dataclass
class DataReport:
    """What :func:`check_data` found.

    Args:
        faults: Everything that is wrong.
        num_samples: Samples in the annotation files.
        num_files: Media files, a folder of frames counting as one.
        num_reused: Those taken from an earlier report.
        is_complete: Whether the check came to its end.
    """

    faults: list[Fault] = field(default_factory=list)
    num_samples: int = 0
    num_files: int = 0
    num_reused: int = 0
    is_complete: bool = False

    @property
    def counts(self) -> dict[str, int]:
        """Number of faults by kind, in the order of ``FAULT_KINDS``."""
        found = Counter(fault.kind for fault in self.faults)
        return {kind: found[kind] for kind in FAULT_KINDS if found[kind]}

    def sample_ids(self, kinds: Sequence[str] = UNUSABLE) -> list[str]:
        """Name the samples with certain faults.

        Args:
            kinds: Kinds of faults.

        Returns:
            Their ids, each once, sorted.

        Raises:
            ValueError: If a kind is unknown.

        Example:
            >>> DataReport([Fault('silent', 'a.wav', '', ('a',))]).sample_ids()
            []
        """
        unknown = sorted(set(kinds) - set(FAULT_KINDS))
        if unknown:
            raise ValueError(
                f'kinds must be among {FAULT_KINDS}, got {unknown}'
            )
        chosen = (f.samples for f in self.faults if f.kind in kinds)
        return sorted({sample for samples in chosen for sample in samples})


def check_data(
    ann_files: Sequence[str],
    root: str = '',
    settings: CheckSettings | None = None,
    modalities: Sequence[str] | None = None,
    workers: int = 1,
    report_path: str | None = None,
    expect: str | None = None,
    title: str = '',
) -> DataReport:
    """Open every media file that annotation files name.

    With ``report_path`` the report is saved while the check goes on, and a
    later call with the same path takes over what it says about files that
    have not changed since (size and time of change; for a folder of frames
    the time of the folder alone).

    Args:
        ann_files: Annotation files.
        root: Data root that relative paths start from, also of ``ann_files``
            that are not found as they are.
        settings: What counts as a fault.
        modalities: Modalities to check; ``None`` takes all there are.
        workers: Processes, >= 1.
        report_path: JSON report to write, and to continue from.
        expect: ``'epic'`` or ``'hac'`` compares the counts by domain and
            class with the published ones.
        title: Text before the progress bar; ``''`` shows none.

    Returns:
        The report.

    Raises:
        FileNotFoundError: If an annotation file or the root is missing.
        ValueError: If an annotation file or earlier report cannot be read, or
            an option is unknown.
    """
    settings = settings or CheckSettings()
    if root and not os.path.isdir(root):
        raise FileNotFoundError(f'root: {root} is no folder')
    plan = CheckPlan(root, modalities)
    report = DataReport()
    for path in ann_files:
        found = path if os.path.exists(path) else os.path.join(root, path)
        annotation = _load(found)
        plan.add(found, annotation)
        for text in compare_counts(expect, path, annotation) if expect else ():
            report.faults.append(Fault('count', found, text))
    report.faults += plan.faults
    report.num_samples, jobs = plan.num_samples, plan.jobs
    report.num_files = len(jobs)
    earlier = _read_report(report_path) if report_path else {}
    records = {
        key: earlier[key]
        for job in jobs
        if (key := _key(job)) in earlier
        and earlier[key].fingerprint == _fingerprint(job, settings)
        and not earlier[key].is_missing
    }
    waiting = [job for job in jobs if _key(job) not in records]
    report.num_reused = len(records)
    if report_path:
        # Now rather than after hours: the path may not be writable.
        _save(report_path, report, records, settings)
    results = run_jobs(
        partial(check_media, settings=settings),
        waiting,
        workers,
        crashed=_crashed,
        title=title,
    )
    saved = time.monotonic()
    try:
        for job, result in results:
            records[_key(job)] = _Record(_fingerprint(job, settings), result)
            is_due = time.monotonic() - saved > _SECONDS_BETWEEN_SAVES
            if report_path and is_due:
                _save(report_path, report, records, settings)
                saved = time.monotonic()
        report.is_complete = True
    finally:
        for record in records.values():
            report.faults += record.result.faults
        report.faults += _compare_lengths(plan.pairs, records, settings)
        if report_path:
            _save(report_path, report, records, settings)
    return report


@dataclass(frozen=True)
class _Record:
    """A result, and what the file was like then."""

    fingerprint: str
    result: MediaResult

    @property
    def is_missing(self) -> bool:
        """Whether the file was not there, and may have come since."""
        return any(fault.kind == 'missing' for fault in self.result.faults)


def _fingerprint(job: MediaJob, settings: CheckSettings) -> str:
    """Changes with the files, their segments, and what is a fault."""
    statuses = [os.stat(path) for path in job.paths if os.path.exists(path)]
    files = [(status.st_size, status.st_mtime_ns) for status in statuses]
    text = json.dumps([asdict(settings), asdict(job), files])
    return hashlib.sha256(text.encode()).hexdigest()


def _key(job: MediaJob) -> str:
    return ' '.join((job.kind, *job.paths, job.template))


def _crashed(job: MediaJob) -> MediaResult:
    text = 'the decoder crashed on this file, or ran out of memory'
    return MediaResult(
        (Fault('undecodable', job.paths[0], text, job.samples),)
    )


def _compare_lengths(
    pairs: Sequence[tuple[str, str, str]],
    records: Mapping[str, _Record],
    settings: CheckSettings,
) -> Iterator[Fault]:
    """Sounds that end before their video does."""
    seconds = {key: record.result.seconds for key, record in records.items()}
    for sample, video, sound in pairs:
        of_video = seconds.get(f'video {video} ')
        of_sound = seconds.get(f'sound {sound} ')
        if of_video is None or of_sound is None:
            continue
        if of_sound < of_video - settings.tolerance:
            text = f'lasts {of_sound:.2f} s, its video {of_video:.2f} s'
            yield Fault('too-short', sound, text, (sample,))


def _load(path: str) -> dict[str, Any]:
    try:
        return load_annotation(path)
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(
            f'ann_file: {path} is no complete JSON ({error}); write it again'
        ) from error


def _save(
    path: str,
    report: DataReport,
    records: Mapping[str, _Record],
    settings: CheckSettings,
) -> None:
    content = {
        'format': _FORMAT,
        'is_complete': report.is_complete,
        'settings': asdict(settings),
        'num_samples': report.num_samples,
        'num_files': report.num_files,
        'counts': report.counts,
        'faults': [asdict(fault) for fault in report.faults],
        'files': {k: asdict(r) for k, r in records.items()},
    }
    with draft_files(path) as [draft]:
        text = json.dumps(content, indent=1, ensure_ascii=False)
        draft.write_text(text + '\n', encoding='utf-8')


def _read_report(path: str) -> dict[str, _Record]:
    if not os.path.exists(path):
        return {}
    try:
        content = json.loads(Path(path).read_text(encoding='utf-8'))
        if content['format'] != _FORMAT:
            raise ValueError(f'its format is {content["format"]!r}')
        return {
            key: _Record(
                record['fingerprint'],
                MediaResult(
                    tuple(
                        Fault(**{**fault, 'samples': tuple(fault['samples'])})
                        for fault in record['result']['faults']
                    ),
                    record['result']['seconds'],
                ),
            )
            for key, record in content['files'].items()
        }
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise ValueError(
            f'report: {path} is no report of this tool ({error}); name '
            'another file, or delete this one to start anew'
        ) from error
