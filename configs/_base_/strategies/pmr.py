# PMR (CVPR 2023): the modality that is behind is pulled to class prototypes.
pmr = dict(
    model=dict(methods=[dict(type='PMRMethod')]),
    hook=dict(type='PrototypeHook', fraction=0.1),
)
