"""Linear probes: fitted to the sources, chosen there, tested once."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import torch

from mmgmp.apis.analysis import Features
from mmgmp.apis.linear_probe import fit_probes, probe_checkpoint
from mmgmp.registry import MODELS
from mmgmp.utils.settings import KEY
from tests.shipped import GMP, ROOT, load
from tests.test_tools.test_analysis_tools import run  # noqa: F401

SPLITS = ('train', 'val', 'test')


def features(size=60, **kwargs):
    """One modality shows the class, one has to be scaled, one is noise."""
    rng = np.random.default_rng(0)
    labels = np.arange(3 * size) % 3
    shown = np.eye(3)[labels] + 0.3 * rng.normal(size=(3 * size, 3))
    noise = rng.normal(size=(3 * size, 4))
    values = {
        'video': shown,
        'audio': shown * [1e-3, 1e3, 1] + [0, 1e4, 0],
        'fused': noise,
    }
    found = Features(
        {name: x.astype(np.float32) for name, x in values.items()},
        labels,
        ['a'] * 2 * size + ['b'] * size,
        ['x', 'y', 'z'],
        ['b'],
        [split for split in SPLITS for _ in range(size)],
    )
    return dataclasses.replace(found, **kwargs)


def test_what_a_feature_shows_is_found():
    found = fit_probes(features())
    assert list(found) == ['video', 'audio', 'fused']
    assert min(found['video'].source, found['video'].target) > 0.9
    assert found['audio'].target == pytest.approx(
        found['video'].target, abs=0.05
    )
    assert max(found['fused'].source, found['fused'].target) < 0.6
    assert (found['video'].width, found['fused'].width) == (3, 4)


def test_no_target_label_or_feature_changes_a_probe():
    plain = fit_probes(features())
    given = features()
    is_test = np.array([s == 'test' for s in given.splits])
    labels = np.where(is_test, (given.labels + 1) % 3, given.labels)
    values = {
        m: np.where(is_test[:, None], x[::-1] + 5, x)
        for m, x in given.values.items()
    }
    other = fit_probes(features(labels=labels, values=values))
    for name, probe in plain.items():
        assert (
            dataclasses.replace(probe, target=other[name].target)
            == (other[name])
        )
    assert other['video'].target != plain['video'].target


def test_source_validation_chooses_the_penalty():
    """Half of the training labels are wrong: the strong penalty is better."""
    given = features(90)
    rng = np.random.default_rng(1)
    wrong = (rng.random(270) < 0.5) & (np.arange(270) < 90)
    labels = np.where(wrong, rng.integers(0, 3, 270), given.labels)
    noise = rng.normal(size=(270, 60)).astype(np.float32)
    wide = np.concatenate([given.values['video'], noise], 1)
    given = features(90, labels=labels, values={'video': wide})
    alone = {c: fit_probes(given, [c])['video'] for c in (10.0, 1e-3)}
    both = fit_probes(given, list(alone))['video']
    assert both == max(alone.values(), key=lambda probe: probe.source)
    assert alone[10.0].source != alone[1e-3].source


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (dict(domains=['b'] * 180), r"got \['b'\] among the sources"),
        (dict(splits=['train'] * 90 + ['val'] * 90), r"none of \['test'\]"),
        (dict(labels=np.zeros(180, int)), 'two classes or more'),
        (
            dict(values={'video': np.full((180, 1), np.nan, np.float32)}),
            'features of video must be finite',
        ),
    ],
)
def test_what_cannot_be_probed(change, message):
    with pytest.raises(ValueError, match=message):
        fit_probes(features(**change))
    with pytest.raises(ValueError, match='numbers > 0'):
        fit_probes(features(), [])


def save(path, config, data):
    """Weights at random that say they are of this fold."""
    sources = ['animal', 'cartoon']
    corpus = json.loads((data / 'hac_train.json').read_text())['metainfo']
    trained = dict(
        sources=sources,
        classes=corpus['classes'],
        modalities=list(config.model.encoders),
        corpus='HAC',
        seen=sources,
    )
    state = MODELS.build(config.model).state_dict()
    torch.save({'state_dict': state, 'meta': {KEY: trained}}, path)
    return path


def test_the_tool_probes_a_checkpoint(run, mini_hac, tmp_path):  # noqa: F811
    path = save(tmp_path / 'a.pth', load(), data=mini_hac)
    options = [
        f'{split}_dataloader.{option}'
        for split in SPLITS
        for option in (
            f'dataset.data_root={mini_hac}',
            'num_workers=0',
            'persistent_workers=False',
            'batch_size=4',
        )
    ]
    out = tmp_path / 'new/probe.json'
    words = [GMP, path, '--out', out, '--synthetic', '--cfg-options', *options]
    code, shown = run('../linear_probe.py', *words)
    assert code == 0, shown.err
    assert 'a.pth (SYNTHETIC)' in ' '.join(shown.out.split())
    written = json.loads(out.read_text())
    assert list(written['probes']) == ['video', 'audio', 'fused']
    assert written['targets'] == ['human']
    assert set(written['clips']) == set(SPLITS)
    widths = [probe['width'] for probe in written['probes'].values()]
    assert widths[2] == widths[0] + widths[1]
    for probe in written['probes'].values():
        assert 0 <= probe['target'] <= 1
        assert probe['strength'] in written['choices']
    # Other folds are not for this checkpoint.
    for option, message in (
        ('protocol.target=cartoon', 'cartoon'),
        ('protocol.oracle=True', "{'protocol.oracle': True}; leave that"),
        ('protocol.measure=source', "{'protocol.measure': 'source'}"),
        ('protocol.missing=[audio]', "{'protocol.missing': ['audio']}"),
        ('protocol.sources=[animal]', 'the source domains of the checkpoint'),
    ):
        code, shown = run('../linear_probe.py', *words, option)
        assert code == 2
        assert message in shown.err


@pytest.mark.slow
def test_training_clips_are_read_as_validation_reads_them(mini_hac, tmp_path):
    """Twice the same, in order, and to the last one."""
    config = load(ROOT / 'configs/base/erm_mini-hac.py', modalities=['audio'])
    for split in SPLITS:
        loader = config[f'{split}_dataloader']
        loader.update(num_workers=0, persistent_workers=False, batch_size=4)
        loader.dataset.data_root = str(mini_hac)
    path = save(tmp_path / 'a.pth', config, data=mini_hac)
    first, _ = probe_checkpoint(config, path)
    second, _ = probe_checkpoint(config, path)
    for name, values in first.values.items():
        np.testing.assert_array_equal(values, second.values[name])
    names = np.array(first.domains)[np.array(first.splits) == 'train']
    found = json.loads((mini_hac / 'hac_train.json').read_text())['data_list']
    assert names.tolist() == [
        info['domain'] for info in found if info['domain'] != 'human'
    ]
