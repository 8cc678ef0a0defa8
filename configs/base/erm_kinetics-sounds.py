# Joint training, nothing balanced.
_base_ = '../_base_/corpora/kinetics-sounds.py'
