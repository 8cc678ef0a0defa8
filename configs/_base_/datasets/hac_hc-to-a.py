# HAC: train on human and cartoon, test on animal.
_base_ = 'hac_ac-to-h.py'
_sources = ['human', 'cartoon']
train_dataloader = dict(dataset=dict(domains=_sources))
val_dataloader = dict(dataset=dict(domains=_sources))
test_dataloader = dict(dataset=dict(domains=['animal']))
