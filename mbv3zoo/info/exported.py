"""What is in an exported file, as text; no torch is imported for it."""

from __future__ import annotations

from pathlib import Path

from mbv3zoo.export.certificate import read_certificate
from mbv3zoo.info.rows import classes_row, license_rows, table
from mbv3zoo.runtimes.certificate_data import certificate_path
from mbv3zoo.runtimes.export_info import ExportInfo
from mbv3zoo.runtimes.exported_model import ExportedModel
from mbv3zoo.runtimes.parts import check_digests, parts
from mbv3zoo.runtimes.table import format_of


def describe_exported(path: str | Path) -> str:
    """A table of what an exported file takes and gives, its licences, and the figures of its certificate, as text.

    Args:
        path: The file (of ncnn's two the .param), or folder.

    Raises:
        ValueError: There is no such file, it is not the one of its certificate, or nothing says what is in it.
        ImportError: It has no certificate, and the runtime that would read its own record is not installed.
    """
    path = Path(path)
    files = list(parts(path).values())
    if not files[0].exists():
        raise ValueError(f'{path}: there is no such file')
    if certificate_path(path).is_file():
        check_digests(path)
        certificate = read_certificate(path)
        info, measured = certificate.info, certificate.summary()
    else:
        info, measured = ExportedModel.open(path).info, f'none: there is no {certificate_path(path).name} beside it'
    size = sum(_bytes(file) for file in files)
    rows = {
        'file': f'{" and ".join(file.name for file in files)}, {size / 1e6:.2f} MB',
        'format': f'{format_of(path).name}, weights in {info.precision}, written by mbv3zoo {info.library_version}',
        'task': info.task,
        'backbone': info.backbone,
        'input': _input(info),
        'output': _output(info),
        'classes': classes_row(info.class_names),
    }
    return table([*rows.items(), *license_rows(info.licenses), ('certificate', measured)])


def _input(info: ExportInfo) -> str:
    height, width = info.image_size
    channels = 'RGB' if info.in_chans == 3 else f'{info.in_chans} channels'
    pixels = f'{channels} in 0..255, {info.input_dtype}'
    if info.dynamic:
        return f'any number of images, sides multiples of {info.unit} ({height} x {width} by default), {pixels}'
    images = '1 image' if info.batch_size == 1 else f'{info.batch_size} images'
    return f'{images} per call of {height} x {width}, {pixels}; fixed'


def _output(info: ExportInfo) -> str:
    if info.task == 'segmentation':
        return f'raw logits of each class at stride {info.strides[0]}; they are upsampled outside'
    if info.outputs == 'maps':
        return f'raw logits at strides {list(info.strides)}; NMS is outside'
    return (
        f'detections, with NMS inside: score_thresh {info.score_thresh:g}, iou_thresh {info.iou_thresh:g}, '
        f'max_detections {info.max_detections}'
    )


def _bytes(file: Path) -> int:
    if file.is_dir():
        return sum(part.stat().st_size for part in file.rglob('*') if part.is_file())
    return file.stat().st_size if file.is_file() else 0
