import sys

import numpy as np
import pytest

from mmgmp.visualization import plot_ratio_curves, plot_training_curves

STEPS = np.arange(1, 101)
RUN = {
    'iteration': 10 * STEPS,
    'semantic_ratio_video': 1 + 1 / STEPS,
    'semantic_ratio_audio': 1 / (1 + 1 / STEPS),
    'domain_ratio_video': np.full(100, 0.8),
    'domain_ratio_audio': np.full(100, 1.25),
    'conflict_video': STEPS % 2,
    'cosine_video': np.sin(STEPS),
    'domain_accuracy': np.full(100, 0.6),
    'domain_chance': np.full(100, 0.5),
    'classification_grad_norm_video': np.ones(100),
    'domain_grad_norm_video': np.full(100, 0.2),
    'semantic_coefficient_video': np.full(100, 0.4),
    'domain_coefficient_video': np.ones(100),
    'effective_lambda_video': np.full(100, 0.5),
    'update_scale_video': np.full(100, 0.6),
    'lr': np.ones(100),
}


def curves(axes):
    return {
        line.get_label(): line
        for line in axes.lines
        if not line.get_label().startswith('_')
    }


def test_ratio_curves_show_the_values_and_the_target():
    figure = plot_ratio_curves(RUN, window=1)
    semantic, domain = figure.axes
    lines = curves(semantic)
    assert set(lines) == set(curves(domain)) == {'video', 'audio'}
    np.testing.assert_array_equal(lines['video'].get_xdata(), 10 * STEPS)
    np.testing.assert_array_equal(
        lines['video'].get_ydata(), RUN['semantic_ratio_video']
    )
    targets = [line for line in semantic.lines if line not in lines.values()]
    assert [list(line.get_ydata()) for line in targets] == [[1, 1]]


def test_a_modality_has_one_colour_in_all_panels():
    figure = plot_training_curves(RUN)
    colours = {
        curves(axes)['video'].get_color()
        for axes in figure.axes
        if 'video' in curves(axes)
    }
    assert len(colours) == 1


def test_whatever_a_strategy_records_has_its_axes():
    figure = plot_training_curves(RUN, window=1)
    shown = [
        line.get_ydata()[-1]
        for axes in figure.axes
        for line in curves(axes).values()
    ]
    expected = [v[-1] for n, v in RUN.items() if n not in ('iteration', 'lr')]
    assert sorted(shown) == sorted(expected)
    titles = [axes.get_title() for axes in figure.axes]
    assert len(set(titles)) == len(titles) == 11
    lines = curves(figure.axes[titles.index('Effective lambda')])
    assert set(lines['video'].get_ydata()) == {0.5}


def test_conflicts_are_shown_as_a_rate():
    figure = plot_training_curves({'conflict_video': STEPS % 2}, window=10)
    (line,) = figure.axes[0].lines
    np.testing.assert_allclose(line.get_ydata()[9:], 0.5)


def test_several_runs_are_told_apart():
    figure = plot_ratio_curves({'Base': RUN, 'GMP': RUN})
    lines = curves(figure.axes[0])
    looks = {(x.get_color(), x.get_linestyle()) for x in lines.values()}
    assert set(lines) == {
        'Base, video', 'Base, audio', 'GMP, video', 'GMP, audio'
    }  # fmt: skip
    assert len(looks) == 4
    (legend,) = figure.legends
    assert len(legend.get_texts()) == 4


def test_runs_may_differ_in_length_and_curves():
    short = {'semantic_ratio_video': [2.0, 1.0]}
    figure = plot_ratio_curves({'GMP': RUN, 'short': short}, window=1)
    line = curves(figure.axes[0])['short, video']
    assert list(line.get_xdata()) == [1, 2]


@pytest.mark.parametrize('gap', [np.nan, np.inf])
def test_smoothing_keeps_a_gap_a_gap(gap):
    values = [1.0, 3.0, gap, 5.0, 7.0]
    history = {'effective_lambda_audio': values}
    figure = plot_training_curves(history, window=2)
    line = curves(figure.axes[0])['audio']
    np.testing.assert_allclose(line.get_ydata(), [1, 2, np.nan, 5, 6])


@pytest.mark.parametrize(
    ('suffix', 'magic'), [('png', b'\x89PNG'), ('svg', b'<?xml')]
)
def test_the_suffix_is_the_format(tmp_path, suffix, magic):
    path = tmp_path / 'figures' / f'curves.{suffix}'
    plot_training_curves(RUN, path, title='synthetic')
    assert path.read_bytes().startswith(magic)


def test_the_legend_covers_no_data(tmp_path):
    figure = plot_training_curves(RUN, tmp_path / 'curves.png')
    legend = figure.legends[0].get_window_extent()
    assert not any(
        legend.overlaps(axes.get_window_extent()) for axes in figure.axes
    )


def test_pyplot_is_left_alone():
    pyplot = sys.modules.get('matplotlib.pyplot')
    before = pyplot.get_fignums() if pyplot else []
    plot_training_curves(RUN)
    pyplot = sys.modules.get('matplotlib.pyplot')
    assert (pyplot.get_fignums() if pyplot else []) == before


@pytest.mark.parametrize(
    ('histories', 'message'),
    [
        ({'lr': [0.1]}, r"a curve to draw.*got \['lr'\]"),
        (
            {'conflict_video': [1], 'conflict_audio': [1, 0]},
            'vectors of one length',
        ),
        ({'conflict_video': [[1]]}, 'vectors of one length'),
        ({str(i): RUN for i in range(8)}, 'at most 7 runs'),
    ],
    ids=['no-curve', 'lengths', 'matrix', 'runs'],
)
def test_unusable_histories_are_explained(histories, message):
    with pytest.raises(ValueError, match=message):
        plot_training_curves(histories)


def test_window_is_checked():
    with pytest.raises(ValueError, match='window must be >= 1'):
        plot_ratio_curves(RUN, window=0)
