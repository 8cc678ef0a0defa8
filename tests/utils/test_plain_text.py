from __future__ import annotations

import io

import pytest

from mmgmp.utils.plain_text import csv_cell, figure_text, markdown_text


@pytest.mark.parametrize(
    'text',
    ['=1+1', '+A1', '-A1', '@SUM(A1)', '\t=1', '\r=1', ' =1', '\uff1d1+1'],
)
def test_a_formula_becomes_text(text):
    assert csv_cell(text) == f"'{text}"


@pytest.mark.parametrize('value', ['-1.5', '+2e-3', -1.5, 3, None, '', 'a=1'])
def test_other_cells_stay(value):
    assert csv_cell(value) is value


@pytest.mark.parametrize(
    ('text', 'expected'),
    [
        ('<script>x', '&lt;script&gt;x'),
        ('a|b', r'a\|b'),
        ('`id`', r'\`id\`'),
        ('[a](javascript:b)', r'[a]\(javascript:b)'),
        ('one\n# two', 'one # two'),
        ('_a_ and alpha_k', r'\_a\_ and alpha_k'),
        ('&lt;', '&amp;lt;'),
        ('$x$', r'\$x\$'),
        ('n=2 [-0.1, 0.2] (95 %)', 'n=2 [-0.1, 0.2] (95 %)'),
    ],
)
def test_markdown_shows_the_text(text, expected):
    assert markdown_text(text) == expected


@pytest.mark.parametrize(
    'text',
    ['$x$', r'$\frac{1$', r'a\$b', '_hidden', '%s{0}', '$$', r'\$$\no$'],
)
def test_a_figure_shows_the_text(text):
    from matplotlib.figure import Figure

    figure = Figure()
    axis = figure.subplots()
    axis.bar([0], [1], label=figure_text(text))
    axis.set_title(figure_text(text))
    assert len(figure.legend().get_texts()) == 1
    svg = io.StringIO()
    figure.savefig(svg, format='svg')
    assert svg.getvalue().count(f'{text} -->') == 2
