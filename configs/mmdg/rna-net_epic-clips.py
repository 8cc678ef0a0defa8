# RNA-Net on EPIC-Kitchens, one file per action.
_base_ = ['../_base_/corpora/epic-clips.py', '../_base_/methods/rna-net.py']
model = _base_.rna_net.model
