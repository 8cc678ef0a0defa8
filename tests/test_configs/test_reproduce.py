"""docs/reproduce.md: configs that are there, numbers that were published."""

from __future__ import annotations

import re
from itertools import permutations
from pathlib import Path
from statistics import mean

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
TARGETS = {
    'hac': ('ac-to-h', 'hc-to-a', 'ha-to-c'),
    'epic': ('d23-to-d1', 'd13-to-d2', 'd12-to-d3'),
}
DOMAINS = {'hac': 'hac', 'epic': '123'}
SETS = ('V+A', 'V+F', 'A+F', 'V+A+F')
TEXT = (ROOT / 'docs' / 'reproduce.md').read_text('utf-8')
PUBLISHED = yaml.safe_load(
    (ROOT / 'mmgmp/apis/benchmark/published.yml').read_text('utf-8')
)['tables']


def rows_of(text: str) -> list[list[str]]:
    return [
        [cell.strip() for cell in line.strip().strip('|').split('|')]
        for line in text.splitlines()
        if re.match(r'\| [^|]+ \| `[a-z_/]+/[^`]+e` \|', line)
    ]


# Rows by the title of their section.
SECTIONS = {
    part.split('\n')[0].strip('# ').split(':')[0]: rows_of(part)
    for part in re.split(r'^(?=##)', TEXT, flags=re.MULTILINE)
    if rows_of(part)
}
SINGLE = SECTIONS['One source domain']
ROWS = [row for rows in SECTIONS.values() for row in rows]
CONFIGS = sorted({row[1].strip('`') for row in ROWS})


def test_every_table_has_its_rows():
    sizes = {title: len(rows) for title, rows in SECTIONS.items()}
    assert sizes == {
        **{f'Table {i}': n for i, n in enumerate((6, 8, 8, 11, 8), start=1)},
        **dict.fromkeys(SETS, 8),
        'One source domain': 14,
    }


@pytest.mark.parametrize('config', CONFIGS)
def test_the_configs_are_there_for_all_targets(config):
    ends = [f'{corpus}-{t}' for corpus in TARGETS for t in TARGETS[corpus]]
    if 'uni-' in config:
        ends = ends[3:]
    if config.startswith('single_source/'):
        ends = [
            f'{corpus}-{d}{source}-to-{d}{target}'
            for corpus, d in (('hac', ''), ('epic', 'd'))
            for source, target in permutations(DOMAINS[corpus], 2)
        ]
    missing = [
        end
        for end in ends
        if not (ROOT / 'configs' / f'{config}_{end}.py').is_file()
    ]
    assert missing == []


def test_every_config_named_in_the_text_is_there():
    stems = re.findall(r'`([a-z_/]+/[a-z0-9_.-]+-\d+e)(_[a-z0-9-]+)?`', TEXT)
    assert len(stems) > len(ROWS)
    for stem, end in stems:
        assert list((ROOT / 'configs').glob(f'{stem}{end or "_*"}.py')), stem


@pytest.mark.parametrize('number', ['2', '3', '4', '5'])
def test_numbers_of_the_paper_are_those_of_the_report(number):
    """The benchmark report compares with the same numbers."""
    expected = [
        (table['corpus'], value)
        for table in PUBLISHED
        if (table['source'], table.get('table')) == ('gmp', number)
        for (value,) in table['rows'].values()
    ]
    if number == '4':  # which leaves out its first row, that of Table 2
        expected += [('EPIC-Kitchens', 55.06), ('HAC', 61.86)]
    found = [
        (corpus, float(value))
        for row in SECTIONS[f'Table {number}']
        for corpus, value in zip(
            ('EPIC-Kitchens', 'HAC'), row[2:4], strict=True
        )
    ]
    assert sorted(found) == sorted(expected)


def test_numbers_of_table_1_are_those_of_the_report():
    tables = {
        t['split']: t['rows'] for t in PUBLISHED if t.get('table') == '1'
    }
    for name, _, *cells in SECTIONS['Table 1']:
        for split, cell in zip(('source', 'target'), cells[:2], strict=True):
            wanted = [v for v in tables[split][name] if v is not None]
            assert [float(v) for v in cell.split(' / ')] == wanted


@pytest.mark.parametrize('modalities', SETS)
def test_numbers_by_target_are_those_of_the_report(modalities):
    tables = {
        t['corpus']: t['rows']
        for t in PUBLISHED
        if (t['source'], t['modalities']) == ('mbcd', modalities)
    }
    for name, _, *cells in SECTIONS[modalities]:
        for corpus, cell in zip(tables, cells[:2], strict=True):
            values = tables[corpus].get(name)
            pairs = values and [
                f'{v[0]:.2f}±{v[1]:.2f}' if isinstance(v, list) else f'{v:.2f}'
                for v in values
            ]
            assert cell == (' / '.join(pairs) if pairs else '-')


def test_means_over_single_sources_are_those_of_their_columns():
    published = [row for row in SINGLE if row[2] != '-']
    assert len(published) == 12
    for row in published:
        *values, average = map(float, row[2:9])
        assert mean(values) == pytest.approx(average, abs=0.0051), row
