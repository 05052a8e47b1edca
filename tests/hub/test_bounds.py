import itertools
import zlib

import httpx2
import pytest
from huggingface_hub.utils import get_session

from mbv3zoo.hub import bounds
from mbv3zoo.hub.bounds import Excess, bounded


@pytest.fixture
def answer(monkeypatch):
    """Gives the client's next answers, without the network; the requests it got."""
    answers, requests = [], []

    def handle(request):
        requests.append(request)
        return answers.pop(0)

    client = httpx2.Client(transport=httpx2.MockTransport(handle), follow_redirects=True)
    monkeypatch.setattr(bounds, 'get_session', lambda: client)

    def ask(*given, most_bytes=None, method='GET', **options):
        answers[:] = given
        with bounded(most_bytes):
            return client.request(method, 'http://hub.test/file', **options)

    ask.requests, ask.client = requests, client
    return ask


def endless():
    return itertools.repeat(b'x' * 2**16)


def test_the_client_itself_is_looked_at():
    with bounded():
        assert bounds._look_at in get_session().event_hooks['response']
    with bounded():
        assert get_session().event_hooks['response'].count(bounds._look_at) == 1


def test_an_endless_answer_is_cut_off(answer, monkeypatch):
    monkeypatch.setattr(bounds, 'ANSWER_LIMIT', 2**18)
    for most_bytes in (None, 5, 2**20):
        with pytest.raises(Excess, match='more than'):
            answer(httpx2.Response(200, content=endless()), most_bytes=most_bytes)
    assert answer(httpx2.Response(200, content=b'x' * 2**18)).content == b'x' * 2**18
    redirect = httpx2.Response(302, headers={'Location': '/other'}, content=endless())
    with pytest.raises(Excess):
        answer(redirect, httpx2.Response(200))


def test_what_an_answer_unpacks_to_is_bounded(answer, monkeypatch):
    monkeypatch.setattr(bounds, 'ANSWER_LIMIT', 2**16)
    packed = zlib.compress(bytes(2**20), 9)
    assert len(packed) < 2**16
    with pytest.raises(Excess, match='more than'):
        answer(httpx2.Response(200, headers={'Content-Encoding': 'deflate'}, content=iter([packed])))


def test_an_answer_that_trickles_is_cut_off(answer, monkeypatch):
    monkeypatch.setattr(bounds, 'PATIENCE', -1)
    with pytest.raises(Excess, match='too long'):
        answer(httpx2.Response(200, content=iter([b'x', b'y'])))


@pytest.mark.parametrize(
    ('asked', 'found'),
    [('5', '5'), ('86400', '60'), ('9' * 5000, '60'), ('\xb2', None), ('tomorrow', None)],
)
def test_the_wait_that_a_server_asks_for_is_bounded(answer, asked, found):
    headers = [(b'Retry-After', asked.encode('latin-1'))]
    assert answer(httpx2.Response(503, headers=headers)).headers.get('Retry-After') == found


@pytest.mark.parametrize(
    ('asked', 'kept'), [('"api";r=0;t=55', True), ('"api";r=0;t=86400', False), ('"api";r=0;t=' + '9' * 5000, False)]
)
def test_a_limit_of_rates_is_bounded(answer, asked, kept):
    assert ('RateLimit' in answer(httpx2.Response(429, headers={'RateLimit': asked})).headers) == kept


@pytest.mark.parametrize('name', ['ETag', 'X-Linked-ETag', 'X-Repo-Commit'])
def test_names_that_lead_out_of_the_cache_are_refused(answer, name):
    for value in ('"../../x"', 'a/b', 'W/"..\\x"', '..', '', '"', '""'):
        with pytest.raises(Excess, match='expected a hash'):
            answer(httpx2.Response(200, headers={name: value}), method='HEAD')
    assert answer(httpx2.Response(200, headers={name: 'W/"abc"'}), method='HEAD').status_code == 200


def test_every_request_has_a_time_out(answer):
    answer(httpx2.Response(200), timeout=None)
    answer(httpx2.Response(200), timeout=7)
    timeouts = [request.extensions['timeout']['read'] for request in answer.requests]
    assert timeouts == [bounds.SILENCE, 7]


def test_requests_of_others_are_left_alone(answer, monkeypatch):
    monkeypatch.setattr(bounds, 'ANSWER_LIMIT', 10)
    with bounded():
        pass
    answer.requests.clear()
    with pytest.raises(IndexError):
        answer.client.get('http://hub.test/file', timeout=None)
    assert answer.requests[0].extensions['timeout']['read'] is None
