# EPIC-Kitchens, one file per action: train on D1 and D2, test on D3.
_base_ = 'epic-clips_d23-to-d1.py'
_sources = ['D1', 'D2']
train_dataloader = dict(dataset=dict(domains=_sources))
val_dataloader = dict(dataset=dict(domains=_sources))
test_dataloader = dict(dataset=dict(domains=['D3']))
