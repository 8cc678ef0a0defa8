# Audio and flow, RNA-Net.
_base_ = '../mmdg/rna-net_slowfast-r101-r18-slowonly-r50_1xb16-concat-20e_hac-ha-to-c.py'
model = dict(encoders=dict(video=None))
train_dataloader = dict(dataset=dict(modalities=['audio', 'flow']))
val_dataloader = dict(dataset=dict(modalities=['audio', 'flow']))
test_dataloader = dict(dataset=dict(modalities=['audio', 'flow']))
