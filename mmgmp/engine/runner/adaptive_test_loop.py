"""A test that adapts the model to the stream it is tested on."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmengine.dist import get_world_size
from mmengine.logging import print_log
from mmengine.runner import Runner, TestLoop
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from mmgmp.registry import LOOPS, MODELS, OPTIMIZERS
from mmgmp.structures import AdaptableModel
from mmgmp.utils.checks import check_choice

_PARAMETERS = ('norm', 'last_stage', 'fusion')
_NORMS = (_BatchNorm, nn.LayerNorm, nn.GroupNorm)


@LOOPS.register_module()
class AdaptiveTestLoop(TestLoop):
    """Test-time adaptation: predict a batch, then learn from it.

    The checkpoint meets the unlabelled stream once, batch by batch. What
    counts is the prediction *before* the update by the same batch. Afterwards
    the weights are again those of the checkpoint, and nothing is written.

    This is not domain generalisation, as the target is seen: all metrics are
    named ``adapted/...``, so that no table takes them for others.

    Args:
        runner: The runner.
        dataloader: The test loader; its order is that of the stream, e.g.
            ``sampler=dict(type='DefaultSampler', shuffle=True, seed=0)``.
        evaluator: The test evaluator.
        loss: Config of the loss: ``TentLoss``, ``READLoss`` or ``AEOLoss``.
        parameters: What is updated: ``'norm'``, scales and shifts of the
            norms in the trained stages, whose batch norms then use the
            statistics of the batch (Tent); ``'last_stage'``, the trained
            stages of the encoders (AEO); ``'fusion'``, the fusion and the
            classifier's hidden layer (READ) [choice].
        optimizer: Config of the optimizer.
        episodic: Whether each batch starts from the checkpoint.
        fp16: Refused: gradients would underflow.

    Raises:
        ValueError: If an option is unknown or ``fp16`` set, the model lacks
            what the loss reads or has nothing to update, or a batch of one
            sample meets batch norms that need more.
        NotImplementedError: With several ranks, whose streams would differ.

    Example:
        >>> LOOPS.get('AdaptiveTestLoop') is AdaptiveTestLoop
        True

        With the stock test script, ``--cfg-options
        test_cfg.type=AdaptiveTestLoop test_cfg.loss.type=TentLoss``.

    Source: Tent (arXiv 2006.10726), READ (ICLR 2024), AEO
    (arXiv 2501.13924); [release] Adam, the rates and one step per batch.
    """

    def __init__(
        self,
        runner: Runner,
        dataloader: Any,
        evaluator: Any,
        loss: Mapping[str, Any],
        parameters: str = 'last_stage',
        optimizer: Mapping[str, Any] | None = None,
        episodic: bool = False,
        fp16: bool = False,
    ) -> None:
        super().__init__(runner, dataloader, evaluator)
        if fp16:
            raise ValueError(
                'fp16 of AdaptiveTestLoop must be False, as gradients would '
                'underflow, got True; set test_cfg.fp16=False'
            )
        check_choice(
            'parameters', parameters, _PARAMETERS, 'set test_cfg.parameters'
        )
        self.adaptation_loss: Any = MODELS.build(dict(loss))
        self.parameters = parameters
        self.optimizer = dict(
            optimizer or dict(type='Adam', lr=2e-5, weight_decay=1e-4)
        )
        self.episodic = episodic
        #: Batches without a finite loss.
        self.skipped = 0
        self._stepper: Any = None
        self._chosen: list[nn.Parameter] = []
        self._start: dict[str, Tensor] = {}

    def run(self) -> dict[str, float]:
        """Adapt and test; see the class."""
        if get_world_size() > 1:
            raise NotImplementedError(
                'AdaptiveTestLoop adapts to one stream, got '
                f'{get_world_size()} ranks with one each; test on one'
            )
        model: Any = self.runner.model
        self._check(model)
        self._start = copy.deepcopy(model.state_dict())
        flags = {p: p.requires_grad for p in model.parameters()}
        self._chosen = self._choose(model)
        try:
            for parameter in flags:
                parameter.requires_grad_(False)
            for parameter in self._chosen:
                parameter.requires_grad_(True)
            self._restart(model)
            return self._run()
        finally:
            model.load_state_dict(self._start)
            for parameter, flag in flags.items():
                parameter.requires_grad_(flag)
            model.eval()

    def _run(self) -> dict[str, float]:
        self.runner.call_hook('before_test')
        self.runner.call_hook('before_test_epoch')
        for index, batch in enumerate(self.dataloader):
            self.run_iter(index, batch)
        found = self.evaluator.evaluate(len(self.dataloader.dataset))
        metrics = {f'adapted/{name}': value for name, value in found.items()}
        if self.skipped:
            print_log(
                f'{self.skipped} batches did not adapt the model: their loss '
                'was not finite',
                logger='current',
            )
        self.runner.call_hook('after_test_epoch', metrics=metrics)
        self.runner.call_hook('after_test')
        return metrics

    def run_iter(self, idx: int, data_batch: Any) -> None:
        """Predict a batch, then take one step on it.

        Args:
            idx: Number of the batch.
            data_batch: The batch.
        """
        model: Any = self.runner.model
        self.runner.call_hook(
            'before_test_iter', batch_idx=idx, data_batch=data_batch
        )
        if self.episodic and idx:
            self._restart(model)
        self._set_modes(model)
        data = model.data_preprocessor(data_batch, False)
        samples = data['data_samples']
        self._check_size(samples)
        with torch.enable_grad():
            features = model.extract_feat(data['inputs'])
            logits = model.cls_head(model.fusion(features))
            own = {
                m: head(features[m])
                for m, head in model.unimodal_heads.items()
            }
            loss = self.adaptation_loss(logits, own)
        with torch.no_grad():
            fixed = {m: x.detach() for m, x in features.items()}
            outputs = model.predict_features(fixed, samples)
        self._step(loss)
        self.evaluator.process(data_samples=outputs, data_batch=data_batch)
        self.runner.call_hook(
            'after_test_iter',
            batch_idx=idx,
            data_batch=data_batch,
            outputs=outputs,
        )

    def _step(self, loss: Tensor) -> None:
        if not torch.isfinite(loss):
            self.skipped += 1
            return
        self._stepper.zero_grad()
        loss.backward()
        self._stepper.step()

    def _check(self, model: Any) -> None:
        if not isinstance(model, AdaptableModel):
            raise ValueError(
                'AdaptiveTestLoop needs a model with encoders, fusion and '
                f'classifier, got {type(model).__name__}; use '
                "model.type='AudioVisualRecognizer'"
            )
        needs = getattr(self.adaptation_loss, 'needs_unimodal_logits', False)
        if needs and not len(model.unimodal_heads):
            raise ValueError(
                f'{type(self.adaptation_loss).__name__} reads each '
                "modality's own head, got a model without; train one with "
                'model.unimodal_heads (configs/mmdg/moosa_*, jat_*), or take '
                'another test_cfg.loss'
            )

    def _restart(self, model: Any) -> None:
        """Go back to the checkpoint, with an optimizer that knows nothing."""
        model.load_state_dict(self._start)
        self._stepper = OPTIMIZERS.build(
            dict(self.optimizer, params=self._chosen)
        )

    def _choose(self, model: Any) -> list[nn.Parameter]:
        """Return what is updated, before anything is."""
        trained = [
            p
            for parameters in model.trainable_encoder_parameters().values()
            for p in parameters
        ]
        if self.parameters == 'fusion':
            parts = (model.fusion, model.cls_head.hidden)
            chosen = [p for part in parts for p in part.parameters()]
        elif self.parameters == 'norm':
            own = {id(p) for m in _norms(model) for p in m.parameters()}
            chosen = [p for p in trained if id(p) in own]
        else:
            chosen = trained
        if not chosen:
            raise ValueError(
                f'parameters={self.parameters!r} must name something to '
                'update in this model, got nothing; set test_cfg.parameters '
                f'to one of {list(_PARAMETERS)}'
            )
        return chosen

    def _set_modes(self, model: Any) -> None:
        """Eval mode, but for batch norms that are to use the batch."""
        model.eval()
        if self.parameters == 'norm':
            for module in _norms(model):
                if any(p.requires_grad for p in module.parameters()):
                    module.train()

    def _check_size(self, samples: Sequence[Any]) -> None:
        if self.parameters == 'norm' and len(samples) == 1:
            raise ValueError(
                "parameters='norm' takes statistics of the batch, got a batch "
                'of one sample; raise test_dataloader.batch_size, or set its '
                'drop_last=True'
            )


def _norms(model: Any) -> list[nn.Module]:
    return [
        module
        for module in model.encoders.modules()
        if isinstance(module, _NORMS)
    ]
