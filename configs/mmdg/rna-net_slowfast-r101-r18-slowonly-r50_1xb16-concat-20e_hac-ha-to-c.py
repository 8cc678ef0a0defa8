# RNA-Net: equal mean feature norms.
_base_ = '../modalities/erm_slowfast-r101-r18-slowonly-r50_1xb16-concat-20e_hac-ha-to-c.py'
model = dict(methods=[dict(type='RNANetMethod')])
