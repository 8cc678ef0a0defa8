"""Predictions are data: nothing that their pickle names runs."""

from __future__ import annotations

import io
import os
import pickle
from typing import Any

import numpy as np
import pytest
import torch

from mmgmp.apis.predictions import Predictions, read_predictions
from tests.fuzzing import fuzz

DTYPES = [
    torch.float32, torch.float64, torch.float16, torch.bfloat16,
    torch.int64, torch.uint8,
]  # fmt: skip


def samples(dtype: torch.dtype = torch.float32) -> list[dict[str, Any]]:
    rng = np.random.default_rng(0)
    scores = torch.tensor(rng.uniform(0, 9, (6, 2, 4))).to(dtype)
    return [
        {
            'sample_id': f'human/{number}',
            'domain': 'human',
            'gt_label': torch.tensor([number % 4]),
            'pred_score': scores[number, 0],
            # Every second number of its storage.
            'modality_scores': {'audio': scores[number].T.flatten()[1::2]},
        }
        for number in range(6)
    ]


@pytest.mark.parametrize('dtype', DTYPES, ids=str)
@pytest.mark.parametrize('protocol', [2, 4, 5])
def test_what_torch_pickles_is_read(dtype, protocol, tmp_path):
    path = tmp_path / 'predictions.pkl'
    written = samples(dtype)
    path.write_bytes(pickle.dumps(written, protocol))
    found = read_predictions(path)
    assert found.labels.tolist() == [0, 1, 2, 3, 0, 1]
    expected = [int(s['pred_score'].argmax()) for s in written]
    assert found.predicted.tolist() == expected
    expected = [int(s['modality_scores']['audio'].argmax()) for s in written]
    assert read_predictions(path, 'audio').predicted.tolist() == expected


def test_what_mmengine_dumps_is_read(tmp_path):
    from mmengine.evaluator import DumpResults

    path = tmp_path / 'predictions.pkl'
    metric = DumpResults(str(path))
    metric.process({}, samples())
    metric.evaluate(6)
    assert len(read_predictions(path).labels) == 6


class Hostile:
    def __init__(self, *call: Any) -> None:
        self.call = call

    def __reduce__(self) -> Any:
        return self.call


@pytest.mark.parametrize(
    'call',
    [
        (os.mkdir, ('ran',)),
        (torch.load, ('evil.pth', 'cpu')),
        (eval, ('1',)),
    ],
    ids=['mkdir', 'torch.load', 'eval'],
)
def test_a_program_is_refused(call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / 'predictions.pkl'
    hostile = [{**samples()[0], 'pred_score': Hostile(*call)}]
    path.write_bytes(pickle.dumps(hostile))
    with pytest.raises(ValueError, match=r'\.pkl is refused, it names the gl'):
        read_predictions(path)
    assert os.listdir(tmp_path) == ['predictions.pkl']


def test_a_program_inside_of_a_tensor_is_refused(tmp_path, monkeypatch):
    """A tensor's numbers are a pickle inside of the pickle."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / 'predictions.pkl'
    inner = io.BytesIO()
    for part in (0x1950A86A20F9469CFC6C, 1001, {'little_endian': True}):
        pickle.dump(part, inner)
    pickle.dump(Hostile(os.mkdir, ('ran',)), inner)
    storage = Hostile(torch.storage._load_from_bytes, (inner.getvalue(),))
    tensor = Hostile(
        torch._utils._rebuild_tensor_v2, (storage, 0, (4,), (1,), False, {})
    )
    path.write_bytes(pickle.dumps([{**samples()[0], 'pred_score': tensor}]))
    with pytest.raises(ValueError, match='is refused, it names the global'):
        read_predictions(path)
    assert os.listdir(tmp_path) == ['predictions.pkl']


def claiming(size: int, stride: int) -> Hostile:
    storage = torch.ones(4).untyped_storage()
    content = torch.storage.TypedStorage(
        wrap_storage=storage, dtype=torch.float32, _internal=True
    ).__reduce__()
    return Hostile(
        torch._utils._rebuild_tensor_v2,
        (Hostile(*content), 0, (size,), (stride,), False, {}),
    )


@pytest.mark.parametrize(
    'change',
    [
        {'gt_label': torch.tensor([4])},
        {'gt_label': torch.tensor([-1])},
        {'gt_label': torch.tensor([0, 1])},
        {'pred_score': torch.tensor([0.5, float('nan'), 0, 0])},
        {'pred_score': torch.ones(3)},
        {'pred_score': torch.ones(2, 2)},
        {'pred_score': 'high'},
        {'pred_score': claiming(10**12, 1)},
        {'pred_score': claiming(10**12, 0)},
        {'domain': ['human']},
    ],
    ids=range(10),
)
def test_other_content_is_refused(change, tmp_path):
    path = tmp_path / 'predictions.pkl'
    first, *others = samples()
    path.write_bytes(pickle.dumps([first, {**first, **change}, *others]))
    with pytest.raises(ValueError, match=r'\.pkl is no dump of test\.py, or'):
        read_predictions(path)


@pytest.mark.parametrize('content', [[], {}, [1], None, 'text'])
def test_what_holds_no_samples_is_refused(content, tmp_path):
    path = tmp_path / 'predictions.pkl'
    path.write_bytes(pickle.dumps(content))
    with pytest.raises(ValueError, match=r'\.pkl is no dump of test\.py, or'):
        read_predictions(path)


def test_damaged_dumps_are_read_or_named(tmp_path):
    originals = {
        f'{protocol}.pkl': pickle.dumps(samples(), protocol)
        for protocol in (2, 4)
    }

    def is_right(found: Predictions) -> bool:
        sizes = {len(found.labels), len(found.predicted), len(found.domains)}
        return len(sizes) == 1 and max(found.labels) < 4

    assert not fuzz(read_predictions, originals, tmp_path, check=is_right)
