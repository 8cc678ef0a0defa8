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
    'loss': np.full(100, 1.5),
    'loss_cls': np.full(100, 1.1),
    'loss_domain': np.full(100, 0.41),
    'accuracy': np.full(100, 0.71),
    'validation_top1': np.where(STEPS % 50, np.nan, 0.52),
    'validation_top1_video': np.where(STEPS % 50, np.nan, 0.42),
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
    assert len(set(titles)) == len(titles) == 14
    lines = curves(figure.axes[titles.index('Effective lambda')])
    assert set(lines['video'].get_ydata()) == {0.5}


def test_conflicts_are_shown_as_a_rate():
    figure = plot_training_curves({'conflict_video': STEPS % 2}, window=10)
    (line,) = figure.axes[0].lines
    np.testing.assert_allclose(line.get_ydata()[9:], 0.5)


def test_the_rate_of_conflicts_is_over_many_steps_and_says_so():
    steps = np.arange(400)
    figure = plot_training_curves({'conflict_video': steps % 2})
    (axis,) = figure.axes
    (line,) = axis.lines
    assert axis.get_ylabel() == 'share of the last 40 steps'
    shown = line.get_ydata()
    # No zigzag, and no share of one step alone at the beginning.
    assert np.isnan(shown[:19]).all()
    assert np.abs(shown[19:] - 0.5).max() < 0.03


def test_validations_are_dots_at_their_steps():
    figure = plot_training_curves(RUN)
    titles = [axes.get_title() for axes in figure.axes]
    axis = figure.axes[titles.index('Accuracy on source validation')]
    lines = curves(axis)
    assert set(lines) == {'fused', 'video'}
    assert list(lines['fused'].get_xdata()) == [500, 1000]
    assert list(lines['video'].get_ydata()) == [0.42, 0.42]
    assert lines['video'].get_marker() == 'o'


def test_losses_are_named_in_their_panel_and_have_no_modality_s_colour():
    figure = plot_training_curves(RUN)
    axis = figure.axes[0]
    texts = [text.get_text() for text in axis.get_legend().get_texts()]
    assert texts == ['sum', 'classification', 'domain']
    (legend,) = figure.legends
    assert [t.get_text() for t in legend.get_texts()] == [
        'video', 'audio', 'fused'
    ]  # fmt: skip
    taken = {line.get_color() for line in legend.get_lines()}
    assert not taken & {line.get_color() for line in axis.lines}


def test_one_outlier_does_not_flatten_a_curve():
    values = np.full(200, 0.5) + 0.1 * np.sin(np.arange(200))
    values[100] = 80.0
    figure = plot_training_curves({'effective_lambda_video': values})
    low, high = figure.axes[0].get_ylim()
    # Its mean over four steps is 20, which stays in sight.
    assert 20 < high < 30
    assert low < 0.4


def test_all_panels_have_one_horizontal_axis():
    short = {'accuracy': np.ones(3), 'iteration': [1, 2, 3]}
    figure = plot_training_curves({'GMP': RUN, 'short': short})
    assert {axes.get_xlim() for axes in figure.axes} == {(-20, 1020)}


def test_a_run_that_is_missing_in_a_panel_is_explained():
    erm = {'semantic_ratio_video': np.ones(9)}
    base = {**erm, 'domain_ratio_video': np.ones(9)}
    figure = plot_training_curves({'ERM': erm, 'Base': base, 'GMP': RUN})
    notes = {
        axes.get_title(): axes.get_xlabel().splitlines()[1:]
        for axes in figure.axes
    }
    assert notes['Semantic discrepancy ratio'] == []
    assert notes['Domain discrepancy ratio'] == [
        'missing: ERM (no domain task)'
    ]
    assert notes['Conflict rate'] == [
        'missing: ERM (no domain task)',
        'missing: Base (gradient not split by task)',
    ]
    assert notes['Semantic coefficient'] == [
        'missing: ERM, Base (no modulation)'
    ]
    assert notes['Losses'] == ['missing: ERM, Base (not recorded)']


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


def test_the_mean_of_less_than_half_a_window_is_left_out():
    history = {'effective_lambda_audio': [1.0, 3.0, 5.0, 7.0]}
    figure = plot_training_curves(history, window=4)
    line = curves(figure.axes[0])['audio']
    np.testing.assert_allclose(line.get_ydata(), [np.nan, 2, 3, 4])


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
