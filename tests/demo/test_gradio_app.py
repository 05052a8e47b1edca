from types import SimpleNamespace

import pytest

from mbv3zoo.demo.gradio_app import build_app, launch


class App(SimpleNamespace):
    """Takes the place of `gradio.Blocks`: it notes how it is started, and ends at once."""

    is_running = False
    closed = False

    def launch(self, **options):
        self.options = options
        return None, 'http://127.0.0.1:7860/', None

    def close(self, **options):
        self.closed = True


def test_an_app_is_for_this_machine_alone_unless_a_host_is_named():
    pytest.importorskip('gradio')
    app, started = App(), []
    assert launch(app, on_start=started.append) == 'http://127.0.0.1:7860/' == started[0]
    assert app.closed and not app.options['share'] and app.options['server_name'] is None
    launch(app, host='0.0.0.0', port=80, wait=False)
    assert (app.options['server_name'], app.options['server_port']) == ('0.0.0.0', 80)


def test_the_title_names_the_model_unless_one_is_given():
    pytest.importorskip('gradio')
    assert build_app('mbv3_yolo_small.synth').title == 'mbv3_yolo_small.synth: object detection'
    app = build_app('mbv3_yolo_small.synth', title='Shapes')
    assert app.title == 'Shapes' and not app.analytics_enabled


def test_without_gradio_the_command_to_install_it_is_told(monkeypatch):
    monkeypatch.setattr('mbv3zoo.utils.packages.is_installed', lambda package: package != 'gradio')
    with pytest.raises(ImportError, match=r'needs gradio; install with: pip install "mbv3zoo\[demo\]"'):
        build_app()
