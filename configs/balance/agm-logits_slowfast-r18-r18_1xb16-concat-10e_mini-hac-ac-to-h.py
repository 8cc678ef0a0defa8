# AGM (ICCV 2023) at the logits, its exact form for any head.
_base_ = '../base/base_slowfast-r18-r18_1xb16-concat-10e_mini-hac-ac-to-h.py'
model = dict(methods=[dict(type='AGMLogitsMethod', alpha=1.0)])
