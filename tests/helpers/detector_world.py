"""A detector in every place it can be in at once: in memory, in folders, on the Hub, in runtimes, in exported files.

Each method does one thing that people do, and checks what must be true after it: the places agree, or it was refused in
one sentence, and nothing in any place has changed.
"""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from detector_changes import STRUCTURE, Undo
from hub_server import TOKEN, HubServer

import mbv3zoo
from mbv3zoo.config.detector import DetectorConfig

IMAGE = np.random.default_rng(1).integers(0, 256, (64, 64, 3), np.uint8)
# Without suppression, so that each box has one counterpart.
ALL = {'score_thresh': 0.01, 'iou_thresh': 1.0}
TOLERANCE = {torch.float32: 2e-3, torch.float64: 2e-3, torch.float16: 0.05, torch.bfloat16: 0.3}


class Refused(NamedTuple):
    """An error that is told to the user."""

    message: str


class World:
    """One detector, and what became of it.

    Args:
        detector: The detector.
        folder: An empty folder.
        server: The Hub.
    """

    def __init__(self, detector: mbv3zoo.Detector, folder: Path, server: HubServer) -> None:
        self.detector, self.folder, self.server = detector, folder, server
        self.changes: dict[str, Undo | None] = {}
        self.right_config: DetectorConfig | None = None
        self.touched = False  # whether modules were ever changed: torch leaves hooks behind
        self.files: dict[str, mbv3zoo.Detections] = {}

    @property
    def must_work(self) -> bool:
        """Whether the detector is one that its config builds, so that nothing has a reason to refuse it."""
        return not self.changes and self.right_config is None

    def attempt(self, action: Callable[[], Any]) -> Any:
        """What an action gives, or the sentence that refuses it; then nothing has changed anywhere."""
        before, own = self.places(), state_of(self.detector)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter('ignore')
                found = action()
        except Exception as error:
            assert is_told(error), f'{type(error).__name__} was raised: {error}'
            assert self.places() == before, f'places changed though it was refused: {error}'
            found = Refused(str(error))
        assert_equal_states(state_of(self.detector), own, 'the live detector')
        return found

    def places(self) -> dict[str, Any]:
        """All bytes in folders and repositories."""
        files = {
            str(path.relative_to(self.folder)): path.read_bytes()
            for path in sorted(self.folder.rglob('*'))
            if path.is_file() and 'cache' not in path.parts
        }
        folders = sorted(str(path) for path in self.folder.iterdir())
        return {
            'files': files,
            'folders': folders,
            'hub': {i: r.branches | r.tags for i, r in self.server.repos.items()},
        }

    # Prediction.

    def compare_live(self, runtime: str = 'eager', side: int = 64) -> None:
        """A runtime that is kept gives what the detector itself gives, now."""
        live = self.live(side)
        if live is None:
            return
        kept = self.attempt(lambda: self.detector.predict(IMAGE, image_size=side, runtime=runtime, **ALL))
        if self.must_work or not isinstance(kept, Refused):
            assert not isinstance(kept, Refused), f'{runtime} refused: {kept}'
            assert not isinstance(live, Refused), f'{runtime} predicts, the detector does not: {live}'
            same_boxes(kept, live, TOLERANCE[self.detector.mean.dtype])

    def live(self, side: int = 64) -> mbv3zoo.Detections | Refused | None:
        """What the detector finds; None where people have changed its modules so that torch cannot run it."""
        try:
            return self.detector.predict(IMAGE, image_size=side, **ALL)
        except Exception as error:
            if self.changes:
                return None
            assert is_told(error), f'{type(error).__name__} was raised: {error}'
            return Refused(str(error))

    def export(self, name: str, nms: bool = False, overwrite: bool = False) -> None:
        """The exported file gives what the detector gives."""
        path = self.folder / f'{name}.onnx'
        live = self.live()
        if live is None:
            return
        options: Any = {'nms': nms, 'overwrite': overwrite, 'pictures': [IMAGE]} | (ALL if nms else {})
        there = path.exists()
        found = self.attempt(lambda: self.detector.export(path, **options))
        if there and not overwrite:
            assert isinstance(found, Refused) and str(path) in found.message
        elif not isinstance(found, Refused):
            assert not isinstance(live, Refused), f'exported, though the detector does not predict: {live}'
            self.files[name] = live
            self.predict_from_file(name, TOLERANCE[self.detector.mean.dtype])
        else:
            assert not self.must_work or self.detector.mean.dtype != torch.float32, f'export refused: {found}'

    def predict_from_file(self, name: str, tolerance: float = 0.3) -> None:
        """An exported file gives what it gave, whatever became of the detector."""
        same_boxes(mbv3zoo.load(self.folder / f'{name}.onnx').predict(IMAGE, **ALL), self.files[name], tolerance)

    # Saving.

    def save(self, name: str, dtype: Any = None) -> None:
        """What is saved is loaded again, bit for bit; else it is refused, and an earlier save is what it was."""
        folder = self.folder / name
        found = self.attempt(lambda: self.detector.save_pretrained(folder, dtype=dtype))
        if isinstance(found, Refused):
            assert not self.may_be_saved(dtype), f'save refused: {found}'
        else:
            reloaded = mbv3zoo.Detector.from_pretrained(folder)
            self.check_reloaded(reloaded, dtype, (folder / 'README.md').read_text())

    def push(self, repo_id: str, dtype: Any = None) -> None:
        """As `save`, on the Hub."""
        found = self.attempt(lambda: self.detector.push_to_hub(repo_id, dtype=dtype, token=TOKEN))
        if isinstance(found, Refused):
            assert not self.may_be_saved(dtype), f'push refused: {found}'
        else:
            self.check_reloaded(self.pulled(repo_id), dtype, self.server.repos[repo_id].files()['README.md'].decode())

    def pulled(self, repo_id: str) -> mbv3zoo.Detector:
        return mbv3zoo.Detector.from_pretrained(repo_id, token=TOKEN, cache_dir=self.folder / 'cache')

    def may_be_saved(self, dtype: Any) -> bool:
        plain = dtype is None or dtype in (torch.float16, torch.bfloat16, torch.float32, torch.float64, 'float16')
        return self.must_work and not self.detector.fused and plain

    def check_reloaded(self, reloaded: mbv3zoo.Detector, dtype: Any, card: str) -> None:
        dtype = getattr(torch, dtype) if isinstance(dtype, str) else dtype
        expected = deepcopy_or_none(self.detector)
        assert expected is not None and reloaded.config == self.detector.config
        own = expected.state_dict()
        saved = {name: t.to(dtype).to(t) if dtype and t.is_floating_point() else t for name, t in own.items()}
        if reloaded.state_dict().keys() == saved.keys():
            assert_equal_states(reloaded.state_dict(), saved, 'what is loaded again')
        expected.eval().load_state_dict(saved)
        images = torch.from_numpy(IMAGE).permute(2, 0, 1)[None].to(expected.mean) / 255
        with torch.no_grad():
            for ours, theirs in zip(expected(images), reloaded(images), strict=True):
                # Frozen norms compute the same numbers in another order.
                allowed = TOLERANCE[expected.mean.dtype] if self.changes else 0
                assert torch.allclose(ours, theirs, rtol=0, atol=allowed), 'what is loaded is another'
        found, wanted = (each.predict(IMAGE, **ALL) for each in (reloaded, expected))
        same_boxes(found, wanted, 2e-3)
        listed = ', '.join(self.detector.config.class_names)
        assert listed in card, f'the card is not of this detector: {listed}'

    def load(self, name: str) -> None:
        """The detector is that of a folder from now on, if there is one."""
        if (self.folder / name).exists():
            self._become(mbv3zoo.Detector.from_pretrained(self.folder / name))

    def pull(self, repo_id: str) -> None:
        """The detector is that of a repository from now on, if there is one."""
        if repo_id in self.server.repos:
            self._become(self.pulled(repo_id))

    def _become(self, detector: mbv3zoo.Detector) -> None:
        self.detector, self.changes, self.right_config = detector, {}, None
        self.touched = False

    # Copies.

    def copy(self) -> None:
        """The detector is a copy of itself from now on; the old one is changed, which must not matter."""
        self._replace(deepcopy)

    def pickle(self) -> None:
        """As `copy`, through pickle."""
        self._replace(lambda detector: pickle.loads(pickle.dumps(detector)))

    def _replace(self, copy: Callable[[mbv3zoo.Detector], mbv3zoo.Detector]) -> None:
        old, wanted = self.detector, state_of(self.detector)
        try:
            self.detector = copy(old)
        except Exception:
            # torch's own, of modules that people have changed.
            assert self.touched
            return
        with torch.no_grad():
            next(iter(old.parameters())).zero_()
        assert_equal_states(state_of(self.detector), wanted, 'the copy')

    # Changes.

    def change_weights(self, change: Callable[[mbv3zoo.Detector, np.random.Generator], None], seed: int) -> None:
        """Changes weights, unless nothing would be found any more."""
        before = state_of(self.detector)
        change(self.detector, np.random.default_rng(seed))
        found = self.live()
        if isinstance(found, mbv3zoo.Detections) and len(found) < 20:
            for name, tensor in (*self.detector.named_parameters(), *self.detector.named_buffers()):
                tensor.data.copy_(before[name])

    def change_structure(self, how: str, seed: int) -> None:
        """Changes what the modules are, once each way."""
        if how not in self.changes:
            self.touched = True
            try:
                self.changes[how] = STRUCTURE[how](self.detector, np.random.default_rng(seed))
            except (TypeError, ValueError, RuntimeError):  # torch's own, where two do not go together
                self.changes['failed'] = None
            found = self.live()
            if found is None or len(found) < 20:
                self.undo_structure(-1)

    def undo_structure(self, number: int) -> None:
        """Undoes one of the changes."""
        how = [*self.changes][number % len(self.changes)]
        if (undo := self.changes[how]) is not None:
            undo(self.detector)
            del self.changes[how]

    def change_config(self, change: Callable[[mbv3zoo.Detector], None], wrong: bool) -> None:
        """Gives the detector another config, which may be wrong: then it is corrected before the next one."""
        if self.right_config is None:
            config = self.detector.config
            change(self.detector)
            self.right_config = config if wrong else None

    def correct_config(self) -> None:
        """Gives the detector its right config back."""
        assert self.right_config is not None
        self.detector.config, self.right_config = self.right_config, None

    def spoil(self, how: str, name: str, repo_id: str) -> None:
        """Nowhere is a detector taken that is broken; whole again, it is what it was."""
        detector, changes = self.detector, self.changes
        if (spoiled := deepcopy_or_none(detector)) is None:
            return
        dtype = None
        if how == 'meta':
            spoiled.to('meta')
        elif how == 'too large':
            norms = [m for m in spoiled.modules() if getattr(m, 'running_var', None) is not None]
            if not norms or spoiled.mean.dtype == torch.float16:
                return
            norms[0].running_var.data[0], dtype = 70000.0, torch.float16
        else:
            next(iter(spoiled.parameters())).data.view(-1)[0] = float('nan' if how == 'NaN' else 'inf')
        self.detector, self.changes = spoiled, {**changes, how: None}
        doors = [
            lambda: spoiled.save_pretrained(self.folder / name, dtype=dtype),
            lambda: spoiled.push_to_hub(repo_id, dtype=dtype, token=TOKEN),
        ]
        if how != 'too large':
            doors.append(lambda: spoiled.export(self.folder / 'spoiled.onnx', pictures=[IMAGE]))
        if how == 'meta':
            doors += [lambda: spoiled.predict(IMAGE), lambda: spoiled.predict(IMAGE, runtime='eager')]
        for number, door in enumerate(doors):
            assert isinstance(self.attempt(door), Refused), f'door {number} took it'
        self.detector, self.changes = detector, changes

    def fuse(self) -> None:
        """The detector fused predicts what it did, or is refused and is what it was."""
        before = deepcopy_or_none(self.detector)
        try:
            self.detector.fuse()
        except Exception as error:
            assert is_told(error), f'{type(error).__name__} was raised: {error}'
            assert not self.must_work, f'fuse refused: {error}'
            if before is not None:
                assert self.detector.fused == before.fused
                assert_equal_states(state_of(self.detector), state_of(before), 'the detector that was not fused')
            return
        if before is not None:
            self.changes = dict.fromkeys(self.changes)  # none can be undone any more
            live, old = (predicted(detector) for detector in (self.detector, before))
            if old is not None:
                assert live is not None, 'fused, it does not predict'
                same_boxes(live, old, 10 * TOLERANCE[self.detector.mean.dtype])


def predicted(detector: mbv3zoo.Detector) -> mbv3zoo.Detections | None:
    try:
        return detector.predict(IMAGE, **ALL)
    except Exception:
        return None


def deepcopy_or_none(detector: mbv3zoo.Detector) -> mbv3zoo.Detector | None:
    try:
        return deepcopy(detector)
    except Exception:
        return None


def is_told(error: Exception) -> bool:
    """Whether an error is one sentence for the user, not one of torch, timm or pydantic."""
    ours = type(error) in (ValueError, ImportError) or isinstance(error, OSError)
    return ours and len(str(error)) > 20 and '\n' not in str(error)


def state_of(detector: mbv3zoo.Detector) -> dict[str, torch.Tensor]:
    """Copies of all tensors, those outside the state dict too."""
    return {name: t.detach().clone() for name, t in (*detector.named_parameters(), *detector.named_buffers())}


def assert_equal_states(found: dict[str, torch.Tensor], wanted: dict[str, torch.Tensor], what: str) -> None:
    assert found.keys() == wanted.keys(), f'{what}: {sorted(found.keys() ^ wanted.keys())}'
    for name, tensor in wanted.items():
        if tensor.is_meta:
            continue
        same = torch.equal(found[name].double(), tensor.double()) or bool(tensor.isnan().any())
        assert same, f'{what}: {name} has other numbers'


def same_boxes(found: mbv3zoo.Detections, wanted: mbv3zoo.Detections, tolerance: float) -> None:
    """Each box has its counterpart, but for those at the threshold and ties of two classes."""
    boxes, own = (torch.as_tensor(d.boxes).double() for d in (found, wanted))
    scores, own_scores = (torch.as_tensor(d.scores).double() for d in (found, wanted))
    assert len(own) > 10, f'{len(own)} boxes are too few to compare'
    assert tuple(found.class_names) == tuple(wanted.class_names)
    # Boxes may be large; a shift of a hundredth of a pixel is nothing.
    apart = torch.cdist(boxes, own, p=torch.inf) / 20 + (scores[:, None] - own_scores[None]).abs()
    apart[torch.as_tensor(found.labels)[:, None] != torch.as_tensor(wanted.labels)[None]] = torch.inf
    lost = sum(
        int(((scores_ > ALL['score_thresh'] + tolerance) & (apart.amin(dim) > tolerance)).sum())
        if apart.numel()
        else 99
        for scores_, dim in ((scores, 1), (own_scores, 0))
    )
    assert lost <= len(own) // 50 * (10 if tolerance > 0.01 else 1), (
        f'{lost} of {len(own)} and {len(boxes)} boxes have no counterpart'
    )
