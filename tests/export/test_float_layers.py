from mbv3zoo.export.float_layers import Operation, first_layers, float_layers


def test_heads_and_squeeze_excite_stay_float():
    operations = [
        _operation('stem', ['images'], weighted=True),
        _operation('act', ['stem']),
        _operation('depthwise', ['act'], weighted=True),
        _operation('mean', ['depthwise'], pools=True),
        _operation('reduce', ['mean'], weighted=True),
        _operation('expand', ['reduce'], weighted=True),
        _operation('gate', ['depthwise', 'expand']),
        _operation('project', ['gate'], weighted=True),
        _operation('add', ['project', 'depthwise']),
        _operation('head', ['add'], weighted=True),
        _operation('reshape', ['head']),
        _operation('other_head', ['project'], weighted=True),
    ]
    kept = float_layers(operations, ['reshape', 'other_head'])
    assert sorted(kept) == ['expand', 'gate', 'head', 'mean', 'other_head', 'reduce', 'reshape']
    assert first_layers(operations) == ['stem', 'depthwise']


def _operation(name, inputs, weighted=False, pools=False):
    return Operation(name, (name,), tuple(inputs), weighted, pools)
