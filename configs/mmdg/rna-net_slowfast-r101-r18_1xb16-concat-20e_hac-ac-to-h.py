# RNA-Net: equal mean feature norms.
_base_ = '../base/erm_slowfast-r101-r18_1xb16-concat-20e_hac-ac-to-h.py'
model = dict(methods=[dict(type='RNANetMethod')])
