# OGM-GE (CVPR 2022): OGM with noise, in the epochs of the released code.
_base_ = [
    '../_base_/corpora/kinetics-sounds.py',
    '../_base_/strategies/ogm.py',
]
model = _base_.ogm.model
optim_wrapper = dict(
    modulation=dict(
        _delete_=True,
        type='OGMModulation',
        alpha=0.5,
        noise=True,
        end_epoch=50,
    )
)
