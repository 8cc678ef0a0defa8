"""Write the sound of every video below a folder as 16 kHz mono wav files.

The samples are those of ``ffmpeg -acodec pcm_s16le -ac 1 -ar 16000``, by PyAV.
``VIDEOS/a/b.mp4`` becomes ``OUT/a/b.wav``. Sounds that are there already are
kept, so the same command continues a run that was stopped.

Exit status: 0 if every video has its sound now, 1 if some have none or cannot
be decoded (all named at the end), 2 if there is nothing to work on.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import av
import soundfile

from mmgmp.utils import draft_files
from mmgmp.utils.file_ends import is_cut
from mmgmp.utils.parallel import run_jobs

SAMPLE_RATE = 16000
SUFFIXES = ('.avi', '.m4v', '.mkv', '.mov', '.mp4', '.webm')


def extract(job: tuple[Path, Path]) -> str:
    """Write the first sound track of a video.

    Args:
        job: Video file and the wav file to write, which appears complete or
            not at all.

    Returns:
        Why there is no wav file, or ``''``.
    """
    source, target = job
    try:
        # A file whose index comes first decodes up to where it was cut.
        if problem := is_cut(str(source)):
            return f'is cut off, {problem}'
        with draft_files(target) as [draft]:
            if not write_sound(source, draft):
                raise ValueError('no sound')
    # Some of PyAV's errors are ValueErrors too, so they come first.
    except (av.FFmpegError, OSError) as error:
        return f'cannot be decoded ({error})'
    except ValueError as error:
        return str(error)
    return ''


def write_sound(source: Path, target: Path) -> int:
    """Decode, resample and write a sound track piece by piece.

    Args:
        source: Video file.
        target: Wav file.

    Returns:
        Number of samples written; 0 without a sound track.
    """
    resampler = av.AudioResampler('s16', 'mono', SAMPLE_RATE)
    count = 0
    with (
        av.open(str(source)) as container,
        open(target, 'wb') as file,
        soundfile.SoundFile(
            file, 'w', SAMPLE_RATE, 1, 'PCM_16', format='WAV'
        ) as sound,
    ):
        if not container.streams.audio:
            return 0
        for frame in container.decode(audio=0):
            for piece in resampler.resample(frame):
                sound.write(piece.to_ndarray()[0])
                count += piece.samples
        for piece in resampler.resample(None):
            sound.write(piece.to_ndarray()[0])
            count += piece.samples
    return count


def find_jobs(videos: Path, out: Path) -> list[tuple[Path, Path]]:
    """Pair every video with its wav file.

    Args:
        videos: Folder of the videos, at any depth.
        out: Folder of the sounds.

    Returns:
        Source and target, in order of the names.

    Raises:
        ValueError: If there is no video, ``out`` is no folder, or two would
            write the same file.
    """
    sources = sorted(
        path
        for path in videos.rglob('*')
        if path.suffix.lower() in SUFFIXES and path.is_file()
    )
    if not sources:
        raise ValueError(f'{videos}: no folder with videos ({SUFFIXES}) in it')
    if out.exists() and not out.is_dir():
        raise ValueError(f'out: {out} must be a folder, it is a file')
    jobs = [
        (path, out / path.relative_to(videos).with_suffix('.wav'))
        for path in sources
    ]
    counts = Counter(target for _, target in jobs)
    clashes = [str(source) for source, target in jobs if counts[target] > 1]
    if clashes:
        raise ValueError(
            'these videos would write the same wav file, rename or move '
            f'them: {clashes}'
        )
    return jobs


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
        jobs = find_jobs(args.videos, args.out)
        missing = [job for job in jobs if args.force or not job[1].exists()]
        results = run_jobs(
            extract,
            missing,
            args.workers,
            crashed=lambda _: 'the decoder crashed',
            title='Extracting sound',
        )
        problems = [f'{job[0]}: {text}' for job, text in results if text]
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print('stopped; the same command continues', file=sys.stderr)
        return 130
    for problem in sorted(problems):
        print(problem, file=sys.stderr)
    print(
        f'{len(missing) - len(problems)} of {len(jobs)} written, '
        f'{len(jobs) - len(missing)} were there, {len(problems)} failed'
    )
    return 1 if problems else 0


if __name__ == '__main__':
    sys.exit(main())
