"""`mbv3zoo predict`."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from mbv3zoo.cli.opened import open_detector
from mbv3zoo.cli.options import (
    DETECTIONS,
    IMAGES,
    OUTPUT,
    VIDEO,
    AnyModel,
    Device,
    ImageSize,
    MaxPixels,
    NoCache,
    Overlap,
    Quiet,
    Runtime,
    Slice,
    SliceOnly,
    Threads,
    WithoutNms,
    given,
)
from mbv3zoo.cli.output import tell_lines
from mbv3zoo.models.postprocess.thresholds import PREDICTION
from mbv3zoo.utils.folders import claimed_folder
from mbv3zoo.utils.packages import require


def predict(
    model: AnyModel,
    source: Annotated[
        str,
        typer.Argument(
            help='An image, a folder, a quoted glob pattern, a video, a camera (its number), or the address of a '
            'stream (rtsp://, http://).'
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(help='Folder of the results.', show_default='the next runs/predict-N', rich_help_panel=OUTPUT),
    ] = None,
    score_thresh: Annotated[
        float | None,
        typer.Option(
            help='Minimum score, 0..1.', show_default=str(PREDICTION.score_thresh), rich_help_panel=DETECTIONS
        ),
    ] = None,
    iou_thresh: Annotated[
        float | None,
        typer.Option(
            help='IoU above which the box with the lower score is dropped, 0..1.',
            show_default=str(PREDICTION.iou_thresh),
            rich_help_panel=DETECTIONS,
        ),
    ] = None,
    max_detections: Annotated[
        int | None,
        typer.Option(
            help='Most objects per image.', show_default=str(PREDICTION.max_detections), rich_help_panel=DETECTIONS
        ),
    ] = None,
    classes: Annotated[
        list[str] | None,
        typer.Option(
            help='Find only these: a name or an index, or several as cat,dog; may be repeated.',
            show_default='all',
            rich_help_panel=DETECTIONS,
        ),
    ] = None,
    agnostic_nms: Annotated[
        bool,
        typer.Option(
            '--agnostic-nms',
            help='Let boxes of different classes suppress each other.',
            rich_help_panel=DETECTIONS,
        ),
    ] = False,
    nms: WithoutNms = None,
    image_size: ImageSize = None,
    batch_size: Annotated[
        int | None,
        typer.Option(help='Images at a time.', show_default='8; 1 for cameras and streams', rich_help_panel=IMAGES),
    ] = None,
    max_pixels: MaxPixels = None,
    slice_: Slice = None,
    overlap: Overlap = None,
    slice_only: SliceOnly = False,
    runtime: Runtime = None,
    threads: Threads = None,
    device: Device = None,
    no_cache: NoCache = False,
    draw: Annotated[
        bool, typer.Option(help='Also write each image, or the video, with its boxes.', rich_help_panel=OUTPUT)
    ] = True,
    save_txt: Annotated[
        bool,
        typer.Option(
            '--save-txt',
            help='Also write labels/IMAGE.txt as YOLO has them, and data.yaml.',
            rich_help_panel=OUTPUT,
        ),
    ] = False,
    save_conf: Annotated[
        bool, typer.Option('--save-conf', help='With the scores in --save-txt.', rich_help_panel=OUTPUT)
    ] = False,
    save_crop: Annotated[
        bool,
        typer.Option('--save-crop', help='Also write each object as crops/CLASS/IMAGE_N.jpg.', rich_help_panel=OUTPUT),
    ] = False,
    label_studio: Annotated[
        bool,
        typer.Option(
            '--label-studio',
            help='Also write label_studio.json, the boxes as pre-annotations for Label Studio, and label_studio.xml, '
            'its labelling config.',
            rich_help_panel=OUTPUT,
        ),
    ] = False,
    label_studio_root: Annotated[
        Path | None,
        typer.Option(
            help='Folder that Label Studio serves the images from (its LOCAL_FILES_DOCUMENT_ROOT).',
            show_default='the root of the disk',
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    stride: Annotated[
        int | None,
        typer.Option(
            help='Every so many frames of a video: 2 takes every second one.', show_default='1', rich_help_panel=VIDEO
        ),
    ] = None,
    max_frames: Annotated[
        int | None,
        typer.Option(
            help='End a video, a camera or a stream after so many frames.', show_default='none', rich_help_panel=VIDEO
        ),
    ] = None,
    track: Annotated[
        bool,
        typer.Option(
            '--track', help='Number objects, the same from frame to frame (ByteTrack).', rich_help_panel=VIDEO
        ),
    ] = False,
    show: Annotated[
        bool,
        typer.Option('--show', help='Show the frames in a window; q or Escape ends it.', rich_help_panel=VIDEO),
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Find objects, or classes of pixels, in images and videos. Writes each drawn, and one JSON of all.

    Of a segmenter also writes masks/IMAGE.png, whose pixels are the indices of the classes.
    """
    from mbv3zoo.detections.classes import split_classes
    from mbv3zoo.prediction.engine import as_engine, check_detects
    from mbv3zoo.utils.processes import processes

    options = given(score_thresh=score_thresh, iou_thresh=iou_thresh, max_detections=max_detections)
    options |= given(agnostic_nms=agnostic_nms or None, classes=classes or None)
    of_detectors = [*options]
    options |= given(image_size=image_size, batch_size=batch_size, max_pixels=max_pixels)
    flags = (
        ('slice_only', slice_only),
        ('save_txt', save_txt),
        ('save_crop', save_crop),
        ('label_studio', label_studio),
    )
    of_images: dict[str, Any] = {name: True for name, value in flags if value}
    of_video = given(stride=stride, max_frames=max_frames, track=track or None, show=show or None)
    if save_conf and not save_txt:
        raise ValueError('--save-conf adds the scores to the files of --save-txt; give both')
    if label_studio_root is not None and not label_studio:
        raise ValueError('--label-studio-root is for the tasks of --label-studio; give both')
    of_images |= given(label_studio_root=label_studio_root, slice=slice_, overlap=overlap)
    # Before the detector is fetched and opened.
    video = _checked_as_video(source, of_images, of_video, draw)
    options |= {'draw': draw, 'progress': sys.stderr.isatty() or video}
    with processes() as group, group.entered_by_first(lambda: claimed_folder(out, 'predict')) as folder:
        if video and group.count > 1:
            raise ValueError(f'{source} is a video, which one process predicts; start without torchrun')
        detector = open_detector(
            model, runtime=runtime, image_size=image_size, threads=threads, device=device, cache=not no_cache, nms=nms
        )
        asked = [*of_detectors, *of_images, *(['track'] if track else [])]
        check_detects(detector, [_options([name]) for name in asked])
        if classes:
            options['classes'] = split_classes(classes, as_engine(detector).info.class_names)
        if video:
            from mbv3zoo.prediction.video import write_video_predictions

            lines = write_video_predictions(detector, source, folder, **options, **of_video)
        else:
            from mbv3zoo.prediction.folder import write_predictions

            lines = write_predictions(
                detector, source, folder, save_conf=save_conf, group=group, **of_images, **options
            )
        tell_lines(lines)


def _checked_as_video(source: str, of_images: Iterable[str], of_video: Collection[str], draw: bool) -> bool:
    """Whether a source is read as a video, not as images.

    Args:
        source: What the user named.
        of_images, of_video: The given options that are for images only, and for videos only.
        draw: Whether the results are drawn.

    Raises:
        ValueError: It is an address of an image, or an option does not apply to it.
        ImportError: A package is not installed.
    """
    from mbv3zoo.images.addresses import check_no_address, is_image_address
    from mbv3zoo.prediction.video_source import check_installed, is_file, is_video, named

    if is_file(source) or is_image_address(source):
        check_no_address(source)
    video = is_video(source)
    if of_video and not video:
        raise ValueError(f'{_options(of_video)}: for videos, cameras and streams only, and {source} is read as images')
    if of_images and video:
        raise ValueError(
            f'{_options(of_images)}: for images only, and {named(source)} is read as a video, whose boxes are all in '
            'predictions.jsonl'
        )
    if video:
        check_installed(source, draw)
        if 'track' in of_video:
            require('--track', 'trackers')
    return video


def _options(names: Iterable[str]) -> str:
    return ', '.join(f'--{name.replace("_", "-")}' for name in names)
