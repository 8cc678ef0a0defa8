"""What a recording of the HUST motor data set is called and looks like.

What is marked [verified] stands on the data set's own page, what is marked
[assumed] does not: README.md beside this file.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

#: Class name by the code that file names begin with [verified].
CLASSES = {
    'H': 'healthy',
    'BF': 'bearing fault',
    'BOW': 'bowed rotor',
    'BROKEN': 'broken rotor bars',
    'MISAL': 'rotor misalignment',
    'UNBAL': 'voltage unbalance',
}
#: Speed of the motor by domain, in Hz [verified].
SPEEDS = {'5Hz': 5, '10Hz': 10, '20Hz': 20, '30Hz': 30}
SAMPLING_RATE = 25600  # Hz [verified]
#: Last line before the numbers [assumed].
HEADER = 'Time (seconds) and Data Channels'
#: Columns behind that of the time: three axes, and the microphone [assumed].
VIBRATION, SOUND = (1, 2, 3), 4
#: Left by the renderer beside its files.
MANIFEST = 'hust_synthetic.json'


@dataclass(frozen=True)
class Layout:
    """How the text files are read; every default can be changed.

    Args:
        header: Beginning of the last line before the numbers; ``''`` where
            the numbers begin at once.
        vibration: Columns of the accelerometer, counted from 0.
        sound: Column of the microphone.
        time: Column of the seconds; -1 if there is none.
        sampling_rate: Hz; the seconds must fit to it.
    """

    header: str = HEADER
    vibration: Sequence[int] = VIBRATION
    sound: int = SOUND
    time: int = 0
    sampling_rate: float = SAMPLING_RATE


def file_name(code: str, domain: str) -> str:
    """Name of a recording [verified].

    Args:
        code: Of the class.
        domain: Of the speed.

    Example:
        >>> file_name('BF', '10Hz')
        'BF_10HZ.txt'
    """
    return f'{code}_{domain.upper()}.txt'


def find_files(folder: Path) -> dict[str, list[Path]]:
    """Find the text files of a folder and of those in it.

    Args:
        folder: Where the archive was unpacked.

    Returns:
        Paths by name in capitals, as endings are written either way.
    """
    found: dict[str, list[Path]] = {}
    for path in sorted(folder.rglob('*')):
        if path.suffix.lower() == '.txt':
            found.setdefault(path.name.upper(), []).append(path)
    return found


def read_recording(
    path: Path, layout: Layout
) -> tuple[np.ndarray, np.ndarray]:
    """Read one text file.

    Args:
        path: The file.
        layout: How it is read.

    Returns:
        Vibration ``(L, axes)`` and sound ``(L, 1)``, float32.

    Raises:
        ValueError: If there is no header line, a row is no row of numbers,
            or the seconds do not fit to the sampling rate.
    """
    # The header may be in any encoding; what is looked for is ASCII.
    with path.open(encoding='latin-1') as file:
        if layout.header and not any(
            line.strip().lower().startswith(layout.header.lower())
            for line in file
        ):
            raise ValueError(
                f'no line begins with {layout.header!r}; look at the file and '
                'name its last line before the numbers with --header, or '
                "--header '' if it has none"
            )
        with warnings.catch_warnings():
            # That there are no rows is said below.
            warnings.simplefilter('ignore', UserWarning)
            table = np.loadtxt(file, ndmin=2)
    columns = [*layout.vibration, layout.sound, layout.time]
    if not len(table) or table.shape[1] <= max(columns):
        raise ValueError(
            f'has {len(table)} rows of {table.shape[1]} columns, wanted are '
            f'columns {columns}; correct --vibration, --sound or --time'
        )
    if not np.isfinite(table).all():
        raise ValueError('holds numbers that are NaN or infinite')
    if layout.time >= 0:
        _check_time(table[:, layout.time], layout.sampling_rate)
    vibration = table[:, list(layout.vibration)].astype(np.float32)
    return vibration, table[:, [layout.sound]].astype(np.float32)


def _check_time(seconds: np.ndarray, rate: float) -> None:
    """Notice another rate, and where more than a row is missing."""
    steps = np.diff(seconds)
    # Seconds may be printed with few digits: then most steps are 0, and the
    # others are one of the last digit.
    digit = steps[steps > 0].min(initial=np.inf)
    if steps.max(initial=0) > 1.5 / rate + digit:
        row = int(steps.argmax())
        raise ValueError(
            f'lacks rows behind row {row + 1}: {steps[row]:.6f} s pass at '
            f'once at {rate:g} Hz; take the file again, or correct '
            '--sampling-rate, or --time -1 if that column is no time'
        )
    expected = (len(seconds) - 1) / rate
    found = seconds[-1] - seconds[0]
    # Seconds are printed with few digits.
    if abs(found - expected) > max(2 / rate, 1e-3 * expected):
        raise ValueError(
            f'lasts {found:.4f} s, but {len(seconds)} rows at {rate:g} Hz '
            f'are {expected:.4f} s; correct --sampling-rate, or --time -1 if '
            'that column is no time'
        )
