# Table 4, row "full": IGDM and CAGP.
_base_ = '../gmp_slowfast-r101-r18_1xb16-concat-20e_epic-d13-to-d2.py'
