# RNA-Net on HUST motor.
_base_ = ['../_base_/corpora/hust.py', '../_base_/methods/rna-net.py']
model = _base_.rna_net.model
