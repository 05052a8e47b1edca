"""Kills a writer at each of its boundaries with SIGKILL, to see what is left: by counting, not by luck.

A boundary is a call that changes what is on disk: open for writing, write, fsync, rename, remove, mkdir, rmdir, link. A
writer is killed before each of them and, where it writes bytes, after half of them. What native code writes between two
calls is seen as a whole.

Run as a program, this is a process that has imported what the writers need, and forks a child for each kill.
"""

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import warnings
from functools import cache
from importlib import import_module
from pathlib import Path

_CALLS = {'os.rename', 'os.remove', 'os.mkdir', 'os.rmdir', 'os.link', 'os.symlink', 'os.truncate', 'os.chmod'}
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


class _Boundaries:
    """Counts boundaries below a folder, and kills this process at one of them."""

    def __init__(self, root, kill_at=None):
        self.root, self.kill_at, self.found, self.lock = os.path.realpath(root) + os.sep, kill_at, [], threading.Lock()
        self.real_fsync, self.real_open = os.fsync, io.open

    def install(self):
        sys.addaudithook(self.audit)
        os.fsync = self.fsync
        # pathlib and tempfile find it in io, everything else among the builtins.
        import builtins

        io.open = builtins.open = self.open

    def reach(self, kind, path='', before_death=None):
        with self.lock:
            self.found.append(f'{kind} {str(path).removeprefix(self.root)}')
            if self.kill_at == len(self.found) - 1:
                if before_death:
                    before_death()
                os.kill(os.getpid(), signal.SIGKILL)

    def inside(self, path):
        return isinstance(path, str | bytes | os.PathLike) and os.path.abspath(os.fsdecode(path)).startswith(self.root)

    def audit(self, event, arguments):
        if event == 'open':
            path, _, flags = arguments
            if isinstance(flags, int) and flags & _WRITING and self.inside(path):
                self.reach('open', os.fsdecode(path))
        elif event in _CALLS:
            # shutil.rmtree removes by name in an open folder.
            by_descriptor = any(isinstance(argument, int) and argument > 0 for argument in arguments[-1:])
            if by_descriptor or any(self.inside(argument) for argument in arguments):
                self.reach(event, os.fsdecode(arguments[0]))

    def fsync(self, descriptor):
        self.reach('fsync')
        self.real_fsync(descriptor)

    def open(self, file, mode='r', *arguments, **options):
        opened = self.real_open(file, mode, *arguments, **options)
        writes = any(letter in mode for letter in 'wax+') and self.inside(file)
        return _KilledInside(opened, self, file) if writes else opened


class _KilledInside:
    """A file whose every write is a boundary: half of the bytes are written."""

    def __init__(self, file, boundaries, path):
        self.__dict__.update(file=file, boundaries=boundaries, path=path)

    def write(self, data):
        def half():
            self.file.write(data[: len(data) // 2])
            self.file.flush()

        self.boundaries.reach('write', self.path, half)
        return self.file.write(data)

    def __getattr__(self, name):
        return getattr(self.file, name)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.file.close()


def _serve():
    """Reads jobs, one a line, and answers each with the child's exit code and the boundaries that it came to."""
    import torch

    torch.set_num_threads(1)
    warnings.simplefilter('ignore')
    warmed = set()
    for line in sys.stdin:
        module, function, root, arguments, kill_at = json.loads(line)
        write = getattr(import_module(module), function)
        if (warm := getattr(import_module(module), f'{function}_warm', None)) and function not in warmed:
            warm(*arguments)
            warmed.add(function)
        reader, writer = os.pipe()
        child = os.fork()
        if not child:
            os.dup2(2, 1)
            status = 1
            try:
                boundaries = _Boundaries(root, kill_at)
                boundaries.install()
                write(*arguments)
                os.write(writer, json.dumps(boundaries.found).encode())
                status = 0
            finally:
                if status:
                    import traceback

                    traceback.print_exc()
                os._exit(status)
        os.close(writer)
        with os.fdopen(reader) as file:
            found = file.read()
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        print(json.dumps([status, json.loads(found or '[]')]), flush=True)


@cache
def _server():
    """Ends with this process, whose end closes its input."""
    helpers = Path(__file__).parent
    paths = [str(helpers), str(helpers.parents[1])]
    environment = os.environ | {'OMP_NUM_THREADS': '1', 'PYTHONPATH': os.pathsep.join(paths)}
    command = [sys.executable, __file__]
    return subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def run_writer(write, root, *arguments, kill_at=None):
    """Runs a writer in a process of its own, and perhaps kills it.

    Args:
        write: A function of a module in tests/helpers. If the module has a function `<name>_warm`, that is called
            first with the same arguments, once, in the process that is forked.
        root: Boundaries are counted below this folder.
        *arguments: For the writer: paths, strings, numbers.
        kill_at: Index of the boundary at which it is killed; None runs it to its end.

    Returns:
        The boundaries that it came to, in words; empty where it was killed.
    """
    server = _server()
    arguments = [str(argument) if isinstance(argument, Path) else argument for argument in arguments]
    server.stdin.write(json.dumps([write.__module__, write.__name__, str(root), arguments, kill_at]) + '\n')
    server.stdin.flush()
    answer = server.stdout.readline()
    if not answer:
        _server.cache_clear()
    assert answer, 'the writer could not be prepared; its error is among what was written to stderr'
    status, found = json.loads(answer)
    assert status == (0 if kill_at is None else -signal.SIGKILL), f'ended with {status}, killed at {kill_at}'
    return found


def names(folder):
    """Every name below a folder, hidden ones too."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob('*'))


class KilledWriter:
    """One writer's way through all kills.

    Args:
        write: `write(folder, version)`, a function of a module in tests/helpers: writes version 0, 1 or 2 into a folder
            that may hold another.
        read: `read(folder)`: the versions that a reader finds, a set; {None} where nothing is there.
        tmp_path: Where all takes place.
        *arguments: Further ones for both.
        old: Whether version 0 is there before; else nothing is.
    """

    def __init__(self, write, read, tmp_path, *arguments, old=True):
        self._write, self._read, self._arguments, self.tmp_path = write, read, arguments, tmp_path
        self.before = tmp_path / 'before'
        self.before.mkdir()
        self.old = {0} if old else {None}
        if old:
            self.write(self.before, 0)
        assert self.read(self.before) == self.old
        whole = self._fresh()
        self.boundaries = self.write(whole, 1)
        assert self.read(whole) == {1}
        self.names = names(whole)

    def check(self, chosen=lambda words: True):
        """Kills at boundaries: what is found is the old or the new; the next write gives the next, and no rest.

        Args:
            chosen: Which boundaries: a function of their words. All by default.

        Returns:
            What was found after each kill, as sets of versions.
        """
        found = []
        for kill_at in self._chosen(chosen):
            folder = self._fresh()
            self.write(folder, 1, kill_at)
            said = f'killed at {self.boundaries[kill_at]}'
            found.append(self.read(folder))
            assert found[-1] in (self.old, {1}), f'{said}: found {found[-1]}'
            self._write_again(folder, said)
        return found

    def check_twice(self, chosen, count):
        """As `check`, but the next write is killed too, at each of its first boundaries.

        Args:
            chosen: Which boundaries are for the first kill.
            count: Number of boundaries for the second.
        """
        for kill_at in self._chosen(chosen):
            for again_at in range(count):
                folder = self._fresh()
                self.write(folder, 1, kill_at)
                before = self.read(folder)
                self.write(folder, 2, again_at)
                said = f'killed at {self.boundaries[kill_at]}, and again at boundary {again_at}'
                found = self.read(folder)
                assert found in (before, {2}), f'{said}: found {found} after {before}'
                self._write_again(folder, said)

    def _chosen(self, chosen):
        found = [index for index, words in enumerate(self.boundaries) if chosen(words)]
        assert found
        return found

    def write(self, folder, version, kill_at=None):
        return run_writer(self._write, folder, folder, version, *self._arguments, kill_at=kill_at)

    def read(self, folder):
        return self._read(folder, *self._arguments)

    def _write_again(self, folder, said):
        self.write(folder, 2)
        assert self.read(folder) == {2}, said
        assert names(folder) == self.names, said

    def _fresh(self):
        folder = self.tmp_path / 'killed'
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self.before, folder)
        return folder


if __name__ == '__main__':
    _serve()
