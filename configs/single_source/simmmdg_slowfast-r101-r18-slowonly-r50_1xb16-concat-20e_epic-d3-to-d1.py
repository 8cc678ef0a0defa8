# One source domain, SimMMDG with video, audio and flow.
_base_ = '../mmdg/simmmdg_slowfast-r101-r18-slowonly-r50_1xb16-concat-20e_epic-d23-to-d1.py'
_sources = ['D3']
train_dataloader = dict(dataset=dict(domains=_sources))
val_dataloader = dict(dataset=dict(domains=_sources))
test_dataloader = dict(dataset=dict(domains=['D1']))
