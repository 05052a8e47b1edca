import threading
from functools import partial
from types import MethodType

import pytest
import torch
from torch import nn

from mbv3zoo.models.modes import evaluating, evaluation_mode, evaluation_twin, running
from mbv3zoo.utils.quiet import without_warnings


@pytest.fixture
def model():
    """In training, but for a part that its user has frozen."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Dropout(), nn.Sequential(nn.BatchNorm2d(3), nn.BatchNorm2d(3), nn.Dropout()))
    model[1][0].eval()
    return model


@pytest.fixture
def images():
    return torch.rand(2, 3, 4, 4)


def flags(model):
    return [module.training for module in model.modules()]


def expected(model, images):
    """What a model gives in evaluation mode, with the calls of its modules."""
    with evaluation_mode(model), torch.no_grad():
        return model(images)


def evaluated(model, images):
    """The same, beside a model in training mode, none of whose modules is called."""
    own, called = set(model.modules()), []
    handles = [module.register_forward_pre_hook(lambda module, _: called.append(module)) for module in own]
    before, state = flags(model), {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with evaluating(model) as network, torch.no_grad():
        assert flags(model) == before and not any(flags(network))
        found = network(images)
    for handle in handles:
        handle.remove()
    assert called and not own.intersection(called) and flags(model) == before
    assert all(torch.equal(tensor, state[name]) for name, tensor in model.state_dict().items())
    return found


def test_inside_everything_evaluates_and_outside_everything_is_as_before(model, images):
    before = flags(model)
    with evaluation_mode(model):
        assert not any(flags(model)) and torch.equal(model[0](images), images)
    assert flags(model) == before == [True, True, True, False, True, True]
    model.eval()
    with evaluation_mode(model):
        pass
    assert not any(flags(model))


def test_an_error_inside_leaves_the_flags_as_they_were(model):
    before = flags(model)
    with pytest.raises(KeyError), evaluation_mode(model):
        raise KeyError
    assert flags(model) == before


def test_a_model_in_training_mode_is_evaluated_beside_itself(model, images):
    assert torch.equal(evaluated(model, images), expected(model, images))
    # One module is enough.
    model.eval()
    model[1][1].train()
    assert torch.equal(evaluated(model, images), expected(model, images))


def test_a_model_in_evaluation_mode_runs_itself(model):
    with evaluating(model.eval()) as network:
        assert network is model


def test_a_twin_has_the_weights_whatever_happens_to_them(model, images):
    twin = evaluation_twin(model)
    assert [*map(id, twin.state_dict(keep_vars=True).values())] == [*map(id, model.state_dict(keep_vars=True).values())]
    norm = model[1][1]
    with torch.no_grad():
        norm.bias.add_(1)
    norm.weight = nn.Parameter(torch.full((3,), 2.0))
    norm.running_var = torch.full((3,), 4.0)
    with torch.no_grad():
        assert torch.equal(twin(images), expected(model, images))


class Bound(nn.Module):
    """Calls its module by everything but its name."""

    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm2d(3)
        self.again = [self.norm, {'a': (self.norm,)}]
        self.part = partial(nn.Module.__call__, self.norm)
        self.method = self.norm.forward
        self.forward = MethodType(Bound.replaced, self)
        self.same = self.norm
        self.kept = {}

    def replaced(self, x):
        self.kept['runs'] = self.kept.get('runs', 0) + 1
        return self.method(self.part(self.same(self.again[1]['a'][0](self.again[0](self.norm(x))))))


def test_a_twin_calls_none_of_the_modules_however_they_are_held(images):
    model = Bound()
    wanted = expected(model, images)
    assert torch.equal(evaluated(model, images), wanted)
    assert model.kept == {'runs': 2}


def test_a_graph_of_torch_fx(model, images):
    graph = torch.fx.symbolic_trace(model)
    graph.train()
    assert torch.equal(evaluated(graph, images), expected(graph, images))


def test_parametrized_weights(images):
    model = nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3))
    nn.utils.parametrizations.weight_norm(model[0])
    assert torch.equal(evaluated(model, images), expected(model, images))


@pytest.mark.slow
def test_compiled_modules_run_as_they_are(model, images):
    wanted = expected(model, images)
    model[1] = torch.compile(model[1], backend='eager')
    model[1]._orig_mod.compile(backend='eager')
    assert torch.equal(evaluated(model, images), wanted)


def test_hooks_reach_those_whom_they_belong_to(model, images):
    class Seen:
        def __init__(self):
            self.lock, self.maps = threading.Lock(), []

        def hook(self, module, args, output):
            self.maps.append(output)

    seen = Seen()
    model[1].register_forward_hook(seen.hook)
    found = evaluated(model, images)
    assert len(seen.maps) == 1 and seen.maps[0] is found


@pytest.mark.parametrize('kind', ['function', 'script'])
def test_a_forward_that_may_be_the_trained_modules_is_refused(model, kind):
    part = model[1]
    if kind == 'function':
        forward = part.forward
        part.forward = lambda x: forward(x)
    else:
        with without_warnings(FutureWarning):
            model[1] = torch.jit.script(part)
    with pytest.raises(ValueError, match=r'its (Sequential|RecursiveScriptModule) has a forward of its own.*call eval'):
        evaluation_twin(model)
    if kind == 'function':
        with evaluating(model.eval()) as network:
            assert network is model


def test_who_changes_a_model_waits_for_those_who_evaluate(model):
    waited = threading.Event()

    def change():
        with running.changing():
            waited.set()

    with evaluating(model):
        thread = threading.Thread(target=change)
        thread.start()
        assert not waited.wait(0.02)
    thread.join(5)
    assert waited.is_set()
