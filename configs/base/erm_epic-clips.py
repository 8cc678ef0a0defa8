# Empirical risk minimisation: no domain task.
_base_ = '../_base_/corpora/epic-clips.py'
model = dict(domain_head=None)
