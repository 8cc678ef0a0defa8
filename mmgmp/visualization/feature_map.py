"""Features in the plane, coloured by class and by domain."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mmgmp.utils.plain_text import figure_text
from mmgmp.visualization.palette import COLOURS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Of the sources by turns of the palette; the target has triangles.
_MARKERS = 'osDPX*'
_SOURCE: dict[str, Any] = {'s': 14, 'alpha': 0.45, 'linewidths': 0}
_TARGET: dict[str, Any] = {
    's': 26,
    'marker': '^',
    'edgecolors': 'black',
    'linewidths': 0.5,
}


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
    targets: Collection[str] = (),
) -> Figure:
    """Draw one row per feature: by class on the left, by domain on the right.

    Sources are faint dots, what was not trained on are triangles with an
    edge, drawn above them.

    Args:
        embeddings: ``(N, 2)`` by name of the feature.
        labels: Class name of each sample.
        domains: Domain of each sample.
        title: Text above the figure.
        targets: Domains that the model has not seen.

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
    figure = Figure((10.0, 4.2 * rows + 1.0), layout='constrained')
    axes = figure.subplots(rows, 2, squeeze=False)
    is_target = np.isin(domains, list(targets))
    names = [f'{d} (target)' if d in targets else d for d in domains]
    for row, (name, points) in enumerate(embeddings.items()):
        for axis, keys, word in (
            (axes[row, 0], labels, 'class'),
            (axes[row, 1], names, 'domain'),
        ):
            _scatter(axis, points, np.asarray(keys), is_target)
            axis.set(
                title=figure_text(f'{name}, by {word}'), xticks=[], yticks=[]
            )
    _explain(axes[-1, 0], labels, is_target, has_shapes=True)
    _explain(axes[-1, 1], names, is_target, has_shapes=False)
    if title:
        figure.suptitle(figure_text(title))
    return figure


def _scatter(
    axis: Axes,
    points: NDArray[np.float32],
    keys: NDArray[np.str_],
    is_target: NDArray[np.bool_],
) -> None:
    for chosen, look in ((~is_target, _SOURCE), (is_target, _TARGET)):
        for key, (colour, marker) in _looks(keys.tolist()).items():
            found = points[chosen & (keys == key)]
            if len(found):
                style: dict[str, Any] = {
                    'color': colour,
                    'marker': marker,
                    **look,
                }
                axis.scatter(found[:, 0], found[:, 1], **style)


def _looks(keys: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Colour and marker by key."""
    return {
        str(key): (
            COLOURS[number % len(COLOURS)],
            _MARKERS[number // len(COLOURS) % len(_MARKERS)],
        )
        for number, key in enumerate(sorted(set(keys)))
    }


def _explain(
    axis: Axes,
    keys: Sequence[str],
    is_target: NDArray[np.bool_],
    has_shapes: bool,
) -> None:
    """Name colours, and the two shapes where both are there."""
    from matplotlib.lines import Line2D

    def entry(label: str, **style: Any) -> Line2D:
        return Line2D([], [], linestyle='', label=figure_text(label), **style)

    entries = []
    for key, (colour, marker) in _looks(keys).items():
        alone = is_target[np.asarray(keys) == key].all()
        shape = '^' if alone else marker
        entries.append(entry(key, color=colour, marker=shape))
    # Domains have told it already.
    if has_shapes and is_target.any() and not is_target.all():
        # Hollow, so that no colour of a class is taken for theirs.
        for text, marker in (('source', 'o'), ('target', '^')):
            hollow = entry(text, color='white', marker=marker)
            hollow.set_markeredgecolor('black')
            entries.append(hollow)
    axis.legend(
        handles=entries,
        loc='upper center',
        bbox_to_anchor=(0.5, -0.02),
        ncols=3,
        fontsize=9,
        frameon=False,
    )
