# RNA-Net: equal mean feature norms.
_base_ = '../base/erm_slowfast-r18-r18_1xb16-concat-10e_mini-hac-hc-to-a.py'
model = dict(methods=[dict(type='RNANetMethod')])
