"""Features in the plane, coloured by class and by domain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mmgmp.utils.plain_text import figure_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MARKERS = 'os^DvP*X'


def embed(features: NDArray[np.float32], seed: int = 0) -> NDArray[np.float32]:
    """Reduce features to two dimensions by t-SNE.

    Args:
        features: Shape ``(N, D)``, N >= 4.
        seed: Of the optimisation.

    Returns:
        Shape ``(N, 2)``. Distances between groups and sizes of groups in it
        mean nothing; only neighbourhoods do.

    Raises:
        ValueError: If there are too few samples.

    Source: van der Maaten and Hinton, "Visualizing Data using t-SNE" (JMLR
    2008); scikit-learn's implementation, perplexity 30 or a third of N.
    """
    from sklearn.manifold import TSNE

    if len(features) < 4:
        raise ValueError(
            f't-SNE needs at least 4 samples, got {len(features)}'
        )
    perplexity = min(30.0, (len(features) - 1) / 3)
    return TSNE(
        perplexity=perplexity, init='pca', random_state=seed
    ).fit_transform(features)


def plot_feature_map(
    embeddings: Mapping[str, NDArray[np.float32]],
    labels: Sequence[str],
    domains: Sequence[str],
    title: str = '',
) -> Figure:
    """Draw one row per feature: by class on the left, by domain on the right.

    Args:
        embeddings: ``(N, 2)`` by name of the feature.
        labels: Class name of each sample.
        domains: Domain of each sample.
        title: Text above the figure.

    Returns:
        The figure, not registered with pyplot.

    Example:
        >>> points = np.zeros((2, 2), np.float32)
        >>> figure = plot_feature_map({'video': points}, ['a', 'b'], ['x'] * 2)
        >>> [axes.get_title() for axes in figure.axes]
        ['video, by class', 'video, by domain']

    Source: GMP (arXiv 2603.14175), Fig. 3.
    """
    from matplotlib.figure import Figure

    rows = len(embeddings)
    figure = Figure((9.2, 3.6 * rows + 0.6), layout='constrained')
    axes = figure.subplots(rows, 2, squeeze=False)
    for row, (name, points) in enumerate(embeddings.items()):
        for axis, keys, word in (
            (axes[row, 0], labels, 'class'),
            (axes[row, 1], domains, 'domain'),
        ):
            _scatter(axis, points, keys)
            axis.set(
                title=figure_text(f'{name}, by {word}'), xticks=[], yticks=[]
            )
    for axis in axes[-1]:
        axis.legend(
            loc='upper center',
            bbox_to_anchor=(0.5, -0.02),
            ncols=3,
            fontsize=8,
            frameon=False,
        )
    if title:
        figure.suptitle(figure_text(title))
    return figure


def _scatter(
    axis: Axes, points: NDArray[np.float32], keys: Sequence[str]
) -> None:
    from matplotlib import colormaps

    groups = np.asarray(keys)
    colours = colormaps['tab10']
    for number, key in enumerate(sorted(set(keys))):
        chosen = points[groups == key]
        axis.scatter(
            chosen[:, 0],
            chosen[:, 1],
            s=12,
            color=colours(number % 10),
            marker=_MARKERS[number % len(_MARKERS)],
            alpha=0.8,
            linewidths=0,
            label=figure_text(key),
        )
