# OGM-GE (CVPR 2022): OGM with noise, with the authors' settings for this
# corpus.
_base_ = ['../_base_/corpora/crema-d.py', '../_base_/strategies/ogm.py']
model = _base_.ogm.model
optim_wrapper = dict(
    modulation=dict(
        _delete_=True,
        type='OGMModulation',
        alpha=0.8,
        noise=True,
        end_epoch=50,
    )
)
