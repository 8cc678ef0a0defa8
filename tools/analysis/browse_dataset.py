"""Look at what a model is given: clips after all transforms.

    python tools/analysis/browse_dataset.py configs/gmp/gmp_mini-hac.py clips

writes a video per sample, with the frames, flow and spectrogram that the
pipeline makes. Every call of ``--phase train`` shows other random views.
MMAction2's script of this name looks for one list of pictures; a sample here
has a list per modality.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from mmengine.config import Config, DictAction
from mmengine.registry import init_default_scope
from rich.progress import track

import mmgmp  # noqa: F401 (repairs MMAction2 before anything imports it)
from mmgmp.registry import DATASETS
from mmgmp.utils.file_names import slug
from mmgmp.utils.protocol import resolve_protocol
from mmgmp.visualization.model_inputs import write_model_view


def main(argv: Sequence[str] | None = None) -> int:
    """Read and draw."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add('config')
    add('output_dir', type=Path)
    add('--phase', '-p', choices=['train', 'val', 'test'], default='train')
    add(
        '--show-number',
        '-n',
        type=int,
        default=10,
        help='samples, spread over all of them',
    )
    add('--fps', type=float, default=4.0, help='frames shown per second')
    add('--cfg-options', nargs='+', action=DictAction, default={})
    args = parser.parse_args(argv)
    if args.show_number < 1 or not 0 < args.fps <= 1000:
        parser.error('--show-number must be >= 1 and --fps in (0, 1000]')
    config = Config.fromfile(args.config)
    config.merge_from_dict(args.cfg_options)
    init_default_scope(config.get('default_scope', 'mmaction'))
    try:
        config = resolve_protocol(config)
        loader = config[f'{args.phase}_dataloader']
        dataset = DATASETS.build(loader.dataset)
        classes = dataset.metainfo['classes']
        step = max(1, len(dataset) // args.show_number)
        chosen = range(0, len(dataset), step)[: args.show_number]
        for index in track(chosen, 'Drawing', disable=not sys.stderr.isatty()):
            item = dataset[index]
            sample = item['data_samples']
            name = slug(str(sample.get('sample_id', index)))
            path = args.output_dir / f'{index:05d}_{name}.mp4'
            label = classes[int(sample.gt_label)]
            caption = f'{label}, {sample.get("domain", "")}'
            write_model_view(path, item['inputs'], {}, caption, args.fps)
            print(path)
    except (OSError, ValueError) as error:
        print(f'browse_dataset: {error}', file=sys.stderr)
        return 2
    return 0


if __name__ == '__main__':
    sys.exit(main())
