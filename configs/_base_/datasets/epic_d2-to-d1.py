# EPIC-Kitchens, single source: train on D2, test on D1.
_base_ = 'epic_d23-to-d1.py'
_sources = ['D2']
train_dataloader = dict(dataset=dict(domains=_sources))
val_dataloader = dict(dataset=dict(domains=_sources))
test_dataloader = dict(dataset=dict(domains=['D1']))
