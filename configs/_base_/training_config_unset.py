# What a test-time config inherits from when no training config is named.
raise ValueError(
    'MMGMP_CONFIG must be set to the absolute path of the training config: a '
    'test-time config tests the model, the corpus and the target of that one, '
    'and has none of its own; export MMGMP_CONFIG=$PWD/configs/...'
)
