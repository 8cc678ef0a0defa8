# AGM (ICCV 2023) at the logits, its exact form for any head.
_base_ = '../_base_/corpora/hac.py'
model = dict(methods=[dict(type='AGMLogitsMethod', alpha=1.0)])
