# RNA-Net on HAC.
_base_ = ['../_base_/corpora/hac.py', '../_base_/methods/rna-net.py']
model = _base_.rna_net.model
