# Video and flow, CMRF.
_base_ = '../mmdg/cmrf_slowfast-r101-r18-slowonly-r50_1xb16-concat-20e_hac-ac-to-h.py'
_heads = _base_.model.unimodal_heads
model = dict(
    encoders=dict(audio=None),
    unimodal_heads=dict(_delete_=True, video=_heads.video, flow=_heads.flow),
)
train_dataloader = dict(dataset=dict(modalities=['video', 'flow']))
val_dataloader = dict(dataset=dict(modalities=['video', 'flow']))
test_dataloader = dict(dataset=dict(modalities=['video', 'flow']))
