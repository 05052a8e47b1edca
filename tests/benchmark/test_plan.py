import pytest

from mbv3zoo.benchmark.plan import Group, make_plan


def test_every_combination_has_its_place():
    plan = make_plan(['a', 'b'], ['eager', 'openvino'], [(64, 64), (96, 64)], [1, 8])
    assert len(plan) == 8 and len(set(plan)) == 8
    assert {(g.runtime, g.size, g.batch) for g in plan} == {
        (runtime, size, batch) for runtime in ('eager', 'openvino') for size in ((64, 64), (96, 64)) for batch in (1, 8)
    }
    assert all(group.models == ('a', 'b') for group in plan)


def test_what_is_asked_for_twice_is_measured_once():
    assert make_plan(['a', 'a'], ['eager', 'eager'], [(64, 64)] * 2, [1, 1]) == [Group('eager', (64, 64), 1, ('a',))]


def test_defaults_compare_in_the_runtime_of_the_files():
    assert make_plan(['a']) == [Group('eager', None, 1, ('a',))]
    assert make_plan(['a', 'peer.onnx']) == [Group('onnxruntime', None, 1, ('a', 'peer.onnx'))]
    assert make_plan(['a', 'peer.xml']) == [Group('openvino', None, 1, ('a', 'peer.xml'))]
    # Detectors have no such runtime: they keep to their own.
    assert make_plan(['a', 'peer.torchscript']) == [
        Group('eager', None, 1, ('a',)),
        Group('torchscript', None, 1, ('peer.torchscript',)),
    ]


def test_models_stay_out_of_runtimes_that_cannot_run_them():
    plan = make_plan(['a', 'b.onnx', 'c.xml'], ['eager', 'onnxruntime', 'openvino'])
    assert [(group.runtime, group.models) for group in plan] == [
        ('eager', ('a',)),
        ('onnxruntime', ('a', 'b.onnx')),
        ('openvino', ('a', 'b.onnx', 'c.xml')),
    ]
    # Where none can, it still gets its row, which will say so.
    assert make_plan(['a', 'b.onnx'], ['eager']) == [Group('eager', None, 1, ('a', 'b.onnx'))]


@pytest.mark.parametrize(
    ('arguments', 'words'),
    [
        (([],), 'no models'),
        ((['a'], ['tensorrt']), 'unknown runtime tensorrt; expected one of eager, compile'),
        ((['a'], ['eager'], [(0, 64)]), r'size is \(0, 64\)'),
        ((['a'], ['eager'], [], [0]), r'batches are \(0,\)'),
        ((['a'], ['eager'], [], []), r'batches are \(\)'),
    ],
)
def test_mistakes(arguments, words):
    with pytest.raises(ValueError, match=words):
        make_plan(*arguments)
