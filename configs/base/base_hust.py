# Joint training with a domain discriminator, nothing balanced.
_base_ = '../_base_/corpora/hust.py'
