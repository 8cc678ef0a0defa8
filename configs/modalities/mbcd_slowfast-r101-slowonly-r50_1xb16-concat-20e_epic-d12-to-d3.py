# Video and flow, MBCD.
_base_ = '../mmdg/mbcd_slowfast-r101-r18-slowonly-r50_1xb16-concat-20e_epic-d12-to-d3.py'
model = dict(encoders=dict(audio=None))
train_dataloader = dict(dataset=dict(modalities=['video', 'flow']))
val_dataloader = dict(dataset=dict(modalities=['video', 'flow']))
test_dataloader = dict(dataset=dict(modalities=['video', 'flow']))
