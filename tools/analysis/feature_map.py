"""t-SNE of a trained model's features, by class and by domain (Fig. 3).

    python tools/analysis/feature_map.py CONFIG CHECKPOINT --out maps/gmp

The source domains' held-out clips and the target's clips are drawn; inside a
benchmark the title says by itself what they come from.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from mmengine.config import Config, DictAction

import mmgmp  # noqa: F401 (repairs MMAction2 before anything imports it)
from mmgmp.apis.analysis import extract_features, find_origin
from mmgmp.visualization.benchmark_figures import save_figure
from mmgmp.visualization.feature_map import embed, plot_feature_map


def main(argv: Sequence[str] | None = None) -> int:
    """Extract, embed and draw."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add('config')
    add('checkpoint')
    add('--out', type=Path, default=Path('feature_map'), help='no ending')
    add('--features', nargs='+', help='such as video audio; default all')
    add('--splits', nargs='+', default=['val', 'test'])
    add('--corpus')
    add('--seed', type=int, help='training seed')
    add('--synthetic', action='store_true')
    add('--device', default='cpu')
    add('--cfg-options', nargs='+', action=DictAction, default={})
    args = parser.parse_args(argv)
    try:
        origin = find_origin(
            args.checkpoint, args.corpus, args.seed, args.synthetic
        )
    except (OSError, ValueError) as error:
        print(f'feature_map: {error}', file=sys.stderr)
        return 2
    config = Config.fromfile(args.config)
    config.merge_from_dict(args.cfg_options)
    features = extract_features(
        config, args.checkpoint, args.splits, args.device
    )
    names = args.features or list(features.values)
    unknown = sorted(set(names) - set(features.values))
    if unknown:
        print(
            f'feature_map: --features must be of {list(features.values)}, '
            f'got {unknown}',
            file=sys.stderr,
        )
        return 2
    figure = plot_feature_map(
        {name: embed(features.values[name]) for name in names},
        [features.classes[label] for label in features.labels],
        features.domains,
        f't-SNE, {origin.title}',
        features.targets,
    )
    print(*save_figure(figure, args.out), sep='\n')
    return 0


if __name__ == '__main__':
    sys.exit(main())
