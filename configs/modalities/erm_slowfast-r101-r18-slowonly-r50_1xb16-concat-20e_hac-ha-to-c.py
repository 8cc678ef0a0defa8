# Video, audio and flow, ERM.
_base_ = 'base_slowfast-r101-r18-slowonly-r50_1xb16-concat-20e_hac-ha-to-c.py'
model = dict(domain_head=None)
