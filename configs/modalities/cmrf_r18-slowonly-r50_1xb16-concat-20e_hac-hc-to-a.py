# Audio and flow, CMRF.
_base_ = '../mmdg/cmrf_slowfast-r101-r18-slowonly-r50_1xb16-concat-20e_hac-hc-to-a.py'
_heads = _base_.model.unimodal_heads
model = dict(
    encoders=dict(video=None),
    unimodal_heads=dict(_delete_=True, audio=_heads.audio, flow=_heads.flow),
)
train_dataloader = dict(dataset=dict(modalities=['audio', 'flow']))
val_dataloader = dict(dataset=dict(modalities=['audio', 'flow']))
test_dataloader = dict(dataset=dict(modalities=['audio', 'flow']))
