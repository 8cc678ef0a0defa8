# Empirical risk minimisation: no domain task.
_base_ = 'base_slowfast-r18-r18_1xb16-concat-10e_mini-hac-ha-to-c.py'
model = dict(domain_head=None)
