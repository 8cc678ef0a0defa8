# NEL on mini-HAC.
_base_ = ['../_base_/corpora/mini-hac.py', '../_base_/methods/nel.py']
model = _base_.nel.model
_views = dict(
    type='MultiViewPipeline',
    num_views=2,
    transforms=_base_.train_dataloader.dataset.pipeline,
)
train_dataloader = dict(dataset=dict(pipeline=[_views]))
