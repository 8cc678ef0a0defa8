"""How logged quantities are named, and how their names are read.

A quantity of a modality is named ``<quantity>_<modality>``. A name with
``loss`` in it would be summed into the loss by MMEngine, so none has.
"""

from __future__ import annotations

SEMANTIC_RATIO = 'semantic_ratio'
DOMAIN_RATIO = 'domain_ratio'
RATIOS = (SEMANTIC_RATIO, DOMAIN_RATIO)
SEMANTIC_COEFFICIENT = 'semantic_coefficient'
DOMAIN_COEFFICIENT = 'domain_coefficient'
SEMANTIC_CONFIDENCE = 'semantic_confidence'
DOMAIN_CONFIDENCE = 'domain_confidence'
CONFLICT = 'conflict'
COSINE = 'cosine'
#: How much the domain task weighs against classification in the step.
EFFECTIVE_LAMBDA = 'effective_lambda'
UPDATE_SCALE = 'update_scale'
REINITIALISATION = 'reinitialisation'
BLEND = 'blend'
#: On the validation clips of the source domains.
SOURCE_CROSS_ENTROPY = 'source_cross_entropy'
#: Of the discriminator as a whole, without a modality.
DOMAIN_ACCURACY = 'domain_accuracy'
DOMAIN_CHANCE = 'domain_chance'
#: Of the fused model on the batch that is trained on.
ACCURACY = 'accuracy'
#: On the sources' held-out clips; of a modality's branch with its name.
VALIDATION = 'validation_top1'
#: The same where MMEngine logs it.
VALIDATION_KEY = 'val/acc/top1'
#: The sum that is minimised.
LOSS = 'loss'

_GRAD_NORM = '_grad_norm'
_TRAIN = 'train/'


def of_modality(quantity: str, modality: str) -> str:
    """Name a quantity of one modality.

    Example:
        >>> of_modality(SEMANTIC_RATIO, 'video')
        'semantic_ratio_video'
    """
    return f'{quantity}_{modality}'


def grad_norm(task: str) -> str:
    """Name the norm of a task's gradient.

    Example:
        >>> of_modality(grad_norm('domain'), 'audio')
        'domain_grad_norm_audio'
    """
    return task + _GRAD_NORM


def in_training(name: str) -> str:
    """Name a quantity as MMEngine's message hub does during training.

    Example:
        >>> in_training(DOMAIN_CHANCE)
        'train/domain_chance'
    """
    return _TRAIN + name


def loss_term_of(name: str) -> str | None:
    """Return which term of the loss a name stands for; None if none.

    Args:
        name: A name in the log.

    Example:
        >>> loss_term_of('loss'), loss_term_of('loss_domain')
        ('sum', 'domain')
        >>> loss_term_of('accuracy') is None
        True
    """
    if name == LOSS:
        return 'sum'
    term = modality_of(name, LOSS)
    if term and term.partition('_')[0] == 'cls':
        return term.replace('cls', 'classification', 1)
    return term


def modality_of(name: str, quantity: str) -> str | None:
    """Return whose quantity a name stands for; None if it is another one.

    Args:
        name: A name in the log.
        quantity: As in :func:`of_modality`.

    Example:
        >>> modality_of('semantic_ratio_optical_flow', SEMANTIC_RATIO)
        'optical_flow'
        >>> modality_of('domain_ratio_video', SEMANTIC_RATIO) is None
        True
    """
    start = f'{quantity}_'
    return name[len(start) :] or None if name.startswith(start) else None


def task_and_modality_of(name: str) -> tuple[str, str] | None:
    """Return whose gradient norm a name stands for, if it is one.

    Example:
        >>> task_and_modality_of('classification_grad_norm_video')
        ('classification', 'video')
        >>> task_and_modality_of('conflict_video') is None
        True
    """
    task, found, modality = name.partition(f'{_GRAD_NORM}_')
    return (task, modality) if task and found and modality else None


def may_be_undefined(name: str) -> bool:
    """Return whether a quantity has no value where a gradient is zero.

    Example:
        >>> may_be_undefined('cosine_video')
        True
        >>> may_be_undefined('conflict_video')
        False
    """
    return any(
        modality_of(name, quantity) is not None
        for quantity in (COSINE, EFFECTIVE_LAMBDA)
    )


def ratio_and_modality_of(name: str) -> tuple[str, str] | None:
    """Return which discrepancy ratio of which modality a name stands for.

    Example:
        >>> ratio_and_modality_of('domain_ratio_audio')
        ('domain_ratio', 'audio')
    """
    for quantity in RATIOS:
        modality = modality_of(name, quantity)
        if modality is not None:
            return quantity, modality
    return None
