"""`mbv3zoo check`."""

import shutil

import pytest
from faulty_set import write_faulty_set
from tiny_sets import write_yolo_set
from typer.testing import CliRunner

import mbv3zoo
from mbv3zoo.cli.main import app


def run(*arguments):
    return CliRunner().invoke(app, ['check', *map(str, arguments)])


@pytest.fixture(scope='module')
def faulty(tmp_path_factory):
    return write_faulty_set(tmp_path_factory.mktemp('data'))


def test_it_prints_the_report_and_ends_with_1_where_there_are_errors(faulty, tmp_path):
    ran = run(faulty, '--image-size', 160, '--html', tmp_path / 'new/report.html')
    assert ran.exit_code == 1
    assert str(mbv3zoo.check_dataset(faulty, image_size=160)) in ran.stdout
    assert (tmp_path / 'new/report.html').read_text(encoding='utf-8').startswith('<!DOCTYPE html>')
    assert ran.stdout.endswith(f'page in {tmp_path / "new/report.html"}\n')


def test_it_ends_with_0_where_there_are_none(tmp_path):
    write_yolo_set(tmp_path)
    assert run(tmp_path).exit_code == 0


def test_a_page_is_an_html_file(faulty, tmp_path):
    picture = tmp_path / 'photo.jpg'
    picture.write_bytes(b'mine')
    ran = run(faulty, '--html', picture)
    assert ran.exit_code and 'photo.jpg' in str(ran.exception) and picture.read_bytes() == b'mine'


def test_a_dataset_is_divided(faulty, tmp_path):
    out = tmp_path / 'out'
    ran = CliRunner().invoke(app, ['split', str(faulty.parent / 'images/train'), str(out), '--val', '0.3'])
    assert ran.exit_code
    shutil.copytree(faulty.parent / 'images/train', tmp_path / 'flat')
    shutil.copytree(faulty.parent / 'labels/train', tmp_path / 'flat', dirs_exist_ok=True)
    (tmp_path / 'flat/classes.txt').write_text('a\nb\nc\n')
    ran = CliRunner().invoke(app, ['split', str(tmp_path / 'flat'), str(out), '--val', '0.3', '--test', '0.2', '-q'])
    counts = {name: len(mbv3zoo.load_dataset(out, name)) for name in ('train', 'val', 'test')}
    assert ran.stdout == f'{out}: {counts["train"]} train, {counts["test"]} test, {counts["val"]} val\n'
