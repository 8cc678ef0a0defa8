# HAC, single source: train on cartoon, test on human.
_base_ = 'hac_ac-to-h.py'
_sources = ['cartoon']
train_dataloader = dict(dataset=dict(domains=_sources))
val_dataloader = dict(dataset=dict(domains=_sources))
test_dataloader = dict(dataset=dict(domains=['human']))
