"""What users of YOLO, torchvision and timm type is answered in one sentence with what it is called here."""

import pytest
import typer
from program import run

from mbv3zoo.cli.main import app
from mbv3zoo.cli.other_names import INSTEAD, ONE_MORE

MODEL_OF_PREDICT = 'here it is the argument MODEL: mbv3zoo predict MODEL SOURCE'
PROGRAM = typer.main.get_command(app)


def refused(line):
    result = run(*line.split(), ok=False)
    assert result.exit_code == 2 and result.output.startswith('mbv3zoo: ') and result.output.count('\n') == 1
    return result.output.removeprefix('mbv3zoo: ').rstrip('\n')


@pytest.mark.parametrize(
    ('line', 'answer'),
    [
        ('train --data d.yaml --imgsz 640', '--imgsz: here it is called --image-size'),
        ('train --data d.yaml --batch=8', '--batch: here it is called --batch-size'),
        ('train -b 8', '-b: here it is called --batch-size'),
        ('train --weights yolov5s.pt', '--weights: here it is called --model'),
        ('train --lr0 0.1', '--lr0: here it is called --lr'),
        ('train --opt sgd', '--opt: here it is called --optimizer'),
        ('train --data-path coco', '--data-path: here it is called --data'),
        ('train --mosaic 0.3', '--mosaic: here it is the setting --set mosaic=VALUE'),
        ('train --weight-decay 1e-4', '--weight-decay: here it is the setting --set weight_decay=VALUE'),
        ('train --num-classes 3', '--num-classes: the number of classes is read from the data set'),
        ('predict --weights a.onnx --source b', '--weights: ' + MODEL_OF_PREDICT),
        ('predict m --source 0', '--source: here it is the argument SOURCE: mbv3zoo predict MODEL SOURCE'),
        ('predict m s --conf-thres 0.3', '--conf-thres: here it is called --score-thresh'),
        ('predict m s --project runs', '--project: here it is called --out'),
        ('predict m s --exist_ok', '--exist_ok: ' + INSTEAD['exist-ok']),
        ('val m --data d --iou 0.6', '--iou: the IoU of NMS is set in mbv3zoo predict --iou-thresh'),
        ('export m --format onnx', '--format: ' + INSTEAD['format']),
        ('export m a.onnx --half', '--half: write mbv3zoo export MODEL model.onnx --precision float16'),
        ('benchmark m --imgsz 320', '--imgsz: here it is called --size'),
        ('predict m s --patience 3', '--patience: is an option of another command: mbv3zoo train --patience'),
        ('fit m --data d --workers 0', '--workers: here it is the setting --set workers=VALUE'),
        ('fit m --data d --recipe none', '--recipe: here it is the setting --set recipe=VALUE'),
        ('fit m --data d --lr0 0.01', '--lr0: here it is the setting --set lr=VALUE'),
        ('train --dynamic', '--dynamic: is an option of another command: mbv3zoo export --dynamic'),
        ('synth out --input-size 320', '--input-size: here it is called --image-size'),
        ('convert --weights a.pt', '--weights: here it is the argument CHECKPOINT: mbv3zoo convert CHECKPOINT FOLDER'),
    ],
)  # fmt: skip
def test_an_option_of_another_program_is_answered_with_ours(line, answer):
    assert refused(line) == answer


@pytest.mark.parametrize(
    ('line', 'answer'),
    [
        ('train data=coco.yaml imgsz=640 mode=train', 'mbv3zoo train --data coco.yaml --image-size 640'),
        ('train data=d lr0=0.1 mosaic=0.5', 'mbv3zoo train --data d --lr 0.1 --set mosaic=0.5'),
        ('predict model=a.onnx source=bus.jpg conf=0.3', 'mbv3zoo predict a.onnx bus.jpg --score-thresh 0.3'),
        ('predict source=bus.jpg save=False', 'mbv3zoo predict MODEL bus.jpg --no-draw'),
        ('val model=a data=d project=runs name=x task=detect', 'mbv3zoo val a --data d --out runs/x'),
    ],
)
def test_words_with_an_equals_sign_are_rewritten(line, answer):
    assert refused(line) == f'{" ".join(line.split()[1:])}: here it is written {answer}'
    # And what it is rewritten to is a command of ours.
    name, *arguments = answer.split()[1:]
    PROGRAM.commands[name].make_context(name, arguments)


@pytest.mark.parametrize(
    ('line', 'word'),
    [
        ('train data.yaml --epochs 3', 'data.yaml'),
        ('val m data.yaml', 'data.yaml'),
        ('predict m a.jpg b.jpg c.jpg', 'b.jpg'),
    ],
)
def test_one_argument_too_many_is_answered_with_what_it_was_meant_as(line, word):
    assert refused(line) == f'{word}: {ONE_MORE[line.split()[0]]}'


def test_a_word_without_a_counterpart_says_what_there_is_instead():
    assert refused('train data=d nc=3').endswith('of nc: the number of classes is read from the data set')


@pytest.mark.parametrize(
    ('line', 'part'),
    [
        ('detect', 'detect: here it is called predict'), ('validate', 'here it is called val'),
        ('test --weights a', 'here it is called val'), ('tune', 'no search of hyperparameters'),
        ('trian --data d', 'did you mean train?'), ('--weights a.pt', 'options come after the command'),
        ('photo.jpg', 'a command comes first'), ('data=coco.yaml', 'a command comes first'),
        ('quux', 'there are list, info'),
    ],
)  # fmt: skip
def test_a_command_that_does_not_exist_says_what_to_type(line, part):
    assert part in refused(line)


def test_an_option_that_nobody_knows_gets_the_nearest_ones():
    assert '--score-thresh' in run('predict', 'm', 's', '--scorethresh', 3, ok=False).output


def test_values_and_files_are_not_taken_for_options(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'data=1').write_text('')
    for line in ('train --set lr=0.1 --model source=b', 'predict m data=1', 'predict m -- source=b', 'predict m x=2'):
        name, *arguments = line.split()
        PROGRAM.commands[name].make_context(name, arguments)
