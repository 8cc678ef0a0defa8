from __future__ import annotations

from xml.etree import ElementTree

import numpy as np
import pytest

from mmgmp.visualization.benchmark_figures import (
    plot_bars,
    plot_heat_map,
    save_figure,
    to_svg,
)
from mmgmp.visualization.confusion import plot_confusion
from mmgmp.visualization.feature_map import embed, plot_feature_map
from mmgmp.visualization.prediction_video import draw_scores


def test_bars_show_means_and_deviations():
    figure = plot_bars(
        {'ERM': {'H': (50.0, 2.0), 'A': (40.0, None)}, 'GMP': {'H': (60, 1)}}
    )
    (axis,) = figure.axes
    assert [bar.get_height() for bar in axis.patches] == [50, 40, 60]
    assert [t.get_text() for t in axis.get_xticklabels()] == ['H', 'A']
    bars = axis.collections[0].get_segments()
    assert sorted(bars[0][:, 1]) == [48, 52]
    (legend,) = figure.legends
    assert [t.get_text() for t in legend.get_texts()] == ['ERM', 'GMP']


def test_bars_do_not_overlap():
    methods = {str(n): {'H': (1.0, None), 'A': (1.0, None)} for n in range(9)}
    (axis,) = plot_bars(methods).axes
    spans = sorted(
        (b.get_x(), b.get_x() + b.get_width()) for b in axis.patches
    )
    assert all(a[1] <= b[0] + 1e-9 for a, b in zip(spans, spans[1:]))  # noqa: B905, RUF007
    looks = {(b.get_facecolor(), b.get_hatch()) for b in axis.patches}
    assert len(looks) == 9


def test_a_method_keeps_its_colour_where_others_are_missing():
    bar = {'H': (1.0, None)}
    one = plot_bars({'A': bar, 'B': bar}, order=['A', 'B'])
    two = plot_bars({'B': bar}, order=['A', 'B'])
    assert (
        one.axes[0].patches[1].get_facecolor()
        == two.axes[0].patches[0].get_facecolor()
    )


def test_a_heat_map_writes_its_numbers_and_leaves_gaps():
    figure = plot_heat_map([[1, np.nan], [3, 4]], 'ab', 'cd', decimals=0)
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert texts == ['1', '3', '4']


@pytest.mark.parametrize(
    ('draw', 'message'),
    [
        (lambda: plot_bars({}), 'at least one number'),
        (lambda: plot_heat_map([[1]], 'ab', 'c'), r'shape \(2, 1\)'),
        (lambda: embed(np.zeros((3, 2), np.float32)), 'at least 4 samples'),
    ],
)
def test_what_cannot_be_drawn(draw, message):
    with pytest.raises(ValueError, match=message):
        draw()


def test_figures_are_saved_twice(tmp_path):
    files = save_figure(plot_bars({'a': {'b': (1.0, None)}}), tmp_path / 'x')
    assert [file.name for file in files] == ['x.png', 'x.svg']
    assert files[0].read_bytes().startswith(b'\x89PNG')
    ElementTree.parse(files[1])


def test_svg_is_the_same_each_time():
    def svg(salt):
        return to_svg(plot_bars({'a': {'b': (1.0, None)}}), salt)

    assert svg('x') == svg('x')
    assert svg('x') != svg('y')
    ElementTree.fromstring(svg('x'))


def test_tsne_keeps_groups_apart():
    rng = np.random.default_rng(0)
    centres = np.repeat([[0.0] * 8, [50.0] * 8], 15, axis=0)
    points = embed((centres + rng.normal(size=(30, 8))).astype(np.float32))
    assert points.shape == (30, 2)
    inside = np.ptp(points[:15], axis=0).max()
    apart = np.abs(points[:15].mean(0) - points[15:].mean(0)).max()
    assert apart > inside / 2


def test_a_feature_map_colours_by_class_and_by_domain():
    points = np.arange(8, dtype=np.float32).reshape(4, 2)
    figure = plot_feature_map(
        {'video': points, 'audio': points},
        ['run', 'sit', 'run', 'sit'],
        ['x', 'x', 'y', 'y'],
        'toys (SYNTHETIC), seed 0',
    )
    by_class, by_domain = figure.axes[:2]
    np.testing.assert_array_equal(
        by_class.collections[0].get_offsets(), points[[0, 2]]
    )
    np.testing.assert_array_equal(
        by_domain.collections[0].get_offsets(), points[:2]
    )
    assert figure.get_suptitle() == 'toys (SYNTHETIC), seed 0'


def test_the_target_is_set_apart_in_a_feature_map():
    points = np.arange(8, dtype=np.float32).reshape(4, 2)
    figure = plot_feature_map(
        {'fused': points},
        ['run', 'sit', 'run', 'sit'],
        ['x', 'x', 'y', 'y'],
        targets={'y'},
    )
    by_class, by_domain = figure.axes
    seen = by_class.collections[:2]
    unseen = by_class.collections[2:]
    assert [c.get_offsets().tolist() for c in unseen] == [[[4, 5]], [[6, 7]]]
    for a, b in zip(seen, unseen, strict=True):
        assert (a.get_facecolor()[0, :3] == b.get_facecolor()[0, :3]).all()
        assert len(a.get_paths()[0].vertices) != len(b.get_paths()[0].vertices)
        assert b.get_zorder() >= a.get_zorder()
        assert a.get_alpha() < 1
    texts = [t.get_text() for t in by_domain.get_legend().get_texts()]
    assert texts == ['x', 'y (target)']
    texts = [t.get_text() for t in by_class.get_legend().get_texts()]
    assert texts == ['run', 'sit', 'source', 'target']


def test_a_confusion_matrix_counts_and_marks_what_it_knows_nothing_of():
    counts = [[3, 1, 0], [0, 0, 0], [0, 0, 2]]
    figure = plot_confusion(counts, ['run', 'sit', '_eat'], 'seed 0')
    axis = figure.axes[0]
    texts = {t.get_position(): t.get_text() for t in axis.texts}
    assert texts == {
        (0, 0): '3\n75 %',
        (1, 0): '1\n25 %',
        (1, 1): 'no sample',
        (2, 2): '2\n100 %',
    }
    ticks = [t.get_text() for t in axis.get_yticklabels()]
    assert ticks == ['run (n=4)', 'sit (n=0)', ' _eat (n=2)']
    shown = axis.images[0].get_array()
    assert np.ma.getmaskarray(shown)[1].all()
    assert shown[2].tolist() == [0, 0, 100]
    with pytest.raises(ValueError, match=r'shape \(1, 1\)'):
        plot_confusion(counts, ['run'])


def test_a_large_confusion_matrix_goes_without_numbers():
    figure = plot_confusion(np.eye(21, dtype=int), [str(n) for n in range(21)])
    assert not figure.axes[0].texts


def test_score_bars_grow_with_the_score():
    def ink(score):
        scores = {'fused': {'a': score, 'b': 1 - score}}
        colour = (0x00, 0x72, 0xB2)
        picture = draw_scores(scores)
        return int((picture[24:42] == colour).all(axis=2).sum())

    assert ink(0.6) < ink(0.9)
