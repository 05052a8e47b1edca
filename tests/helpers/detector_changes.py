"""What people do to a detector that they hold, each as a function of the detector and a random generator.

`WEIGHTS` leave its modules as they were built. `STRUCTURE` change what its modules are or how they are set, and give
back a function that undoes it. `CONFIG` give it another config.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from timm.layers import freeze_batch_norm_2d
from torch import nn
from torch.nn.utils import parametrizations, parametrize, prune

import mbv3zoo

Detector = mbv3zoo.Detector
Undo = Callable[[Detector], Any]

# Convolutions and norms, all of which every box depends on, by their names.
CONVS = ('backbone.model.stage0.0', 'backbone.model.stage1.0', 'head.convs.0', 'neck.layers.0.conv')
NORMS = ('backbone.model.stage0.1', 'backbone.model.stage1.1')


def conv_of(detector: Detector, rng: np.random.Generator) -> tuple[str, nn.Module]:
    name = f'backbone.model.stage{rng.integers(2)}.0' if rng.random() < 0.7 else 'head.convs.0'
    return name, detector.get_submodule(name)


def norm_of(detector: Detector, rng: np.random.Generator) -> nn.Module:
    return detector.get_submodule(f'backbone.model.stage{rng.integers(2)}.1')


def weight_of(detector: Detector, rng: np.random.Generator) -> torch.Tensor:
    """A parameter that matters: of a convolution, whatever has become of the layers around it."""
    found = [p for name, p in detector.named_parameters() if name.startswith(('backbone.model.stage0.0', 'head.convs'))]
    return found[rng.integers(len(found))]


# Weights.


def through_data(detector: Detector, rng: np.random.Generator) -> None:
    weight_of(detector, rng).data.mul_(float(rng.choice([0.5, -1, 1.5])))


def one_number_through_data(detector: Detector, rng: np.random.Generator) -> None:
    flat = weight_of(detector, rng).data.view(-1)
    flat[int(rng.integers(len(flat)))] += 3


def other_data(detector: Detector, rng: np.random.Generator) -> None:
    weight = weight_of(detector, rng)
    weight.data = weight.detach() * 0.7 + 0.1


@torch.no_grad()
def in_place(detector: Detector, rng: np.random.Generator) -> None:
    weight_of(detector, rng).add_(0.2)


def through_numpy(detector: Detector, rng: np.random.Generator) -> None:
    weight = weight_of(detector, rng).detach()
    if weight.dtype == torch.bfloat16:  # which numpy does not have
        weight.add_(0.3)
    else:
        view = weight.numpy()
        view += 0.3


def statistics(detector: Detector, rng: np.random.Generator) -> None:
    buffers = [(name, b) for name, b in detector.named_buffers() if name.endswith('running_mean')]
    if buffers:
        buffers[0][1].data.add_(0.5)
    else:  # fused
        through_data(detector, rng)


def exchanged_parameter(detector: Detector, rng: np.random.Generator) -> None:
    conv = detector.head.convs[int(rng.integers(2))]
    if 'bias' in conv._parameters and conv.bias is not None:
        conv.bias = nn.Parameter(conv.bias.detach() + 1)


def optimiser_step(detector: Detector, rng: np.random.Generator) -> None:
    """One step, in training mode, so that the statistics move as well."""
    parameters = [p for p in detector.parameters() if p.requires_grad]
    if not parameters:
        return
    training = detector.training
    optimiser = torch.optim.SGD(parameters, lr=0.05)
    images = torch.from_numpy(rng.random((2, 3, 64, 64))).to(detector.mean)
    sum((level**2).mean() for level in detector.train()(images)).backward()
    optimiser.step()
    optimiser.zero_grad()
    detector.train(training)


def loaded_state(detector: Detector, rng: np.random.Generator) -> None:
    state = {name: tensor.clone() for name, tensor in detector.state_dict().items()}
    for name, tensor in state.items():
        if name.startswith('head.convs') and tensor.is_floating_point():
            tensor.mul_(0.8)
    detector.load_state_dict(state)


WEIGHTS: dict[str, Callable[[Detector, np.random.Generator], None]] = {
    function.__name__: function
    for function in (
        through_data, one_number_through_data, other_data, in_place, through_numpy, statistics, exchanged_parameter,
        optimiser_step, loaded_state,
    )
}  # fmt: skip


# Structure.


def pruned(detector: Detector, rng: np.random.Generator) -> Undo:
    name, conv = conv_of(detector, rng)
    prune.l1_unstructured(conv, 'weight', amount=0.4)
    return lambda other: prune.remove(other.get_submodule(name), 'weight')


def weight_normed(detector: Detector, rng: np.random.Generator) -> Undo:
    name, conv = conv_of(detector, rng)
    parametrizations.weight_norm(conv)
    return lambda other: parametrize.remove_parametrizations(other.get_submodule(name), 'weight')


def frozen_norms(detector: Detector, rng: np.random.Generator) -> Undo:
    detector.backbone = freeze_batch_norm_2d(detector.backbone)
    return unfrozen_norms


def unfrozen_norms(detector: Detector) -> None:
    from timm.layers import unfreeze_batch_norm_2d

    detector.backbone = unfreeze_batch_norm_2d(detector.backbone)
    for name in NORMS:  # timm leaves them in training mode
        detector.get_submodule(name).train(detector.training)


def other_activation(detector: Detector, rng: np.random.Generator) -> Undo:
    name = 'backbone.model.stage0'
    old = detector.get_submodule(name)[2]
    detector.get_submodule(name)[2] = [nn.SiLU(), nn.LeakyReLU(0.3), nn.GELU()][rng.integers(3)]
    return lambda other: detector_stage(other, name, old)


def detector_stage(detector: Detector, name: str, activation: nn.Module) -> None:
    detector.get_submodule(name)[2] = activation


def _set(name: str, attribute: str, value: Any) -> Callable[[Detector, np.random.Generator], Undo]:
    def change(detector: Detector, rng: np.random.Generator) -> Undo:
        module = detector.get_submodule(name)
        old = getattr(module, attribute)
        setattr(module, attribute, value)
        return lambda other: setattr(other.get_submodule(name), attribute, old)

    return change


def double_output(module: nn.Module, inputs: Any, output: torch.Tensor) -> torch.Tensor:
    return output * 2


def half_input(module: nn.Module, inputs: Any) -> Any:
    return (inputs[0] * 0.5,)


def twice_logits(module: nn.Module, inputs: Any, outputs: Any) -> Any:
    return [level * 0.5 for level in outputs]


def _hooked(name: str, kind: str, hook: Callable[..., Any]) -> Callable[[Detector, np.random.Generator], Undo]:
    def change(detector: Detector, rng: np.random.Generator) -> Undo:
        getattr(detector.get_submodule(name), f'register_{kind}')(hook)
        hooks = {'forward_hook': '_forward_hooks', 'forward_pre_hook': '_forward_pre_hooks'}[kind]
        return lambda other: getattr(other.get_submodule(name), hooks).clear()

    return change


def buffer_in_place(name: str) -> Callable[[Detector, np.random.Generator], Undo]:
    def change(detector: Detector, rng: np.random.Generator) -> Undo:
        old = getattr(detector, name).clone()
        getattr(detector, name).add_(0.2)
        return lambda other: setattr(other, name, old.to(getattr(other, name)))

    return change


class Brighter(nn.Module):
    """A layer that somebody puts in."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.inner(x) + 1


def wrapped(detector: Detector, rng: np.random.Generator) -> Undo:
    name = 'backbone.model.stage1'
    detector.get_submodule(name)[2] = Brighter(detector.get_submodule(name)[2])
    return lambda other: detector_stage(other, name, other.get_submodule(name)[2].inner)


STRUCTURE: dict[str, Callable[[Detector, np.random.Generator], Undo]] = {
    'pruned': pruned,
    'weight normed': weight_normed,
    'frozen norms': frozen_norms,
    'other activation': other_activation,
    'wrapped': wrapped,
    'eps': _set('backbone.model.stage0.1', 'eps', 0.5),
    'padding mode': _set('backbone.model.stage1.0', 'padding', (1, 1)),
    'stride': _set('backbone.model.stage2.0', 'stride', (1, 1)),
    'dilation': _set('backbone.model.stage2.0', 'dilation', (2, 2)),
    'no activation in place': _set('backbone.model.stage0.2', 'forward', torch.abs),
    'strides': _set('', 'strides', (8, 32)),
    'hook': _hooked('backbone.model.stage0.0', 'forward_hook', double_output),
    'hook of a norm': _hooked('backbone.model.stage1.1', 'forward_hook', double_output),
    'hook before': _hooked('backbone.model.stage0.0', 'forward_pre_hook', half_input),
    'hook of the head': _hooked('head', 'forward_hook', twice_logits),
    'hook of the detector': _hooked('', 'forward_hook', twice_logits),
    'mean': buffer_in_place('mean'),
    'std': buffer_in_place('std'),
    'anchors': buffer_in_place('anchors'),
}


# Config. `renamed` and the next are what a detector may have; the others contradict its network.


def _config(**update: Any) -> Callable[[Detector], None]:
    def change(detector: Detector) -> None:
        detector.config = detector.config.model_copy(update=update)

    return change


def set_anchors(detector: Detector) -> None:
    detector.set_anchors([[[12, 10], [20, 20]], [[30, 45], [55, 28]]])


NAMES = {'renamed': ('ant', 'bee', 'cow'), 'renamed again': ('cat', 'dog', 'emu'), 'swapped': ('dog', 'cat', 'emu')}
CONFIG: dict[str, Callable[[Detector], None]] = {
    **{how: _config(class_names=names) for how, names in NAMES.items()},
    'other size': _config(image_size=(96, 64)),
    'other anchors': set_anchors,
}
WRONG_CONFIG: dict[str, Callable[[Detector], None]] = {
    'fewer names': _config(class_names=('ant',), num_classes=1),
    'more names': _config(class_names=tuple('abcdef'), num_classes=6),
    'fewer names, same number': _config(class_names=('ant', 'bee')),
    'anchors past set_anchors': _config(anchors=(((12.0, 10.0), (20.0, 20.0)), ((30.0, 45.0), (55.0, 28.0)))),
    'other mean': _config(mean=(0.1, 0.2, 0.3)),
    'other backbone': _config(backbone='resnet18'),
    'unknown backbone': _config(backbone='nobody_has_this'),
    'other neck': _config(neck='pan'),
    'other activation': _config(activation='relu'),
    'more anchors': _config(anchors=(((12.0, 10.0),) * 3, ((30.0, 45.0),) * 3)),
    'more channels': _config(in_chans=4),
    'not a size': _config(image_size=(50, 50)),
    'unserialisable': _config(backbone_args={'act_layer': nn.ReLU}),
}
