"""Calls functions of the page's JavaScript modules in Node.js."""

import base64
import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

PAGE = Path(__file__).resolve().parents[2] / 'mbv3zoo' / 'demo' / 'page'

# Arrays are written as base64 of their bytes, with the name of their JavaScript type.
_RUN = """
import { readFileSync } from 'node:fs';
const types = { Uint8Array, Float32Array, Int32Array };
const revive = (key, value) => value?.base64 === undefined ? value
  : new types[value.type](new Uint8Array(Buffer.from(value.base64, 'base64')).buffer);
const replace = (key, value) => !ArrayBuffer.isView(value) ? value : { type: value.constructor.name,
  base64: Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('base64') };
const results = [];
for (const { module, name, args } of JSON.parse(readFileSync(0, 'utf8'), revive)) {
  const functions = await import(`./${module}.js`);
  results.push(functions[name](...args));
}
process.stdout.write(JSON.stringify(results, replace));
"""
_TYPES = {'uint8': 'Uint8Array', 'float32': 'Float32Array', 'int32': 'Int32Array'}


def node():
    """The program: the machine's own, or the one that Python's playwright brings; the test is skipped without both."""
    if found := shutil.which('node'):
        return found
    driver = pytest.importorskip('playwright._impl._driver', reason='there is no Node.js on the PATH')
    return driver.compute_driver_executable()[0]


def run_javascript(calls, folder):
    """Results of functions, in one process.

    Args:
        calls: (module without its suffix, function, *arguments); arrays are handed over as typed arrays.
        folder: An empty folder, for copies of the modules.
    """
    for path in PAGE.glob('*.js'):
        shutil.copy(path, folder)
    # Node takes .js for modules where this says so.
    (folder / 'package.json').write_text('{"type": "module"}')
    (folder / 'run.mjs').write_text(_RUN)
    text = json.dumps([{'module': module, 'name': name, 'args': args} for module, name, *args in calls], default=_array)
    done = subprocess.run([node(), 'run.mjs'], cwd=folder, input=text, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout, object_hook=_revive)


def _array(array):
    return {'type': _TYPES[array.dtype.name], 'base64': base64.b64encode(array.tobytes()).decode()}


def _revive(value):
    if 'base64' not in value:
        return value
    (dtype,) = [name for name, kind in _TYPES.items() if kind == value['type']]
    return np.frombuffer(base64.b64decode(value['base64']), dtype)
