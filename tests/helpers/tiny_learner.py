"""A learner of a small detector on six tiny pictures."""

import torch
from tiny_sets import CLASS_NAMES, write_yolo_set

from mbv3zoo.config.training import TrainConfig
from mbv3zoo.create import create_detector
from mbv3zoo.data.load import load_dataset
from mbv3zoo.training.learner import Learner
from mbv3zoo.training.prepare import create_accelerator, prepare_backbone
from mbv3zoo.training.teacher import Teacher


def tiny_train_set(folder):
    return load_dataset(write_yolo_set(folder, {'train': 6, 'val': 1}, (64, 64)), 'train')


def learner_of(train_set, tmp_path, weights=7, **settings):
    torch.manual_seed(weights)
    detector = create_detector('mbv3_yolo_small_050', class_names=CLASS_NAMES, image_size=64)
    config = TrainConfig(**({'epochs': 3, 'batch_size': 2, 'workers': 0} | settings))
    prepare_backbone(detector, config)
    teacher = config.teacher and Teacher(config.teacher, detector.config, detector.strides)
    return Learner(detector, train_set, config, create_accelerator(config, tmp_path), teacher)
