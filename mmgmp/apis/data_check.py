"""Find the samples of a corpus that training would stumble over."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from mmgmp.apis.check_plan import CheckPlan
from mmgmp.apis.check_report import (
    UNUSABLE,
    DataReport,
    FileRecord,
    file_key,
    fingerprint,
    read_report,
    save_report,
)
from mmgmp.apis.corpus_counts import count_samples, modality_table
from mmgmp.apis.media_checks import check_media
from mmgmp.apis.media_jobs import CheckSettings, Fault, MediaJob, MediaResult
from mmgmp.apis.published_counts import compare_counts
from mmgmp.apis.training_reads import TrainingReads, read_config, read_samples
from mmgmp.datasets.annotations import load_annotation
from mmgmp.utils.parallel import run_jobs

__all__ = ['UNUSABLE', 'DataReport', 'check_data']

_SECONDS_BETWEEN_SAVES = 10.0


def check_data(
    ann_files: Sequence[str] = (),
    root: str = '',
    settings: CheckSettings | None = None,
    modalities: Sequence[str] | None = None,
    workers: int = 1,
    report_path: str | None = None,
    expect: str | None = None,
    title: str = '',
    config: str | Mapping[str, Any] | None = None,
) -> DataReport:
    """Open every media file that annotation files name.

    Files are read by what training reads them with, in their own time. With
    ``config`` every sample is read a second time by the config's own
    transforms, up to the one that gives pictures or sound.

    With ``report_path`` the report is saved while the check goes on, and a
    later call with the same path takes over what it says about files that
    have not changed since (size and time of change; for a folder of frames
    the time of the folder alone).

    Args:
        ann_files: Annotation files; by default those of ``config``.
        root: Data root that relative paths start from, also of ``ann_files``
            that are not found as they are. By default that of ``config``.
        settings: What counts as a fault.
        modalities: Modalities to check; ``None`` takes those of ``config``,
            or all there are.
        workers: Processes, >= 1.
        report_path: JSON report to write, and to continue from.
        expect: ``'epic'`` or ``'hac'`` compares the counts by domain and
            class with the published ones.
        title: Text before the progress bar; ``''`` shows none.
        config: Config to train with, as a file (which is run as code) or as
            its content. Its options of ``LoadAudioSegment`` are used, and
            where it lets samples lack a modality that is no fault.

    Returns:
        The report.

    Raises:
        FileNotFoundError: If an annotation file or the root is missing.
        ValueError: If an annotation file or earlier report cannot be read, or
            an option is unknown.
    """
    settings = settings or CheckSettings()
    reads = None if config is None else read_config(config)
    sounds: Sequence[str] = ('audio',)
    if reads is not None:
        ann_files, root = ann_files or reads.ann_files, root or reads.root
        modalities = modalities or reads.modalities
        sounds = list(reads.sound_options)
        for options in reads.sound_options.values():
            settings = replace(settings, sound={**options, **settings.sound})
    if not ann_files:
        raise ValueError('ann_files: name an annotation file, or a config')
    if root and not os.path.isdir(root):
        raise FileNotFoundError(f'root: {root} is no folder')
    plan = CheckPlan(root, modalities, sounds)
    report = DataReport()
    for path in ann_files:
        _add(path, plan, report, settings, expect)
    report.num_samples = plan.num_samples
    optional = set() if reads is None else reads.optional
    records: dict[str, FileRecord] = {}
    planned = [*report.faults, *plan.faults, *plan.lacking()]
    save = partial(_summarise, report, plan, planned, records, optional)
    try:
        for _ in _check_files(
            plan, records, report, settings, workers, report_path, title
        ):
            save()
            save_report(str(report_path), report, records, settings)
        save()
        if reads is not None:
            planned += _read_again(reads, report, workers, title)
        report.is_complete = True
    finally:
        planned += _compare_lengths(plan.pairs, records, settings)
        save()
        if report_path:
            save_report(report_path, report, records, settings)
    return report


def _add(
    path: str,
    plan: CheckPlan,
    report: DataReport,
    settings: CheckSettings,
    expect: str | None,
) -> None:
    """Add one annotation file to the plan, and its counts to the report."""
    found = path if os.path.exists(path) else os.path.join(plan.root, path)
    annotation = load_annotation(found)
    plan.add(found, annotation)
    counts = count_samples(
        found, annotation['metainfo'], plan.samples.get(found, ())
    )
    report.splits.append(counts)
    report.faults += counts.faults(settings.min_samples)
    if expect:
        report.faults += [
            Fault('count', found, text)
            for text in compare_counts(expect, path, annotation)
        ]


def _check_files(
    plan: CheckPlan,
    records: dict[str, FileRecord],
    report: DataReport,
    settings: CheckSettings,
    workers: int,
    report_path: str | None,
    title: str,
) -> Iterator[None]:
    """Check all files, yielding whenever the report should be saved."""
    jobs = plan.jobs
    report.num_files = len(jobs)
    earlier = read_report(report_path) if report_path else {}
    for job in jobs:
        known = earlier.get(file_key(job))
        if known is None or known.is_missing:
            continue
        if known.fingerprint == fingerprint(job, settings):
            records[file_key(job)] = known
    report.num_reused = len(records)
    if report_path:
        # Now rather than after hours: the path may not be writable.
        yield
    results = run_jobs(
        partial(check_media, settings=settings),
        [job for job in jobs if file_key(job) not in records],
        workers,
        crashed=_crashed,
        title=title,
    )
    saved = time.monotonic()
    for job, result in results:
        records[file_key(job)] = FileRecord(fingerprint(job, settings), result)
        is_due = time.monotonic() - saved > _SECONDS_BETWEEN_SAVES
        if report_path and is_due:
            yield
            saved = time.monotonic()


def _summarise(
    report: DataReport,
    plan: CheckPlan,
    planned: Sequence[Fault],
    records: Mapping[str, FileRecord],
    optional: set[str],
) -> None:
    """Put the faults found so far into the report."""
    found = [f for record in records.values() for f in record.result.faults]
    faults = [*planned, *found]
    samples = {s['id'] for part in plan.samples.values() for s in part}
    report.modalities = modality_table(plan.having, len(samples), faults)
    report.faults = [
        fault
        for fault in faults
        if fault.modality not in optional
        or fault.kind not in ('lacking', 'missing')
    ]


def _read_again(
    reads: TrainingReads, report: DataReport, workers: int, title: str
) -> Iterator[Fault]:
    """What the config's own transforms cannot read, of what seemed good."""
    unusable = set(report.sample_ids())
    yield from read_samples(
        reads, unusable, workers, title and f'{title} as the config reads'
    )


def _crashed(job: MediaJob) -> MediaResult:
    text = 'the decoder crashed on this file, or ran out of memory'
    return MediaResult((job.fault('undecodable', text),))


def _compare_lengths(
    pairs: Sequence[tuple[str, str, str]],
    records: Mapping[str, FileRecord],
    settings: CheckSettings,
) -> Iterator[Fault]:
    """Sounds that end before their video does."""
    seconds = {key: record.result.seconds for key, record in records.items()}
    for sample, video, sound in pairs:
        of_video = seconds.get(f'video {video}  video')
        of_sound = seconds.get(f'sound {sound}  audio')
        if of_video is None or of_sound is None:
            continue
        if of_sound < of_video - settings.tolerance:
            text = f'lasts {of_sound:.2f} s, its video {of_video:.2f} s'
            yield Fault('too-short', sound, text, (sample,), 'audio')
