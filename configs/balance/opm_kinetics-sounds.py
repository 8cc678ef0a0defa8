# OPM (TPAMI 2024): the leading modality is hidden from some samples, from
# epoch 6 on.
_base_ = [
    '../_base_/corpora/kinetics-sounds.py',
    '../_base_/strategies/ogm.py',
]
model = _base_.opm.model
