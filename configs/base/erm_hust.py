# Empirical risk minimisation: no domain task.
_base_ = '../_base_/corpora/hust.py'
model = dict(domain_head=None)
