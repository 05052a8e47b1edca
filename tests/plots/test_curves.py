import pytest
from matplotlib.figure import Figure
from PIL import Image

from mbv3zoo.plots import curves
from mbv3zoo.plots.curves import plot_curves

HEADER = 'epoch,seconds,lr,box,objectness,classes,ap,ap50,ap75'


@pytest.fixture
def drawn(tmp_path, monkeypatch):
    """Draws a results.csv; returns title -> {legend: (epochs, values)} of each diagram."""

    def draw(text):
        (tmp_path / 'run').mkdir()
        (tmp_path / 'run' / 'results.csv').write_text(text)
        figures = []
        save = curves.save_figure
        monkeypatch.setattr(curves, 'save_figure', lambda figure, path: (figures.append(figure), save(figure, path)))
        plot_curves(tmp_path / 'run' / 'results.csv', tmp_path / 'curves.png')
        with Image.open(tmp_path / 'curves.png') as image:
            assert image.format == 'PNG' and image.width > 1000
        assert isinstance(figures[0], Figure)
        return figures[0].get_suptitle(), {
            axes.get_title(): {
                line.get_label() if axes.get_legend() else '': tuple(map(list, line.get_data())) for line in axes.lines
            }
            for axes in figures[0].axes
        }

    return draw


def test_draws_what_was_recorded(drawn):
    lines = ['1,10,0.001,0.1,0.02,0.05,,,', '2,11,0.002,0.09,0.01,0.003,0.2,0.4,0.1', '3,9,0.001,0.08,0.01,0.04,,,']
    title, panels = drawn('\n'.join([HEADER, *lines, '4,9,0,0.07,0.01,0.04,0.1,0.2,0.05']))
    assert title == 'run: 4 epochs'
    assert panels['box loss'] == {'': ([1, 2, 3, 4], [0.1, 0.09, 0.08, 0.07])}
    assert panels['learning rate'][''][1] == [0.001, 0.002, 0.001, 0]
    assert panels['time'][''][1] == [10, 11, 9, 9]
    assert panels['average precision (best AP 0.200 in epoch 2)'] == {
        'AP50': ([2, 4], [0.4, 0.2]), 'AP75': ([2, 4], [0.1, 0.05]), 'AP': ([2, 4], [0.2, 0.1]),
    }  # fmt: skip
    assert set(panels) >= {'objectness loss', 'class loss'} and len(panels) == 6


def test_one_line(drawn):
    title, panels = drawn(f'{HEADER}\n1,1.2,0.00002,0.082,0.011,0.049,0.0,0.0,0.0\n')
    assert title == 'run: 1 epoch' and panels['class loss'] == {'': ([1], [0.049])}


@pytest.mark.parametrize(
    'text',
    [
        HEADER,
        f'{HEADER}\n1,,,,,,,,',
        f'{HEADER}\n1,inf,nan,none,,,,,',
        'epoch\n1\n2',
        'epoch,box\n1',
        f'{HEADER}\n,1,1,1,1,1,1,1,1',
    ],
)
def test_nothing_recorded(drawn, text):
    _, panels = drawn(text)
    assert len(panels) == 6 and not any(panels.values())


def test_further_columns_and_losses_of_all_sizes(drawn):
    _, panels = drawn('host,epoch,box,extra\na,1,100,x\nb,2,1,\nc,3,0,9\n')
    assert panels['box loss'] == {'': ([1, 2, 3], [100, 1, 0])} and not panels['time']


def test_other_files_are_refused(tmp_path):
    with pytest.raises(ValueError, match='no such file'):
        plot_curves(tmp_path / 'results.csv', tmp_path / 'a.png')
    for text in ('', 'a,b\n1,2\n'):
        (tmp_path / 'results.csv').write_text(text)
        with pytest.raises(ValueError, match='no column `epoch`'):
            plot_curves(tmp_path / 'results.csv', tmp_path / 'a.png')
    assert not (tmp_path / 'a.png').exists()
