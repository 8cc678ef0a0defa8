"""Any annotation is read completely or refused with the offending sample."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mmgmp.datasets import AudioVisualDataset

DOMAINS = ('human', 'animal', 'cartoon')
SAMPLES = st.lists(
    st.tuples(
        st.sampled_from(DOMAINS), st.integers(0, 3), st.text(max_size=5)
    ),
    min_size=1,
    max_size=12,
)


def write(path, samples):
    data_list = [
        {
            'id': f'{domain}/{name}{index}',
            'domain': domain,
            'label': label,
            'video': {'path': f'{index}.mp4'},
            'audio': {'path': f'{index}.wav', 'start': 0.0, 'stop': 1.0},
        }
        for index, (domain, label, name) in enumerate(samples)
    ]
    metainfo = {
        'corpus': 'toy',
        'classes': ['a', 'b', 'c'],
        'domains': list(DOMAINS),
    }
    path.write_text(
        json.dumps({'metainfo': metainfo, 'data_list': data_list}),
        encoding='utf-8',
    )
    return data_list


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    samples=SAMPLES,
    wanted=st.lists(
        st.sampled_from(DOMAINS), min_size=1, max_size=3, unique=True
    ),
)
def test_read_completely_or_refused(tmp_path, samples, wanted):
    written = write(tmp_path / 'all.json', samples)
    kept = [s for s in written if s['domain'] in wanted]
    absent = [d for d in wanted if d not in {s['domain'] for s in written}]
    bad = [s for s in kept if s['label'] > 2]

    def read():
        return AudioVisualDataset(
            str(tmp_path / 'all.json'),
            domains=wanted,
            data_root=str(tmp_path),
            serialize_data=False,
        )

    if absent:
        with pytest.raises(ValueError, match='domains must name'):
            read()
    elif bad:
        with pytest.raises(ValueError, match='number from 0 to 2') as info:
            read()
        assert repr(bad[0]['id']) in str(info.value)
    else:
        dataset = read()
        infos = [dataset.get_data_info(i) for i in range(len(dataset))]
        assert [i['sample_id'] for i in infos] == [s['id'] for s in kept]
        for info, sample in zip(infos, kept, strict=True):
            assert info['label'] == sample['label']
            assert wanted[info['domain_label']] == sample['domain']
