# RNA-Net on EPIC-Kitchens.
_base_ = ['../_base_/corpora/epic.py', '../_base_/methods/rna-net.py']
model = _base_.rna_net.model
