# Empirical risk minimisation: no domain task.
_base_ = 'base_slowfast-r101-r18_1xb16-concat-20e_hac-hc-to-a.py'
model = dict(domain_head=None)
