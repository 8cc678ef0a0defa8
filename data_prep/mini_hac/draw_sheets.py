"""Draw what mini-HAC looks and sounds like: a sheet of each.

    python data_prep/mini_hac/draw_sheets.py docs/images

One row per class, one column per domain: two frames of a clip, and the log
spectrogram of a sound. See README.md beside this file.
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image
from render import NAMES, Clip, Settings, render_clip
from scenes import LOOKS, MOTIONS
from scipy.signal import spectrogram
from silhouettes import CLASSES
from sounds import PATTERNS, ROOMS, SAMPLE_RATE, play

#: What each class sounds like, in words.
HEARD = (
    'breathing noise',
    'stepping notes',
    'noise bursts',
    'rising chirps',
    'two bands by turns',
    'quick thumps',
    'falling creak',
)
#: How it moves.
SEEN = {
    'size': 'grows and shrinks',
    'light': 'flickers',
    'y': 'goes up and down',
    'aspect': 'stretches',
    'x': 'goes left and right',
    'circle': 'goes in a circle',
    'hinge': 'swings about one end',
}
STYLES = {
    'human': 'muted, clouds, shaded',
    'animal': 'grass and earth, stripes, blades',
    'cartoon': 'bright, dots, outline',
}
SOUNDS = {
    'human': 'low, short echo',
    'animal': 'high, long echo, no treble',
    'cartoon': 'between, no bass, distorted',
}
_INCHES = (2.5, 1.25)
#: Signal-to-noise ratio of the drawn sounds, in dB.
_CLEAR = 12.0


def draw_pictures(settings: Settings) -> Figure:
    """Draw the two frames of a clip that differ most, of every pair.

    Args:
        settings: Of the corpus.
    """

    def draw(axes: Axes, clip: Clip) -> None:
        first, second = _extremes(render_clip(clip, settings)[0])
        gap = np.full((settings.size, 2, 3), 255, np.uint8)
        axes.imshow(np.concatenate([first, gap, second], axis=1))
        axes.set(xticks=[], yticks=[])

    words = [
        f'{CLASSES[label][0]},\n{SEEN[motion]}'
        for label, motion in enumerate(MOTIONS)
    ]
    return _sheet('two frames of a clip', words, STYLES, draw)


def _extremes(frames: np.ndarray) -> np.ndarray:
    # Means of small squares: noise differs in every pair alike.
    count, size = len(frames), frames.shape[1] // 4 * 4
    small = frames[:, :size, :size].astype(np.float32)
    small = small.reshape(count, size // 4, 4, size // 4, 4, 3)
    flat = small.mean(axis=(2, 4)).reshape(count, -1)
    distance = np.abs(flat[:, None] - flat[None]).sum(axis=2)
    pair = np.unravel_index(distance.argmax(), distance.shape)
    return frames[sorted(pair)]


def draw_sounds(settings: Settings) -> Figure:
    """Draw the spectrogram of a sound of every class in every domain.

    Args:
        settings: Of the corpus.
    """

    def draw(axes: Axes, clip: Clip) -> None:
        # In the corpus noise is mostly louder than what happens, and in some
        # clips nothing is heard of it.
        room = replace(ROOMS[clip.domain], snr_db=(_CLEAR,) * 2, unheard=0)
        rng = np.random.default_rng(clip.label)
        pattern = PATTERNS[clip.label]
        sound = play(room, pattern, settings.max_seconds, rng)
        frequency, seconds, power = spectrogram(
            sound, SAMPLE_RATE, nperseg=512, noverlap=256
        )
        level = 10 * np.log10(power + 1e-12)
        low, high = np.percentile(level, (20, 99.8))
        axes.pcolormesh(
            seconds, frequency / 1000, level, cmap='magma', vmin=low, vmax=high
        )
        axes.set(ylim=(0, 8), yticks=[0, 4, 8], xticks=[0.5, 1, 1.5])
        axes.tick_params(labelsize=6, length=2)
        axes.set_xlabel('seconds', fontsize=7)
        axes.set_ylabel('kHz', fontsize=7)
        axes.label_outer()

    return _sheet(
        f'sounds, {_CLEAR:g} dB above the noise', HEARD, SOUNDS, draw
    )


def _sheet(
    title: str,
    words: Sequence[str],
    styles: dict[str, str],
    draw: Callable[[Axes, Clip], None],
) -> Figure:
    rows, columns = len(NAMES), len(LOOKS)
    size = (1.7 + _INCHES[0] * columns, 0.7 + _INCHES[1] * rows)
    figure = Figure(size, layout='constrained')
    grid = figure.subplots(rows, columns, squeeze=False)
    for label, line in enumerate(grid):
        for domain, axes in zip(LOOKS, line, strict=True):
            draw(axes, Clip(domain, 'train', label, 0))
            if label == 0:
                axes.set_title(f'{domain}\n{styles[domain]}', fontsize=9)
        name = NAMES[label].replace('_', ' ')
        line[0].annotate(
            f'{label} {name}:\n{words[label]}',
            (0, 0.5),
            (-34, 0),
            xycoords='axes fraction',
            textcoords='offset points',
            ha='right',
            va='center',
            fontsize=9,
        )
    figure.suptitle(f'mini-HAC (synthetic): {title}', fontsize=11)
    return figure


def _save(figure: Figure, path: Path, colours: int) -> None:
    """Write a PNG of so many colours: noise bloats one of all colours."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format='png', dpi=80)
    image = Image.open(buffer).convert('RGB')
    few = image.quantize(colours, dither=Image.Dither.NONE)
    few.save(path, optimize=True)


def main(argv: Sequence[str] | None = None) -> None:
    """Write ``mini-hac_pictures.png`` and ``mini-hac_sounds.png``.

    Args:
        argv: Command line; ``None`` takes the process's own.
    """
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('out_dir', type=Path, help='folder of the sheets')
    args = parser.parse_args(argv)
    args.out_dir.mkdir(parents=True, exist_ok=True)
    for name, draw, colours in (
        ('pictures', draw_pictures, 256),
        ('sounds', draw_sounds, 64),
    ):
        path = args.out_dir / f'mini-hac_{name}.png'
        _save(draw(Settings()), path, colours)
        print(path)


if __name__ == '__main__':
    main()
