"""docs/reproduce.md names configs that are there, for every target."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
TARGETS = (
    'hac-ac-to-h',
    'hac-hc-to-a',
    'hac-ha-to-c',
    'epic-d23-to-d1',
    'epic-d13-to-d2',
    'epic-d12-to-d3',
)
TEXT = (ROOT / 'docs' / 'reproduce.md').read_text('utf-8')
ROWS = [
    [cell.strip() for cell in line.strip('|').split('|')]
    for line in TEXT.splitlines()
    if re.match(r'\| [^|]+ \| `[a-z_/]+/[^`]+-20e` \|', line)
]
CONFIGS = sorted({row[1].strip('`') for row in ROWS})


def test_every_row_of_the_five_tables_is_there():
    sizes = [
        len(re.findall(r'^\| .*`.*-20e`', part, re.MULTILINE))
        for part in re.split(r'^## Table', TEXT, flags=re.MULTILINE)[1:]
    ]
    assert sizes == [6, 8, 8, 11, 8]
    assert len(ROWS) == sum(sizes)


@pytest.mark.parametrize('config', CONFIGS)
def test_the_configs_are_there_for_all_targets(config):
    corpora = TARGETS if 'uni-' not in config else TARGETS[3:]
    missing = [
        target
        for target in corpora
        if not (ROOT / 'configs' / f'{config}_{target}.py').is_file()
    ]
    assert missing == []


def test_published_numbers_are_those_of_the_report():
    """Tables 2 to 5 here and in what the benchmark report compares with."""
    published = yaml.safe_load(
        (ROOT / 'mmgmp/apis/benchmark/published.yml').read_text('utf-8')
    )
    expected = sorted(
        (table['corpus'][:3], value)
        for table in published['tables']
        if table['source'] == 'gmp' and table['table'] != '1'
        for (value,) in table['rows'].values()
    )
    found = sorted(
        (corpus, float(value))
        for row in ROWS
        if len(row) == 6 and '/' not in row[2] and row[4:] == ['', '']
        for corpus, value in zip(('EPI', 'HAC'), row[2:4], strict=True)
        if row[0] not in ('Uni-video', 'Uni-audio')
    )
    # Table 4 there leaves out its first row, which is that of Table 2.
    assert found == sorted([*expected, ('EPI', 55.06), ('HAC', 61.86)])
