"""What a training line shows, and what it never hides."""

from __future__ import annotations

import pytest

from mmgmp.engine.runner.brief_log_processor import shorten
from mmgmp.registry import LOG_PROCESSORS

LINE = (
    'Epoch(train)  [8][100/100]  lr: 1.6235e-03  eta: 1 day, 0:10:32  '
    'time: 0.7369  data_time: 0.2270  loss: 1.3757  loss_cls: 1.3757  '
    'accuracy: 0.5625  semantic_ratio_video: 1.0000'
)


def test_what_matters_comes_first_and_order_stays():
    assert shorten(LINE, 85) == (
        'Epoch(train)  [8][100/100]  eta: 1 day, 0:10:32  loss: 1.3757  '
        'accuracy: 0.5625'
    )


@pytest.mark.parametrize('room', [0, 30, 60, 85, 120, 500])
def test_no_line_is_longer_than_its_room(room):
    header = 'Epoch(train)  [8][100/100]'
    found = shorten(LINE, room)
    assert found.startswith(header)
    assert len(found) <= max(room, len(header))
    if room == 500:
        assert found == LINE


def test_a_width_without_room_is_refused():
    with pytest.raises(ValueError, match='width .* at least 80, got 20'):
        LOG_PROCESSORS.build(dict(type='BriefLogProcessor', width=20))
