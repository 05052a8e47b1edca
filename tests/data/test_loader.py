import dataclasses
import gc
import os

import pytest
import torch
from marker_set import SIZE, marked_record

from mbv3zoo.config.training import TrainConfig
from mbv3zoo.data.detection_set import DetectionSet
from mbv3zoo.data.loader import Targets, collate, train_loader
from mbv3zoo.data.samples import TrainSamples


def sample(count, value):
    image = torch.full((3, 4, 4), value, dtype=torch.uint8)
    return image, torch.full((count, 4), float(value)), torch.full((count,), value, dtype=torch.int64)


def test_collate_counts_boxes_by_picture():
    images, targets = collate([sample(2, 0), sample(0, 1), sample(3, 2), sample(0, 3)])
    assert isinstance(targets, Targets) and images.shape == (4, 3, 4, 4) and images.dtype == torch.uint8
    assert images[:, 0, 0, 0].tolist() == [0, 1, 2, 3]
    assert targets.image_index.tolist() == [0, 0, 2, 2, 2] and targets.image_index.dtype == torch.int64
    assert targets.labels.tolist() == [0, 0, 2, 2, 2] and targets.boxes[:, 0].tolist() == [0, 0, 2, 2, 2]


def test_collate_of_pictures_without_boxes():
    images, targets = collate([sample(0, 1), sample(0, 2)])
    assert len(images) == 2
    assert [tuple(part.shape) for part in targets] == [(0,), (0,), (0, 4)]
    assert targets.image_index.dtype == targets.labels.dtype == torch.int64


def loader_of(folder, count, processes=1, **settings):
    """Every picture is the same but for its label, which is its index."""
    known = marked_record(folder / 'a.png', 50, 60, [0])
    records = [dataclasses.replace(known, labels=torch.tensor([i])) for i in range(count)]
    config = TrainConfig(**({'augmentation': 'none', 'batch_size': 5, 'workers': 0} | settings))
    return train_loader(TrainSamples(DetectionSet(records, ()), SIZE, config), config, processes)


def test_batches_are_shuffled_and_whole(tmp_path):
    loader = loader_of(tmp_path, 12)
    assert len(loader) == 2
    torch.manual_seed(0)
    orders = []
    for _ in range(20):
        batches = list(loader)
        assert [tuple(images.shape) for images, _ in batches] == [(5, 3, *SIZE)] * 2
        orders.append([label for _, targets in batches for label in targets.labels.tolist()])
    assert all(len(set(order)) == 10 for order in orders)
    assert len({tuple(order) for order in orders}) == 20 and orders[0] != sorted(orders[0])
    # Nothing is left out for good.
    assert set(sum(orders, [])) == set(range(12))


@pytest.mark.parametrize(('count', 'batches'), [(10, 2), (5, 1), (9, 1)])
def test_a_set_of_whole_batches_is_seen_whole(tmp_path, count, batches):
    loader = loader_of(tmp_path, count)
    assert len(loader) == batches == len(list(loader))


@pytest.mark.parametrize(
    ('count', 'processes', 'size', 'batches'), [(3, 1, 3, 1), (1, 1, 1, 1), (7, 2, 3, 2), (1, 2, 1, 1), (20, 2, 5, 4)]
)
def test_a_set_smaller_than_a_batch_is_one_smaller_batch_for_each_process(tmp_path, count, processes, size, batches):
    found = [len(images) for images, _ in loader_of(tmp_path, count, processes)]
    assert found == [size] * batches


def test_loader_processes(tmp_path):
    loader = loader_of(tmp_path, 10, workers=2)
    assert loader.num_workers == 2
    labels = [label for _, targets in loader for label in targets.labels.tolist()]
    assert sorted(labels) == list(range(10))


def test_loader_processes_stay_and_see_the_epoch(tmp_path):
    def pictures(workers):
        settings = {'augmentation': 'light', 'workers': workers, 'epochs': 9, 'batch_size': 4}
        loader = loader_of(tmp_path, 4, **settings)
        drawn, processes = [], []
        for epoch in (0, 1, 0):
            loader.dataset.set_epoch(epoch)
            (images, targets), *rest = loader
            assert not rest
            drawn.append(images[targets.labels.argsort()])  # the label is the picture's index
            processes.append([worker.pid for worker in loader._iterator._workers] if workers else [])
        return drawn, processes

    (here, _), (there, processes) = pictures(0), pictures(1)
    assert all(torch.equal(one, other) for one, other in zip(here, there, strict=True))
    assert torch.equal(here[0], here[2]) and not torch.equal(here[0], here[1])
    assert processes[0] == processes[1] == processes[2] != []


class Decoder:
    """Something in a cycle, which is told when it is collected."""

    collected: list[int] = []  # noqa: RUF012

    def __init__(self):
        self.itself = self

    def __del__(self):
        Decoder.collected.append(os.getpid())


class CollectsGarbage(torch.utils.data.Dataset):
    def __len__(self):
        return 1

    def __getitem__(self, index):
        gc.collect()
        return len(Decoder.collected)


def test_a_loader_process_leaves_the_garbage_of_its_parent_alone():
    gc.collect()
    gc.disable()
    try:
        Decoder.collected.clear()
        Decoder()
        assert list(torch.utils.data.DataLoader(CollectsGarbage(), num_workers=1)) == [torch.tensor([0])]
    finally:
        gc.enable()
    gc.collect()
    assert Decoder.collected == [os.getpid()]
