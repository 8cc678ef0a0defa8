# UMT: encoders stay near those that were trained alone, whose checkpoints
# model.methods.0.checkpoints names by modality (a row of a plan fills them in).
umt = dict(
    model=dict(
        methods=[
            dict(
                type='UnimodalTeachers',
                checkpoints={},
                sources=None,
                weight=10.0,
            )
        ],
    ),
)
