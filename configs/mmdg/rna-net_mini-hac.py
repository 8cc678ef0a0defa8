# RNA-Net on mini-HAC.
_base_ = ['../_base_/corpora/mini-hac.py', '../_base_/methods/rna-net.py']
model = _base_.rna_net.model
