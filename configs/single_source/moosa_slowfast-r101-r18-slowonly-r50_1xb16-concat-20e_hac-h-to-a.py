# One source domain, MOOSA with video, audio and flow.
_base_ = '../mmdg/moosa_slowfast-r101-r18-slowonly-r50_1xb16-concat-20e_hac-ac-to-h.py'
_sources = ['human']
train_dataloader = dict(dataset=dict(domains=_sources))
val_dataloader = dict(dataset=dict(domains=_sources))
test_dataloader = dict(dataset=dict(domains=['animal']))
