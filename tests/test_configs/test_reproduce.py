"""docs/reproduce.md: configs that are there, numbers that were published."""

from __future__ import annotations

import re
from pathlib import Path
from statistics import mean

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
CORPORA = ('hac', 'epic')
SETS = ('V+A', 'V+F', 'A+F', 'V+A+F')
TEXT = (ROOT / 'docs' / 'reproduce.md').read_text('utf-8')
PUBLISHED = yaml.safe_load(
    (ROOT / 'mmgmp/apis/report/published.yml').read_text('utf-8')
)['tables']


def rows_of(text: str) -> list[list[str]]:
    return [
        [cell.strip() for cell in line.strip().strip('|').split('|')]
        for line in text.splitlines()
        if re.match(r'\| [^|]+ \| `[a-z_/-]+/[a-z-]+`[^|]* \|', line)
    ]


# Rows by the title of their section.
SECTIONS = {
    part.split('\n')[0].strip('# ').split(':')[0]: rows_of(part)
    for part in re.split(r'^(?=##)', TEXT, flags=re.MULTILINE)
    if rows_of(part)
}
SINGLE = SECTIONS['One source domain']
ROWS = [row for rows in SECTIONS.values() for row in rows]
CONFIGS = sorted({row[1].split('`')[1] for row in ROWS})


def test_every_table_has_its_rows():
    sizes = {title: len(rows) for title, rows in SECTIONS.items()}
    assert sizes == {
        **{f'Table {i}': n for i, n in enumerate((6, 8, 8, 11, 8), start=1)},
        **dict.fromkeys(SETS, 8),
        'One source domain': 14,
    }


@pytest.mark.parametrize('config', CONFIGS)
def test_the_configs_are_there_for_both_corpora(config):
    for corpus in CORPORA:
        assert (ROOT / 'configs' / f'{config}_{corpus}.py').is_file()


def test_a_modality_set_is_said_above_its_rows():
    for modalities in SETS[1:]:
        names = {'V': 'video', 'A': 'audio', 'F': 'flow'}
        words = ','.join(names[m] for m in modalities.split('+'))
        section = TEXT.split(f'### {modalities}:')[1].split('| row')[0]
        assert f'protocol.modalities="[{words}]"' in section


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
