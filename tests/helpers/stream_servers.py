"""Servers of video streams on this machine: pictures over HTTP, as network cameras send them, and RTSP."""

import http.server
import io
import socketserver
import struct
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image

_SDP = 'v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=test\r\nt=0 0\r\nm=video 0 RTP/AVP 33\r\na=control:one\r\n'


def moving_square(index, size=(48, 64)):
    """A white square of 16 pixels that moves by two pixels a frame, and comes back."""
    image = np.zeros((*size, 3), np.uint8)
    left = 2 * index % (size[1] - 16)
    image[8:24, left : left + 16] = 255
    return image


@contextmanager
def picture_stream(frames=20, pause=0.0, connections=1000, hang=0.0):
    """Motion JPEG over HTTP; at its end the server hangs for so many seconds, and after so many connections it answers
    503. Yields its address.
    """

    class Handler(http.server.BaseHTTPRequestHandler):
        served = 0

        def log_message(self, *args):
            pass

        def do_GET(self):
            Handler.served += 1
            if Handler.served > connections:
                return self.send_error(503)
            self.send_response(200)
            self.send_header('Content-Type', 'multipart/x-mixed-replace; boundary=frame')
            self.end_headers()
            for index in range(frames):
                file = io.BytesIO()
                Image.fromarray(moving_square(index)).save(file, 'JPEG')
                head = f'--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {file.tell()}\r\n\r\n'
                try:
                    self.wfile.write(head.encode() + file.getvalue() + b'\r\n')
                except OSError:
                    return None
                time.sleep(pause)
            time.sleep(hang)
            return None

    with _serving(http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)) as port:
        yield f'http://127.0.0.1:{port}/stream'


@contextmanager
def folder_server(folder: Path):
    """The files of a folder over HTTP. Yields the folder's address."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=str(folder))

        def log_message(self, *args):
            pass

    with _serving(http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)) as port:
        yield f'http://127.0.0.1:{port}'


@contextmanager
def rtsp_stream(transport_stream: Path, connections=1000, seconds=1.0):
    """An MPEG transport stream over RTSP (RTP inside its TCP connection), once per connection. Yields its address."""

    class Handler(socketserver.StreamRequestHandler):
        served = 0

        def handle(self):
            while (request := self.rfile.readline().decode()).strip():
                headers = {}
                while line := self.rfile.readline().decode().strip():
                    name, _, value = line.partition(': ')
                    headers[name.lower()] = value
                method = request.split()[0]
                if method == 'OPTIONS':
                    Handler.served += 1
                if Handler.served > connections:
                    return self.answer(headers, '', status='503 Service Unavailable')
                if method == 'DESCRIBE':
                    self.answer(headers, 'Content-Type: application/sdp\r\n', _SDP)
                elif method == 'SETUP':
                    self.answer(headers, 'Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\nSession: 1\r\n')
                elif method == 'PLAY':
                    self.answer(headers, 'Session: 1\r\n')
                    return self.play()
                else:
                    self.answer(headers, 'Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN\r\n')
            return None

        def answer(self, headers, more, body='', status='200 OK'):
            length = f'Content-Length: {len(body)}\r\n' if body else ''
            text = f'RTSP/1.0 {status}\r\nCSeq: {headers.get("cseq", 1)}\r\n{more}{length}\r\n{body}'
            self.wfile.write(text.encode())

        def play(self):
            data, step = transport_stream.read_bytes(), 7 * 188
            for number, start in enumerate(range(0, len(data), step)):
                packet = struct.pack('>BBHII', 0x80, 33, number, 90 * number, 1) + data[start : start + step]
                try:
                    self.wfile.write(struct.pack('>cBH', b'$', 0, len(packet)) + packet)
                except OSError:
                    return
                time.sleep(seconds * step / len(data))

    class Server(socketserver.ThreadingTCPServer):
        allow_reuse_address = True
        daemon_threads = True

    with _serving(Server(('127.0.0.1', 0), Handler)) as port:
        yield f'rtsp://127.0.0.1:{port}/stream'


@contextmanager
def _serving(server):
    server.daemon_threads, server.block_on_close = True, False
    thread = threading.Thread(target=server.serve_forever, kwargs={'poll_interval': 0.02}, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
