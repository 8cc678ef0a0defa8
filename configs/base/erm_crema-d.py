# Joint training, nothing balanced.
_base_ = '../_base_/corpora/crema-d.py'
