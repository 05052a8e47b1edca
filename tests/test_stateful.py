"""Random sequences of what people do to a detector, after each of which all places that it is in agree.

    pytest -m slow tests/test_stateful.py                    # 150 sequences, always the same ones
    MBV3ZOO_TEST_ALL=1 pytest -m slow tests/test_stateful.py         # 300
    STATEFUL_SEQUENCES=5000 pytest -m slow tests/test_stateful.py    # so many others each time

A failure prints the sequence, shortened, as a program of rules.
"""

import os
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import torch
from amount import amount
from detector_changes import CONFIG, STRUCTURE, WEIGHTS, WRONG_CONFIG
from detector_world import World
from hub_server import HubServer, in_process
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from tiny_backbone import registered, tiny_detector

FOLDERS = st.sampled_from(['a', 'b'])
REPOSITORIES = st.sampled_from(['org/a', 'org/b'])
SEEDS = st.integers(0, 7)
DTYPES = st.sampled_from(
    [None, None, None, torch.float16, torch.bfloat16, torch.float64, 'float16', 'bfloat16', torch.int8, torch.bool]
    + [torch.complex64, 'float17', 16]
)
# A real runtime takes a second to be built, so a sequence builds few.
MOST_BUILDS = [0, 0, 0, 0, 1, 2]
LENGTH = 8


def names(table):
    return st.sampled_from([*table])


class Places(RuleBasedStateMachine):
    """The rules."""

    server: HubServer
    most_builds: int

    @initialize(builds=st.sampled_from(MOST_BUILDS))
    def begin(self, builds):
        self.server.clear()
        self.folder = TemporaryDirectory()
        self.builds = min(builds, self.most_builds)
        self.world = World(tiny_detector(), Path(self.folder.name), self.server)

    def teardown(self):
        self.folder.cleanup()

    @invariant()
    def the_kept_runtime_is_the_detector(self):
        self.world.compare_live()

    @rule(how=names(WEIGHTS), seed=SEEDS)
    def change_weights(self, how, seed):
        self.world.change_weights(WEIGHTS[how], seed)

    @precondition(lambda self: not self.world.detector.fused)
    @rule(how=names(STRUCTURE), seed=SEEDS)
    def change_structure(self, how, seed):
        self.world.change_structure(how, seed)

    @precondition(lambda self: self.world.changes)
    @rule(number=SEEDS)
    def undo_structure(self, number):
        self.world.undo_structure(number)

    @rule(how=names(CONFIG))
    def change_config(self, how):
        self.world.change_config(CONFIG[how], wrong=False)

    @rule(how=names(WRONG_CONFIG))
    def contradict_config(self, how):
        self.world.change_config(WRONG_CONFIG[how], wrong=True)

    @precondition(lambda self: self.world.right_config)
    @rule()
    def correct_config(self):
        self.world.correct_config()

    @rule()
    def fuse(self):
        self.world.fuse()

    @rule(dtype=st.sampled_from([torch.float16, torch.bfloat16, torch.float64, torch.float32, torch.float32]))
    def cast(self, dtype):
        self.world.detector.to(dtype)

    @rule(training=st.booleans())
    def mode(self, training):
        self.world.detector.train(training)

    @rule()
    def freeze(self):
        self.world.detector.freeze_norm()

    @rule()
    def copy(self):
        self.world.copy()

    @rule()
    def pickle(self):
        self.world.pickle()

    @rule(name=FOLDERS, dtype=DTYPES)
    def save(self, name, dtype):
        self.world.save(name, dtype)

    @rule(name=FOLDERS)
    def save_as_it_is(self, name):
        self.world.save(name)

    @rule(name=FOLDERS)
    def load(self, name):
        self.world.load(name)

    @rule(repo_id=REPOSITORIES, dtype=DTYPES)
    def push(self, repo_id, dtype):
        self.world.push(repo_id, dtype)

    @rule(repo_id=REPOSITORIES)
    def pull(self, repo_id):
        self.world.pull(repo_id)

    @rule(how=st.sampled_from(['NaN', 'infinity', 'too large', 'meta']), name=FOLDERS, repo_id=REPOSITORIES)
    def spoil(self, how, name, repo_id):
        self.world.spoil(how, name, repo_id)

    @rule(side=st.sampled_from([64, 96]))
    def predict_at_a_size(self, side):
        self.world.compare_live(side=side)

    @precondition(lambda self: self.builds)
    @rule(runtime=st.sampled_from(['onnxruntime', 'onnxruntime', 'openvino']), side=st.sampled_from([64, 64, 96]))
    def predict_in_a_runtime(self, runtime, side):
        self.builds -= 1
        self.world.compare_live(runtime, side)

    @precondition(lambda self: self.builds)
    @rule(name=st.sampled_from(['m', 'n']), nms=st.booleans(), overwrite=st.booleans())
    def export(self, name, nms, overwrite):
        self.builds -= 1
        self.world.export(name, nms, overwrite)

    @precondition(lambda self: self.world.files)
    @rule()
    def predict_from_a_file(self):
        for name in self.world.files:
            self.world.predict_from_file(name)


@pytest.fixture(scope='module')
def server(tmp_path_factory):
    pytest.importorskip('onnxruntime'), pytest.importorskip('openvino')
    with registered(), HubServer() as server, in_process(server, tmp_path_factory.mktemp('cache')):
        Places.server = server
        yield server


def run(sequences, most_builds, derandomize=True):
    Places.most_builds = most_builds
    run_state_machine_as_test(
        Places,
        settings=settings(
            max_examples=sequences, stateful_step_count=LENGTH, derandomize=derandomize, deadline=None, database=None,
            suppress_health_check=[*HealthCheck], print_blob=False,
        ),
    )  # fmt: skip


def test_a_few_sequences(server):
    run(10, most_builds=0)


@pytest.mark.slow
def test_many_sequences(server):
    given = os.environ.get('STATEFUL_SEQUENCES')
    run(int(given or amount(60, 300)), most_builds=2, derandomize=given is None)
