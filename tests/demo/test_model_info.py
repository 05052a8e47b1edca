"""model.json."""

import pytest

from mbv3zoo.demo.model_info import is_page, model_name, page_info


def test_the_name_of_a_model(tmp_path):
    (tmp_path / 'runs' / 'parts' / 'best').mkdir(parents=True)
    run = tmp_path / 'runs' / 'parts'
    assert [model_name(run / 'best'), model_name(run), model_name('a/b'), model_name('x/parts.int8.onnx')] == [
        'parts', 'parts', 'a/b', 'parts',
    ]  # fmt: skip


@pytest.mark.parametrize('text', ['', '[]', '{}', '3', '{"name": 1}', None])
def test_what_is_no_page(text, tmp_path):
    if text is not None:
        (tmp_path / 'model.json').write_text(text)
    assert not is_page(tmp_path)
    with pytest.raises(ValueError, match=f'{tmp_path.name} is no page'):
        page_info(tmp_path)
