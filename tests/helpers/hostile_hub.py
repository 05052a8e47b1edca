"""A Hub that answers one request with something else, for each request of a door and each answer in turn.

The server runs in the process of the client, so that one process goes through hundreds of situations: start it by
`run_hostile`. After each situation the same is asked again without the network, then of an honest Hub.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from hub_server import HubServer, Reply, answered, cut, endless, flipped, reset, slow, with_headers
from warm_python import run_code

HTML = b'<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>'
NAMES = ('config.json', 'model.safetensors', 'detector.safetensors')
CARD = '---\nlicense: apache-2.0\n---\n\n<!-- mbv3zoo:begin -->\n# A detector\n<!-- mbv3zoo:end -->\n'
STATUSES = (101, 201, 204, 206, 300, 301, 303, 304, 307, 308, 400, 401, 402, 403, 404, 405, 408, 409, 410, 412, 413)
STATUSES += (416, 418, 422, 423, 425, 429, 451, 500, 501, 502, 503, 504, 507, 511, 599, 600, 999)
VALUES = {'none': None, 'number': 5, 'text': 'x', 'list': [], 'mapping': {}, 'negative': -1, 'list-of-5': [5]}
GONE = object()
# What we find ourselves, without an error of the client's.
_OWN = ('not what the Hub states', 'the Hub states no hash', 'the repository has no such file', 'expected at most')


def content(name: str) -> dict[str, bytes]:
    """Files of a repository of that name; no two repositories share any."""
    return {
        'config.json': json.dumps({'name': name}).encode(),
        'model.safetensors': f'backbone of {name} '.encode() * 500,
        'detector.safetensors': f'head of {name} '.encode() * 50,
        'README.md': CARD.encode(),
    }


def _bodies() -> dict[str, bytes]:
    return {
        '{}': b'{}',
        '[]': b'[]',
        'null': b'null',
        'text': b'"x"',
        '5': b'5',
        'NaN': b'NaN',
        'no UTF-8': b'\xff\xfe\x00{',
        'half JSON': b'{"id": "org/na',
        'surrogate': b'{"id": "\\ud800", "sha": "\\ud800", "siblings": [{"rfilename": "\\ud800"}]}',
        'deep': b'[' * 100_000,
        'long number': b'{"siblings": ' + b'9' * 5000 + b'}',
        'HTML': HTML,
        'empty': b'',
        'list of 5': b'[5]',
        'error 5': b'{"error": 5, "errors": [5], "message": []}',
        'errors': b'{"errors": {"message": 5}, "error": {"a": []}}',
    }


def _at(data: Any, number: int, value: Any) -> Any:
    """JSON with its `number`-th value replaced, counted from the outside in."""
    data = json.loads(json.dumps(data))
    places: list[tuple[Any, Any]] = []
    queue = [data]
    while queue:
        one = queue.pop(0)
        keys = list(one) if isinstance(one, dict) else range(len(one)) if isinstance(one, list) else []
        places += [(one, key) for key in keys]
        queue += [one[key] for key in keys]
    if places:
        holder, key = places[number % len(places)]
        if value is GONE:
            del holder[key]
        else:
            holder[key] = value
    return data


def _changed(number: int, value: Any) -> Callable[[Reply], Reply]:
    def change(reply: Reply) -> Reply:
        try:
            return reply._replace(body=json.dumps(_at(json.loads(reply.body), number, value)).encode())
        except ValueError:  # a file
            return flipped(reply)

    return change


def _added(**more: Any) -> Callable[[Reply], Reply]:
    """Fields that the client reads where they are there."""

    def change(reply: Reply) -> Reply:
        try:
            data = json.loads(reply.body)
        except ValueError:
            return reply
        return reply._replace(body=json.dumps({**data, **more} if isinstance(data, dict) else data).encode())

    return change


def answers(fields: int) -> dict[str, Callable[[Reply], Reply]]:
    """Name -> what becomes of an answer.

    Args:
        fields: How many values of an answer in JSON are replaced, one at a time.
    """
    found: dict[str, Callable[[Reply], Reply]] = {}
    for name, body in _bodies().items():
        found[f'body {name}'] = lambda reply, body=body: reply._replace(body=body)
        found[f'400 {name}'] = answered(400, body)
    found |= {f'status {status}': answered(status, HTML) for status in STATUSES}
    found |= {f'bare {status}': answered(status) for status in (200, 204, 301, 404, 500)}
    for where in ('/', '//', '..', 'file:///etc/passwd', 'http://127.0.0.1:9/x', 'http://[', 'ftp://x', ':', 'a\0b'):
        found[f'302 to {where}'] = answered(302, Location=where)
    found['loop'] = lambda reply: reply._replace(status=307, headers={'Location': '?again'})
    for code in ('RepoNotFound', 'RevisionNotFound', 'EntryNotFound', 'GatedRepo', 'DisabledRepo', 'x'):
        found[f'404 {code}'] = answered(404, X_Error_Code=code, X_Error_Message=b'\xff\xfe')
        found[f'200 {code}'] = with_headers(X_Error_Code=code)
    for header in ('ETag', 'X-Linked-ETag', 'X-Linked-Size', 'X-Repo-Commit', 'Content-Range', 'Location'):
        for value in (None, '', 'x', '"', '5', '-1', 'a' * 40, '0' * 64, '../../x', b'\xff\xfe', b'\xc3\xa4' * 9):
            found[f'{header} {value!r}'] = _with_header(header, value)
    for header, value in {
        'Content-Length': '5',
        'Content-Encoding': 'gzip',
        'Transfer-Encoding': 'chunked',
        'Content-Type': b'text/\xff',
        'Retry-After': '9' * 5000,
        'Link': '<x>; rel="xet-auth"',
        'X-Xet-Hash': 'x',
        'X-Error-Message': 'long ' * 5000,
        'X-Long': 'x' * 60_000,
        'X-Longer': 'x' * 300_000,
    }.items():
        found[f'{header} {str(value)[:20]}'] = _with_header(header, value)
    found['length 999999'] = _with_header('Content-Length', '999999')
    found['length x'] = _with_header('Content-Length', 'x')
    found |= {'reset': reset, 'flipped': flipped, 'cut': cut(7), 'endless': endless, 'slow': slow(1)}
    found |= {'endless 500': lambda reply: endless(Reply(500, b'x')), 'other bytes': _other}
    for key in (
        'cardData',
        'safetensors',
        'transformersInfo',
        'evalResults',
        'inferenceProviderMapping',
        'lastModified',
    ):
        found[f'{key} 5'] = _added(**{key: 5})
    for number in range(fields):
        for name, value in {**VALUES, 'gone': GONE}.items():
            found[f'value {number} {name}'] = _changed(number, value)
    return found


def _with_header(name: str, value: str | bytes | None) -> Callable[[Reply], Reply]:
    return with_headers(**{name.replace('-', '_'): value})


def _other(reply: Reply) -> Reply:
    """As many bytes, all others."""
    return reply._replace(body=bytes(len(reply.body)))


# Method and part of the path of each request, for a repository and its commit.
PULL = {
    'first look': ('HEAD', '/org/{name}/resolve/main/'),
    'list': ('GET', '/api/models/org/{name}/'),
    'look at config': ('HEAD', '/org/{name}/resolve/{commit}/config.json'),
    'config': ('GET', '/org/{name}/resolve/'),
    'look at weights': ('HEAD', '/org/{name}/resolve/{commit}/model.safetensors'),
    'weights': ('GET', '/storage/{sha256}'),
}
PUSH = {
    'create': ('POST', '/api/repos/create'),
    'branch': ('POST', '/api/models/org/{name}/branch/'),
    'list': ('GET', '/api/models/org/{name}'),
    'look at card': ('HEAD', '/org/{name}/resolve/'),
    'card': ('GET', '/org/{name}/resolve/'),
    'card check': ('POST', '/api/validate-yaml'),
    'preupload': ('POST', '/api/models/org/{name}/preupload/'),
    'batch': ('POST', '/org/{name}.git/info/lfs/objects/batch'),
    'put': ('PUT', '/storage/'),
    'verify': ('POST', '/org/{name}.git/info/lfs/verify'),
    'commit': ('POST', '/api/models/org/{name}/commit/'),
}


def judged(call: Callable[[], Any], expected: Any, named: str) -> str:
    """'right', 'ours' (an error in our words), or what else came of a call."""
    start = time.monotonic()
    try:
        found = call()
    except Exception as error:
        frame = error.__traceback__
        while frame is not None and frame.tb_next is not None:
            frame = frame.tb_next
        raised_by_us = frame is not None and '/mbv3zoo/' in frame.tb_frame.f_code.co_filename
        plain = type(error) in (ValueError, ConnectionError, FileNotFoundError, OSError, PermissionError)
        outcome = f'{type(error).__name__}: {error}'[:400]
        if (
            raised_by_us
            and plain
            and named in str(error)
            and (error.__cause__ or any(own in str(error) for own in _OWN))
        ):
            outcome = 'ours'
    else:
        outcome = 'right' if found == expected else f'WRONG {found!r}'[:300]
    seconds = time.monotonic() - start
    return outcome if seconds < 20 else f'{seconds:.0f} s: {outcome}'


def situations(door: str, sample: int, fields: int) -> Iterator[tuple[str, str]]:
    """(request, answer), each `sample`-th one."""
    requests = PUSH if door == 'push' else PULL
    every = [(request, answer) for request in requests for answer in answers(fields)]
    # Not a divisor of their number, so that all answers come up over the requests.
    return iter(every[::sample])


def main(samples: dict[str, int], fields: int, cache: str) -> None:
    """Goes through the situations of the doors; prints a report in JSON."""
    with HubServer() as server:
        os.environ.update(HF_ENDPOINT=server.url, HF_HOME=cache)
        import warnings

        from huggingface_hub import constants

        from mbv3zoo.hub import bounds

        warnings.simplefilter('ignore')
        constants.HF_HUB_DOWNLOAD_TIMEOUT = constants.HF_HUB_ETAG_TIMEOUT = 0.4
        bounds.ANSWER_LIMIT, bounds.SILENCE, bounds.PATIENCE = 2**18, 0.4, 2
        time.sleep = lambda seconds: None
        changes = answers(fields)
        report = {}
        for door, sample in samples.items():
            act = _push if door == 'push' else _pull
            for number, (request, answer) in enumerate(situations(door, sample, fields)):
                report[f'{door}: {request}: {answer}'] = act(server, f'{door}-{number}', request, changes[answer])
                server.mend()
    print(json.dumps(report))


def _pull(server: HubServer, name: str, request: str, change: Callable[[Reply], Reply]) -> list[str]:
    from mbv3zoo import hub

    files = content(name)
    commit = server.add_repo(f'org/{name}', files).branches['main']
    sha256 = server.repos[f'org/{name}'].commits[commit].files['model.safetensors'].sha256
    method, part = PULL[request]
    server.spoil_next(method, part.format(name=name, commit=commit, sha256=sha256), change, float('inf'))
    expected = {file: files[file] for file in NAMES}

    def pull(**options: Any) -> dict[str, bytes]:
        return {file: path.read_bytes() for file, path in hub.pull(f'org/{name}', NAMES, **options).items()}

    outcomes = [judged(pull, expected, f"'org/{name}'")]
    outcomes += [_offline(lambda: pull(local_files_only=True), expected)]
    outcomes += [_offline(lambda: pull(local_files_only=True, revision=commit), expected)]
    server.mend()
    outcomes += [judged(pull, expected, 'never')]
    outcomes += [judged(lambda: pull(local_files_only=True), expected, 'never')]
    return outcomes


def _offline(call: Callable[[], Any], expected: Any) -> str:
    """Without the network there may be nothing."""
    try:
        found = call()
    except FileNotFoundError:
        return 'nothing'
    return 'right' if found == expected else f'WRONG {found!r}'[:300]


def _push(server: HubServer, name: str, request: str, change: Callable[[Reply], Reply]) -> list[str]:
    from mbv3zoo import hub
    from mbv3zoo.hub import upload

    folder = Path('pushed', name)
    folder.mkdir(parents=True)
    files = content(name)
    for file, data in files.items():
        (folder / file).write_bytes(data)
    if request in ('look at card', 'card'):
        server.add_repo(f'org/{name}', {'README.md': CARD.replace('# A', '# Another').encode()})
    method, part = PUSH[request]
    server.spoil_next(method, part.format(name=name), change, float('inf'))

    def push() -> bool:
        revision = 'wip' if request == 'branch' else None
        return isinstance(hub.push_folder(folder, f'org/{name}', revision=revision), str)

    upload.all_files = lambda folder: {file.name: file for file in sorted(folder.iterdir())}
    outcomes = [judged(push, True, f"'org/{name}'")]
    server.mend()
    outcomes += [judged(push, True, 'never')]
    repo = server.repos[f'org/{name}']
    branch = 'wip' if request == 'branch' else 'main'
    whole = {file: data for file, data in repo.files(branch).items() if file in NAMES} == {n: files[n] for n in NAMES}
    return [*outcomes, 'right' if whole else f'WRONG {sorted(repo.files(branch))}']


def run_hostile(folder: Path, samples: dict[str, int], *, fields: int = 0, timeout: float = 120) -> dict[str, Any]:
    """What came of each situation of the doors: a list of outcomes.

    Args:
        folder: For the cache and what is pushed.
        samples: 'pull' or 'push' -> each so many-th situation only.
        fields: As for `answers`.
        timeout: Seconds.
    """
    code = f'import hostile_hub\nhostile_hub.main({samples}, {fields}, {str(folder / "hf_home")!r})\n'
    return run_child(code, folder, timeout)


def run_child(code: str, folder: Path, timeout: float) -> dict[str, Any]:
    """What code prints, in JSON, in a process of its own that works in a folder."""
    ignored = ('HF_', 'HUGGING', 'XDG_', 'HTTP_PROXY', 'HTTPS_PROXY', 'ALL_PROXY')
    env = {key: value for key, value in os.environ.items() if not key.upper().startswith(ignored)}
    paths = [str(Path(__file__).parents[2]), str(Path(__file__).parent), env.get('PYTHONPATH', '')]
    env |= {'PYTHONPATH': os.pathsep.join(filter(None, paths)), 'HF_TOKEN': 'hf_test', 'HF_HUB_DISABLE_XET': '1'}
    env |= {'HF_HUB_DISABLE_PROGRESS_BARS': '1', 'HF_HUB_DISABLE_TELEMETRY': '1', 'OMP_NUM_THREADS': '1'}
    env |= {'PYTHONDONTWRITEBYTECODE': '1'}
    process = run_code(code, folder, env, timeout)
    assert process.returncode == 0, f'{process.stdout[-2000:]}\n{process.stderr[-4000:]}'
    return json.loads(process.stdout.splitlines()[-1])


def unexpected(report: dict[str, list[str]]) -> dict[str, list[str]]:
    """The situations in which something came that is neither right nor an error of ours."""
    return {key: value for key, value in report.items() if not set(value) <= {'right', 'ours', 'nothing'}}


if __name__ == '__main__':
    started = time.monotonic()
    path = Path(sys.argv[2])
    if sys.argv[1] == 'doors':
        from hostile_doors import run_doors

        found = run_doors(path, sample=int(sys.argv[3]), timeout=580)
    else:
        found = run_hostile(path, {sys.argv[1]: int(sys.argv[3])}, fields=int(sys.argv[4]), timeout=580)
    bad = unexpected(found)
    for key, value in bad.items():
        print(key, '->', value)
    print(len(found), 'situations', len(bad), 'bad', f'{time.monotonic() - started:.0f} s')
