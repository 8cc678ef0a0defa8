from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.dataset import pseudo_collate, worker_init_fn
from mmengine.logging import MMLogger
from torch.utils.data import DataLoader

from mmgmp.datasets import AudioVisualDataset
from mmgmp.registry import DATASETS
from mmgmp.testing.media import write_video
from tests.datasets.conftest import (
    CLASSES,
    moving_frames,
    pipeline,
    write_annotation,
)


def build(corpus: Path, **options) -> AudioVisualDataset:
    options = {'ann_file': 'train.json', 'data_root': str(corpus), **options}
    return DATASETS.build(dict(type='AudioVisualDataset', **options))


@pytest.mark.parametrize(
    'domains', [['animal', 'cartoon'], ['cartoon', 'animal'], ['human']]
)
def test_domain_labels_follow_the_order_given(corpus, domains):
    dataset = build(corpus, domains=domains)
    assert len(dataset) == 6 * len(domains)
    assert dataset.metainfo['domains'] == domains
    assert dataset.metainfo['classes'] == CLASSES
    assert dataset.metainfo['corpus'] == 'toy'
    for item in dataset:
        assert item['domain_label'] == domains.index(item['domain'])
        assert item['sample_id'].startswith(item['domain'] + '/')


def test_without_domains_all_are_kept_in_file_order(corpus):
    dataset = build(corpus)
    assert dataset.metainfo['domains'] == ['human', 'animal', 'cartoon']
    assert len(dataset) == 18


def test_a_file_may_say_that_its_clips_are_rendered(corpus, tmp_path):
    assert not build(corpus).is_synthetic
    content = json.loads((corpus / 'train.json').read_text())
    path = tmp_path / 'rendered.json'
    path.write_text(json.dumps({'synthetic': True, **content}))
    assert build(corpus, ann_file=['train.json', str(path)]).is_synthetic


def test_every_path_key_is_resolved_and_the_rest_untouched(corpus, edited):
    flow = {'path_x': 'f/x.mp4', 'path_y': '/abs/y.mp4', 'start_frame': 7}

    def add_flow(samples):
        for sample in samples:
            sample['flow'] = flow

    dataset = build(
        corpus, ann_file=edited(add_flow), modalities=['flow', 'audio']
    )
    item = dataset[0]
    assert item['modalities'] == ('flow', 'audio')
    assert set(item['sources']) == {'flow', 'audio'}
    assert item['sources']['flow'] == {
        'path_x': str(corpus / 'f/x.mp4'),
        'path_y': '/abs/y.mp4',
        'start_frame': 7,
    }
    assert item['sources']['audio']['path'] == str(corpus / 'human/clip 0.wav')


def test_files_read_as_one_keep_duplicates(corpus, edited):
    def keep_two(samples):
        del samples[2:]

    again = edited(keep_two)
    dataset = build(corpus, ann_file=['train.json', again], domains=['human'])
    ids = [item['sample_id'] for item in dataset]
    assert len(ids) == 8
    assert ids[6:] == ids[:2]


def test_class_lists_of_files_must_agree(corpus, tmp_path):
    other = tmp_path / 'other.json'
    sample = {'id': 'human/a', 'domain': 'human', 'label': 0}
    write_annotation(other, [sample], classes=['sit', 'walk'])
    with pytest.raises(ValueError, match=r'ann_file: .*same classes.*sit'):
        build(corpus, ann_file=['train.json', str(other)])


@pytest.mark.parametrize('domains', [['robot'], ['human', 'human'], []])
def test_bad_domains_list_those_there_are(corpus, domains):
    with pytest.raises(
        ValueError, match=r"domains .*train.json has \['human', 'animal', 'c"
    ):
        build(corpus, domains=domains)


def test_domain_without_samples_is_unknown(corpus, edited):
    def only_human(samples):
        samples[:] = [s for s in samples if s['domain'] == 'human']

    with pytest.raises(ValueError, match=r"has \['human'\]"):
        build(corpus, ann_file=edited(only_human), domains=['animal'])


def test_one_domain_as_a_string_is_refused(corpus):
    with pytest.raises(TypeError, match=r"write \['human'\]"):
        build(corpus, domains='human')


@pytest.mark.parametrize('label', [3, -1, 'walk', None])
def test_unknown_label_names_the_classes(corpus, edited, label):
    def spoil(samples):
        samples[4]['label'] = label

    with pytest.raises(ValueError, match=r"'human/clip 4'.*0 to 2.*'walk'"):
        build(corpus, ann_file=edited(spoil))


def test_missing_modality_lists_those_there_are(corpus):
    with pytest.raises(
        ValueError, match=r"no \['flow'\] entry, it has \['video', 'audio'\]"
    ):
        build(corpus, modalities=['video', 'flow'])


def test_missing_annotation_names_data_prep(corpus):
    with pytest.raises(FileNotFoundError, match=r'ann_file: .*data_prep'):
        build(corpus, ann_file='absent.json')


@pytest.mark.parametrize(
    'content', [[], {'data_list': []}, {'metainfo': {}, 'data_list': []}]
)
def test_incomplete_annotation_is_refused(corpus, tmp_path, content):
    path = tmp_path / 'bad.json'
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match='classes and domains'):
        build(corpus, ann_file=str(path))


@pytest.mark.parametrize(
    ('option', 'value', 'error'),
    [
        ('on_error', 'ignore', ValueError),
        ('max_errors', -1, ValueError),
        ('max_errors', 1.5, ValueError),
        ('modalities', 'video', TypeError),
        ('modalities', [], TypeError),
        ('pipeline', dict(type='PackMultiModalInputs'), TypeError),
    ],
)
def test_bad_options_name_their_key(corpus, option, value, error):
    with pytest.raises(error, match=option):
        build(corpus, **{option: value})


@pytest.mark.parametrize('suffix', ['.txt', '.json'])
def test_skip_list_removes_samples(corpus, tmp_path, suffix):
    ids = ['human/clip 1', 'animal/clip 0', 'elsewhere/clip']
    path = tmp_path / f'skip{suffix}'
    path.write_text(json.dumps(ids) if suffix == '.json' else '\n'.join(ids))
    dataset = build(corpus, skip_list=str(path), domains=['human'])
    kept = [item['sample_id'] for item in dataset]
    assert len(kept) == 5
    assert 'human/clip 1' not in kept


def test_missing_skip_list_is_an_error(corpus):
    with pytest.raises(FileNotFoundError, match=r'skip_list: .*absent'):
        build(corpus, skip_list='absent.txt')


def test_batches_have_the_documented_form(corpus):
    dataset = build(corpus, domains=['animal', 'human'], pipeline=pipeline())
    batch = pseudo_collate([dataset[0], dataset[7]])
    assert list(batch['inputs']) == ['video', 'audio']
    for video in batch['inputs']['video']:
        assert video.shape == (1, 3, 8, 16, 16)
        assert video.dtype == torch.uint8
    for audio in batch['inputs']['audio']:
        assert audio.shape == (1, 257, 98)
        assert audio.dtype == torch.float32
    first, second = batch['data_samples']
    assert (first.domain, second.domain) == ('human', 'animal')
    assert first.domain_label.tolist() == [1]
    assert second.domain_label.tolist() == [0]
    assert second.gt_label.tolist() == [1]
    assert second.sample_id == 'animal/clip 1'


def test_same_seed_gives_the_same_sample(corpus):
    dataset = build(corpus, pipeline=pipeline())
    samples = []
    for _ in range(2):
        np.random.seed(3)
        samples.append(dataset[2]['inputs'])
    assert torch.equal(samples[0]['video'], samples[1]['video'])
    assert torch.equal(samples[0]['audio'], samples[1]['audio'])


def test_workers_give_what_the_process_gives(corpus):
    dataset = build(corpus, domains=['human'], pipeline=pipeline())

    def load() -> list[torch.Tensor]:
        loader = DataLoader(
            dataset,
            num_workers=2,
            collate_fn=pseudo_collate,
            worker_init_fn=lambda worker: worker_init_fn(worker, 2, 0, 5),
        )
        return [batch['inputs']['audio'][0] for batch in loader]

    for one, other in zip(load(), load(), strict=True):
        assert torch.equal(one, other)


def break_clips(*numbers: int):
    """Point some human clips at a missing, a broken and an empty file."""
    names = ['absent.mp4', 'broken.mp4', 'empty.mp4']

    def change(samples):
        for number, name in zip(numbers, names, strict=False):
            samples[number]['video']['path'] = name

    return change


@pytest.fixture
def broken_files(corpus: Path) -> None:
    write_video(corpus / 'broken.mp4', moving_frames(24))
    data = bytearray((corpus / 'broken.mp4').read_bytes())
    (corpus / 'broken.mp4').write_bytes(data[: len(data) // 3])
    (corpus / 'empty.mp4').write_bytes(b'')


@pytest.mark.parametrize('number', [0, 1, 2])
def test_raise_policy_names_the_file(corpus, edited, broken_files, number):
    ann_file = edited(break_clips(0, 1, 2))
    dataset = build(corpus, ann_file=ann_file, pipeline=pipeline())
    name = ['absent.mp4', 'broken.mp4', 'empty.mp4'][number]
    with pytest.raises(OSError, match=name):
        dataset[number]


def test_skip_policy_takes_the_next_readable_sample(
    corpus, edited, broken_files, caplog, monkeypatch
):
    logger = MMLogger.get_current_instance()
    monkeypatch.setattr(logger, 'handlers', [caplog.handler])
    dataset = build(
        corpus,
        ann_file=edited(break_clips(0, 1, 2)),
        pipeline=pipeline(),
        on_error='skip',
        max_errors=3,
    )
    for _ in range(2):
        assert dataset[0]['data_samples'].sample_id == 'human/clip 3'
    assert dataset[4]['data_samples'].sample_id == 'human/clip 4'
    ids = ['human/clip 0', 'human/clip 1', 'human/clip 2']
    assert dataset.unreadable_ids == ids
    for sample_id in ids:
        assert caplog.text.count(f'Skipped sample {sample_id},') == 1


@pytest.mark.parametrize('max_errors', [2, 2 / 18, 0.0, 0])
def test_skip_policy_is_bounded(corpus, edited, broken_files, max_errors):
    dataset = build(
        corpus,
        ann_file=edited(break_clips(0, 1, 2)),
        pipeline=pipeline(),
        on_error='skip',
        max_errors=max_errors,
    )
    with pytest.raises(RuntimeError, match=r'max_errors: .*human/clip 0'):
        dataset[0]


def test_skip_policy_wraps_around_at_the_end(corpus, edited, broken_files):
    dataset = build(
        corpus,
        ann_file=edited(break_clips(5)),
        domains=['human'],
        pipeline=pipeline(),
        on_error='skip',
        max_errors=1,
        test_mode=True,
    )
    assert dataset[5]['data_samples'].sample_id == 'human/clip 0'


def test_skip_policy_does_not_hide_mistakes(corpus):
    transforms = pipeline()
    transforms[0]['audio'] = transforms[0]['audio'][:1]
    dataset = build(
        corpus, pipeline=transforms, on_error='skip', max_errors=1.0
    )
    with pytest.raises(ValueError, match='audio: none of'):
        dataset[0]


def test_subset_and_class_ids(corpus):
    dataset = build(corpus, indices=4, domains=['cartoon'])
    assert len(dataset) == 4
    assert [dataset.get_cat_ids(i) for i in range(4)] == [[0], [1], [2], [0]]


def test_no_samples_are_an_error(corpus):
    with pytest.raises(ValueError, match='indices must leave at least one'):
        build(corpus, indices=0)
    everything = [build(corpus)[i]['sample_id'] for i in range(18)]
    with pytest.raises(ValueError, match='skip_list must leave samples'):
        build(corpus, skip_list=everything)


def test_lazy_dataset_reads_when_used(corpus):
    dataset = build(corpus, domains=['human'], lazy_init=True)
    assert not dataset.data_list
    dataset.full_init()
    assert len(dataset) == 6


def test_example_of_the_documentation_loads(tmp_path):
    text = (Path(__file__).parents[2] / 'docs' / 'data.md').read_text()
    example = text.split('```json')[1].split('```')[0]
    (tmp_path / 'train.json').write_text(example)
    item = build(tmp_path, domains=['kitchen'])[0]
    assert item['sources']['audio'] == {
        'path': str(tmp_path / 'kitchen/day 1.wav'),
        'start': 12.5,
        'stop': 15.0,
    }
