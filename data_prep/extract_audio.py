"""Write the sound of every video below a folder as 16 kHz mono wav files.

The samples are those of ``ffmpeg -acodec pcm_s16le -ac 1 -ar 16000``, by PyAV,
laid on the clock of the file: second 0 of the wav file is second 0 of the
picture. Silence stands for sound that starts late and for lost packets.
``VIDEOS/a/b.mp4`` becomes ``OUT/a/b.wav``. Sounds that are there already are
kept, so the same command continues a run that was stopped. Links are followed;
files that are no videos are passed over and counted.

Exit status: 0 if every video has its sound now, 1 if some have none or cannot
be decoded or written (all named at the end), 2 if there is nothing to work on.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import soundfile

from mmgmp.datasets.sound_track import SoundTrackError, sound_blocks
from mmgmp.datasets.waveform_checks import SAMPLE_RATE, SILENCE
from mmgmp.utils import draft_files
from mmgmp.utils.file_ends import is_cut
from mmgmp.utils.parallel import run_jobs

SUFFIXES = (
    '.3g2', '.3gp', '.asf', '.avi', '.divx', '.dv', '.f4v', '.flv', '.m2t',
    '.m2ts', '.m2v', '.m4v', '.mkv', '.mov', '.mp4', '.mpe', '.mpeg', '.mpg',
    '.mts', '.mxf', '.nut', '.ogm', '.ogv', '.qt', '.rm', '.rmvb', '.ts',
    '.vob', '.webm', '.wmv', '.wtv',
)  # fmt: skip
NO_SOUND = 'no sound'
SILENT = 'its sound is silent throughout'


class NoSoundError(Exception):
    """A video without a sound track."""


@dataclass
class Found:
    """What is below a folder.

    Args:
        videos: Files with the suffix of a video, in order of the names.
        passed: How many others there are, by suffix.
    """

    videos: list[Path] = field(default_factory=list)
    passed: Counter[str] = field(default_factory=Counter)


def extract(job: tuple[Path, Path]) -> str:
    """Write the first sound track of a video.

    Args:
        job: Video file and the wav file to write, which appears complete or
            not at all.

    Returns:
        What there is to say, or ``''``; with ``SILENT`` there is a wav file.
    """
    source, target = job
    try:
        # A file whose index comes first decodes up to where it was cut.
        if problem := is_cut(str(source)):
            return f'is cut off, {problem}'
    except OSError as error:
        return f'cannot be decoded ({error.strerror})'
    try:
        with draft_files(target) as [draft]:
            peak = write_sound(source, draft)
            if peak is None:
                raise NoSoundError
    except NoSoundError:
        return NO_SOUND
    except SoundTrackError as error:
        # The name of the file is printed with every line.
        return str(error).removeprefix(str(source)).lstrip(': ')
    except (OSError, soundfile.LibsndfileError) as error:
        return f'cannot be written to {target} ({error})'
    return SILENT if peak <= SILENCE else ''


def write_sound(source: Path, target: Path) -> float | None:
    """Decode, resample and write a sound track piece by piece.

    Args:
        source: Video file.
        target: Wav file.

    Returns:
        Largest sample; 1 is full scale. None without a sound track.

    Raises:
        SoundTrackError: If the video cannot be decoded.
        OSError: If the wav file cannot be written.
    """
    peak = None
    with (
        open(target, 'wb') as file,
        soundfile.SoundFile(
            file, 'w', SAMPLE_RATE, 1, 'PCM_16', format='WAV'
        ) as sound,
    ):
        for block in sound_blocks(source):
            sound.write(block)
            loudest = max(int(block.max()), -int(block.min())) / 32768
            peak = max(peak or 0.0, loudest)
    return peak


def find_videos(videos: Path, out: Path) -> Found:
    """Look through a folder, through links too, but never in a circle.

    Args:
        videos: Folder of the videos, at any depth.
        out: Folder of the sounds, which is left out.

    Returns:
        Videos, and how many files are none.
    """
    found = Found()
    for path in walk(videos, out, ()):
        is_video = path.suffix.lower() in SUFFIXES and path.is_file()
        # Names that begin with a dot are leavings (._clip.mp4 of macOS).
        if is_video and not path.name.startswith('.'):
            found.videos.append(path)
        else:
            found.passed[path.suffix.lower() or path.name] += 1
    found.videos.sort()
    return found


def walk(folder: Path, out: Path, above: tuple[Path, ...]) -> Iterator[Path]:
    """Yield what is no folder; ``above`` are the folders that lead here."""
    real = folder.resolve()
    if real in above or real == out.resolve() or not folder.is_dir():
        return
    for path in sorted(folder.iterdir()):
        if path.is_dir():
            yield from walk(path, out, (*above, real))
        else:
            yield path


def find_jobs(
    videos: Path, out: Path
) -> tuple[list[tuple[Path, Path]], Counter[str]]:
    """Pair every video with its wav file.

    Args:
        videos: Folder of the videos, at any depth.
        out: Folder of the sounds.

    Returns:
        Source and target, in order of the names, and how many files are
        passed over, by suffix.

    Raises:
        ValueError: If there is no video, ``out`` is no folder, or two would
            write the same file.
    """
    found = find_videos(videos, out)
    if not found.videos:
        raise ValueError(f'{videos}: no folder with videos ({SUFFIXES}) in it')
    if out.exists() and not out.is_dir():
        raise ValueError(f'out: {out} must be a folder, it is a file')
    jobs = [
        (path, out / path.relative_to(videos).with_suffix('.wav'))
        for path in found.videos
    ]
    counts = Counter(target for _, target in jobs)
    clashes = [str(source) for source, target in jobs if counts[target] > 1]
    if clashes:
        raise ValueError(
            'these videos would write the same wav file, rename or move '
            f'them: {clashes}'
        )
    return jobs, found.passed


def report(jobs: int, done: list[tuple[Path, str]], passed: Counter) -> int:
    """Print what happened.

    Args:
        jobs: Number of videos.
        done: Those worked on, with what there is to say of each.
        passed: How many files are no videos, by suffix.

    Returns:
        Exit status.
    """
    for path, text in sorted(done):
        if text:
            print(f'{path}: {text}', file=sys.stderr)
    counts = Counter(text for _, text in done)
    mute, silent = counts[NO_SOUND], counts[SILENT]
    written = counts[''] + silent
    failed = len(done) - written - mute
    print(
        f'{written} of {jobs} written, {jobs - len(done)} were there, '
        f'{mute} without sound, {failed} failed'
    )
    if silent:
        print(f'{silent} of those written are silent throughout')
    if passed:
        kinds = ', '.join(f'{n} {kind}' for kind, n in passed.most_common(9))
        print(
            f'passed over {passed.total()} files that are no videos: {kinds}'
        )
    return 1 if mute or failed else 0


def main(argv: Sequence[str] | None = None) -> int:
    """Extract what is missing.

    Args:
        argv: Command line; ``None`` takes the process's own.

    Returns:
        Exit status; see the top of this file.
    """
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('videos', type=Path, help='folder of the videos')
    parser.add_argument('out', type=Path, help='folder of the wav files')
    parser.add_argument(
        '--workers', type=int, default=min(os.cpu_count() or 1, 8)
    )
    parser.add_argument(
        '--force', action='store_true', help='write existing sounds again'
    )
    args = parser.parse_args(argv)
    try:
        jobs, passed = find_jobs(args.videos, args.out)
        missing = [job for job in jobs if args.force or not job[1].exists()]
        results = run_jobs(
            extract,
            missing,
            args.workers,
            crashed=lambda _: 'the decoder crashed',
            title='Extracting sound',
        )
        done = [(job[0], text) for job, text in results]
    except (ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print('stopped; the same command continues', file=sys.stderr)
        return 130
    return report(len(jobs), done, passed)


if __name__ == '__main__':
    sys.exit(main())
