"""Statistics of the forward pass are those of all ranks."""

from __future__ import annotations

import torch

from mmgmp.models.methods.agm_logits import AGMLogitsMethod
from mmgmp.models.methods.balgrad import BalGradMethod
from tests.processes import run_ranks

from .toy_methods import hand_batch

WIDTHS = {'video': 2, 'audio': 2}


def linear(features):
    return features['video'] + 0.5 * features['audio']


def scores_after(index):
    generator = torch.Generator().manual_seed(0)
    features = {m: torch.randn(6, 2, generator=generator) for m in WIDTHS}
    part = {m: x[index] for m, x in features.items()}
    labels = torch.tensor([0, 1, 0, 1, 1, 0])[index].tolist()
    method = AGMLogitsMethod(WIDTHS, 2)
    method.losses(
        hand_batch(part, labels, logits=linear(part), classify=linear)
    )
    return method.running_scores


def on_rank(rank: int, world_size: int):
    balgrad = BalGradMethod(WIDTHS, 2)
    return {
        'weights': balgrad.learning_state(
            torch.tensor([[1.0, 2.0], [4.0, 2.0]][rank]), (3, 1)[rank]
        ),
        'evaluated': balgrad.eval().learning_state(
            torch.tensor([1.0, 3.0]), 2
        ),
        'scores': scores_after(slice(0, 4) if rank == 0 else slice(4, 6)),
    }


def test_ranks_share_their_statistics(tmp_path):
    first, second = run_ranks(on_rank, 2, tmp_path / 'ranks')
    for name, value in first.items():
        assert torch.equal(value, second[name]), name
    # Sums over the samples: 3 * 1 + 4 = 7 and 3 * 2 + 2 = 8.
    torch.testing.assert_close(
        first['weights'], torch.tensor([7 / 15, 8 / 15])
    )
    assert first['evaluated'].tolist() == [0.25, 0.75]
    torch.testing.assert_close(first['scores'], scores_after(slice(None)))
