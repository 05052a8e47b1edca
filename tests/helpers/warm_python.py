"""New Python processes that need not import torch: one process has it, and forks another for each piece of code."""

import json
import os
import select
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path

# The child leaves the loop and ends as any program does, with its threads joined.
_SERVER = """
import json, os, sys
import torch, torchvision
for line in sys.stdin:
    child = os.fork()
    if not child:
        break
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
else:
    sys.exit()
job = json.loads(line)
os.environ.clear()
os.environ.update(job['env'])
os.chdir(job['cwd'])
sys.path[1:1] = filter(None, job['env'].get('PYTHONPATH', '').split(os.pathsep))
for number, path in enumerate([os.devnull, job['stdout'], job['stderr']]):
    os.dup2(os.open(path, os.O_RDWR), number)
exec(compile(job['code'], '<code>', 'exec'), {'__name__': '__main__'})
"""


@cache
def _server() -> subprocess.Popen:
    """Ends with this process, whose end closes its input."""
    return subprocess.Popen(
        [sys.executable, '-c', _SERVER],
        env=os.environ | {'OMP_NUM_THREADS': '1'},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def run_code(
    code: str, cwd: Path = Path(), env: Mapping[str, str] = os.environ, timeout: float = 120
) -> subprocess.CompletedProcess[str]:
    """As `subprocess.run([sys.executable, '-c', code], ...)` with its output captured.

    torch and torchvision are imported already, with one thread; nothing else of what tests look at is.
    """
    with tempfile.NamedTemporaryFile('r') as stdout, tempfile.NamedTemporaryFile('r') as stderr:
        job = {'code': code, 'cwd': str(cwd.resolve()), 'env': dict(env), 'stdout': stdout.name, 'stderr': stderr.name}
        server = _server()
        server.stdin.write(json.dumps(job) + '\n')
        server.stdin.flush()
        if not select.select([server.stdout], [], [], timeout)[0]:
            os.killpg(server.pid, signal.SIGKILL)
            _server.cache_clear()
            raise subprocess.TimeoutExpired(code, timeout, stdout.read(), stderr.read())
        status = int(server.stdout.readline())
        return subprocess.CompletedProcess(code, status, stdout.read(), stderr.read())
