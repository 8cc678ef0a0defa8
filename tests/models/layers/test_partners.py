from __future__ import annotations

import torch

from mmgmp.models.layers import other_domain


def test_partners_are_of_another_domain_where_there_is_one():
    labels = torch.tensor([0, 1, 0, 1, 1])
    drawn = torch.stack([other_domain(labels) for _ in range(50)])
    assert (labels[drawn] != labels).all()
    assert {*drawn[:, 0].tolist()} == {1, 3, 4}


def test_else_only_a_single_sample_is_its_own():
    alone = torch.stack([other_domain(torch.zeros(3)) for _ in range(20)])
    assert (alone != torch.arange(3)).all()
    assert other_domain(torch.zeros(1)).tolist() == [0]
    assert len({*other_domain(torch.zeros(64)).tolist()}) > 8
