# SimMMDG: feature splitting, contrast, translation.
_base_ = '../base/erm_slowfast-r18-r18_1xb16-concat-10e_mini-hac-ha-to-c.py'
model = dict(methods=[dict(type='SimMMDGMethod')])
