import ast
import inspect

from mbv3zoo import create_detector


def test_a_detector_is_created_in_a_few_steps():
    function = ast.parse(inspect.getsource(create_detector)).body[0]
    docstring = function.body[0]
    lines = function.end_lineno - (docstring.end_lineno - docstring.lineno + 1)
    assert lines < 35
    # Resolve, override, build; then the weights and what is frozen.
    assert len(function.body) <= 12
