# OPM (TPAMI 2024): the leading modality is hidden from some samples, from
# epoch 2 of twelve on.
_base_ = ['../_base_/corpora/mini-hac.py', '../_base_/strategies/ogm.py']
_drop = dict(_base_.opm.model.feature_transforms[0], warmup_epochs=2)
model = dict(_base_.opm.model, feature_transforms=[_drop])
