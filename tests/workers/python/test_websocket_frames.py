"""What clients send on a WebSocket, right and wrong (RFC 6455, RFC 7692): one row per case, against an application that echoes."""
import zlib

import pytest

from driver import ABORT
from python_worker import Cases
from websocket_client import BINARY, CLOSE, CONTINUATION, FIN, PING, PONG, RSV1, RSV2, TEXT, WebSocket, close_payload, frame

LIMIT = 100_000
EURO = "\u20ac".encode()


@pytest.fixture(scope="module")
def ask():
    cases = Cases("asgi=websocket_cases:application", f"websocket_max_size={LIMIT}")
    yield cases
    cases.zygote.close()


GOOD = {  # name: (what is sent, what comes back before the goodbye)
    "text": (frame(TEXT, b"hello"), ["hello"]),
    "empty": (frame(TEXT) + frame(BINARY), ["", b""]),
    "125": (frame(BINARY, b"x" * 125), [b"x" * 125]),
    "126": (frame(BINARY, b"x" * 126), [b"x" * 126]),
    "65535": (frame(BINARY, b"x" * 65535), [b"x" * 65535]),
    "65536": (frame(BINARY, b"x" * 65536), [b"x" * 65536]),
    "the_limit": (frame(BINARY, b"x" * LIMIT), [b"x" * LIMIT]),
    "zero_mask": (frame(TEXT, b"hello", mask=bytes(4)), ["hello"]),
    "fragments": (frame(TEXT, b"he", 0) + frame(CONTINUATION, b"", 0) + frame(CONTINUATION, b"l", 0) + frame(CONTINUATION, b"lo"), ["hello"]),
    "empty_fragments": (frame(TEXT, b"", 0) + frame(CONTINUATION, b"", 0) + frame(CONTINUATION), [""]),
    "a_character_in_two_fragments": (frame(TEXT, EURO[:1], 0) + frame(CONTINUATION, EURO[1:]), ["\u20ac"]),
    "no_text_in_binary": (frame(BINARY, b"\xff\xfe"), [b"\xff\xfe"]),
    "ping": (frame(PING, b"are you there?"), [("pong", b"are you there?")]),
    "ping_without_payload": (frame(PING), [("pong", b"")]),
    "ping_of_125": (frame(PING, b"\xff" * 125), [("pong", b"\xff" * 125)]),
    "pong_that_nobody_asked_for": (frame(PONG, b"here") + frame(TEXT, b"a"), ["a"]),
    "ten_pings": (b"".join(frame(PING, str(n).encode()) for n in range(10)), [("pong", str(n).encode()) for n in range(10)]),
    "ping_between_fragments": (frame(TEXT, b"a", 0) + frame(PING, b"p") + frame(CONTINUATION, b"b"), [("pong", b"p"), "ab"]),
    "pong_between_fragments": (frame(TEXT, b"a", 0) + frame(PONG, b"p") + frame(CONTINUATION, b"b"), ["ab"]),
    "two_messages_of_fragments": (frame(TEXT, b"a", 0) + frame(CONTINUATION, b"b") + frame(BINARY, b"c", 0) + frame(CONTINUATION, b"d"), ["ab", b"cd"]),
}


@pytest.mark.parametrize("name, cut", [(name, cut) for name in GOOD for cut in (0, 1, 3) if not cut or len(GOOD[name][0]) < 1000])
def test_good_frames(ask, name, cut):
    """As they are, and in pieces of so many bytes."""
    sent, expected = GOOD[name]
    one = WebSocket(ask.worker, "echo").opened()
    for at in range(0, len(sent), cut or len(sent)):
        one.send(sent[at:at + (cut or len(sent))])
    assert [one.heard() for _ in expected] == expected
    one.send(frame(CLOSE, close_payload(1000)))
    assert one.heard() == ("close", 1000, "")
    one.ended()


BAD = {  # name: (what is sent, the code of the goodbye)
    "rsv1": (frame(TEXT, b"a", FIN | RSV1), 1002),
    "rsv2": (frame(TEXT, b"a", FIN | RSV2), 1002),
    "rsv_of_a_ping": (frame(PING, b"", FIN | RSV1), 1002),
    "opcode_3": (frame(3, b"a"), 1002),
    "opcode_7": (frame(7), 1002),
    "opcode_11": (frame(11, b"a"), 1002),
    "opcode_15": (frame(15), 1002),
    "not_masked": (frame(TEXT, b"a", mask=None), 1002),
    "ping_not_masked": (frame(PING, mask=None), 1002),
    "continuation_of_nothing": (frame(CONTINUATION, b"a"), 1002),
    "last_of_nothing_after_a_message": (frame(TEXT, b"a", 0) + frame(CONTINUATION, b"b") + frame(CONTINUATION, b"c"), 1002),
    "message_in_a_message": (frame(TEXT, b"a", 0) + frame(TEXT, b"b"), 1002),
    "ping_of_126": (frame(PING, b"x" * 126), 1002),
    "ping_in_fragments": (frame(PING, b"x", 0), 1002),
    "close_in_fragments": (frame(CLOSE, close_payload(1000), 0), 1002),
    "long_close": (frame(CLOSE, close_payload(1000, b"x" * 124)), 1002),
    "close_of_one_byte": (frame(CLOSE, b"\x03"), 1002),
    "close_0": (frame(CLOSE, close_payload(0)), 1002),
    "close_999": (frame(CLOSE, close_payload(999)), 1002),
    "close_1004": (frame(CLOSE, close_payload(1004)), 1002),
    "close_1005": (frame(CLOSE, close_payload(1005)), 1002),
    "close_1006": (frame(CLOSE, close_payload(1006)), 1002),
    "close_1015": (frame(CLOSE, close_payload(1015)), 1002),
    "close_2999": (frame(CLOSE, close_payload(2999)), 1002),
    "close_5000": (frame(CLOSE, close_payload(5000)), 1002),
    "length_not_shortest_16": (b"\x81\xfe\x00\x05" + bytes(4) + b"hello", 1002),
    "length_not_shortest_64": (b"\x81\xff" + (5).to_bytes(8, "big") + bytes(4) + b"hello", 1002),
    "length_negative": (b"\x82\xff" + b"\xff" * 8 + bytes(4), 1002),
    "no_utf8": (frame(TEXT, b"\xff"), 1007),
    "no_utf8_at_the_end": (frame(TEXT, EURO[:2]), 1007),
    "surrogate": (frame(TEXT, b"\xed\xa0\x80"), 1007),
    "too_long_form": (frame(TEXT, b"\xc0\xaf"), 1007),
    "beyond_unicode": (frame(TEXT, b"\xf4\x90\x80\x80"), 1007),
    "no_utf8_in_fragments": (frame(TEXT, b"a", 0) + frame(CONTINUATION, b"\xe2\x82"), 1007),
    "no_utf8_in_a_reason": (frame(CLOSE, close_payload(1000, b"\xff")), 1007),
    "too_large": (frame(BINARY, b"x", length=LIMIT + 1), 1009),
    "enormous": (frame(BINARY, b"x", length=2 ** 62), 1009),
    "too_large_in_fragments": (frame(BINARY, b"x" * LIMIT, 0) + frame(CONTINUATION, b"x"), 1009),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_frames(ask, name):
    sent, code = BAD[name]
    one = WebSocket(ask.worker, "echo").opened()
    one.send(sent)
    heard = one.heard()
    while heard[0] != "close":  # a message before the fault
        heard = one.heard()
    assert heard == ("close", code, "")
    one.ended()
    if name != "last_of_nothing_after_a_message":  # whose echo cannot be sent any more
        assert f"'code': {code}" in ask("tell").text_body


@pytest.mark.parametrize("code", [1000, 1001, 1003, 1007, 1011, 3000, 3999, 4000, 4999])
def test_good_goodbyes(ask, code):
    one = WebSocket(ask.worker, "echo").opened()
    one.send(frame(CLOSE, close_payload(code, EURO * 41)))
    assert one.heard() == ("close", code, "\u20ac" * 41)
    one.ended()


def test_nothing_counts_after_a_goodbye(ask):
    ask("tell")
    one = WebSocket(ask.worker, "echo").opened()
    one.send(frame(CLOSE, close_payload(1000)) + frame(TEXT, b"late") + frame(PING, b"late") + b"\xff\xff")
    assert one.heard() == ("close", 1000, "")
    one.ended()
    assert not one.raw and ask("tell").text_body == "[{'type': 'websocket.disconnect', 'code': 1000, 'reason': ''}]"


# ---- permessage-deflate ----

class Compressed(WebSocket):
    def __init__(self, worker, offer="permessage-deflate; client_max_window_bits"):
        super().__init__(worker, "echo", HTTP_SEC_WEBSOCKET_EXTENSIONS=offer)
        self.opened()
        self.terms = self.answer.header("Sec-WebSocket-Extensions")
        self.deflater, self.inflater = zlib.compressobj(wbits=-12), zlib.decompressobj(wbits=-12)

    def deflate(self, payload):
        return (self.deflater.compress(payload) + self.deflater.flush(zlib.Z_SYNC_FLUSH))[:-4]

    def inflated(self):
        first, payload = self.hear()
        assert first & RSV1 and first & FIN
        return self.inflater.decompress(payload + b"\0\0\xff\xff")

    def goodbye(self):
        self.send(frame(CLOSE, close_payload(1000)))
        assert self.heard() == ("close", 1000, "")
        self.ended()


OFFERS = {
    "permessage-deflate": "permessage-deflate; server_max_window_bits=12",
    "permessage-deflate; client_max_window_bits": "permessage-deflate; server_max_window_bits=12; client_max_window_bits=12",
    "permessage-deflate; client_max_window_bits=10": "permessage-deflate; server_max_window_bits=12; client_max_window_bits=10",
    "permessage-deflate; server_max_window_bits=9": "permessage-deflate; server_max_window_bits=9",
    "permessage-deflate; server_max_window_bits=15": "permessage-deflate; server_max_window_bits=12",
    "permessage-deflate; server_no_context_takeover; client_no_context_takeover":
        "permessage-deflate; server_max_window_bits=12; server_no_context_takeover; client_no_context_takeover",
    "permessage-deflate; server_max_window_bits=8": None,  # zlib has none so small
    "permessage-deflate; server_max_window_bits=8, permessage-deflate": "permessage-deflate; server_max_window_bits=12",
    "permessage-deflate; server_max_window_bits=16": None,
    "permessage-deflate; server_max_window_bits=09": None,
    "permessage-deflate; server_max_window_bits": None,
    "permessage-deflate; unknown": None,
    "permessage-deflate; server_no_context_takeover; server_no_context_takeover": None,
    "x-webkit-deflate-frame, permessage-deflate": "permessage-deflate; server_max_window_bits=12",
    "permessage-bzip2": None,
}


@pytest.mark.parametrize("offer", OFFERS)
def test_offers_of_compression(ask, offer):
    one = Compressed(ask.worker, offer)
    assert one.terms == OFFERS[offer]
    one.send(frame(TEXT, b"not compressed"))
    assert (one.inflated() if one.terms else one.heard().encode()) == b"not compressed"
    one.goodbye()


def test_compressed_messages(ask):
    one = Compressed(ask.worker)
    for payload in (b"hello", b"hello", b"", b"x" * LIMIT, bytes(range(256)) * 100):
        one.send(frame(BINARY, one.deflate(payload), FIN | RSV1))
        assert one.inflated() == payload
    compressed = one.deflate(EURO * 1000)
    one.send(frame(TEXT, compressed[:2], RSV1), frame(PING, b"p"), frame(CONTINUATION, compressed[2:3], 0), frame(CONTINUATION, compressed[3:]))
    assert one.heard() == ("pong", b"p")
    assert one.inflated() == EURO * 1000
    one.goodbye()


def test_a_last_block_ends_no_stream(ask):
    """RFC 7692, section 7.2.3.5."""
    one = Compressed(ask.worker)
    for _ in range(2):
        one.send(frame(TEXT, b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00", FIN | RSV1))
        assert one.inflated() == b"Hello"
    one.goodbye()


def test_a_compressed_message_of_nothing(ask):
    one = Compressed(ask.worker)
    one.send(frame(TEXT, b"\x00", FIN | RSV1))
    assert one.inflated() == b""
    one.goodbye()


def bomb(size):
    packer = zlib.compressobj(wbits=-12)
    return (packer.compress(bytes(size)) + packer.flush(zlib.Z_SYNC_FLUSH))[:-4]


BAD_COMPRESSED = {
    "one_too_many": (frame(BINARY, bomb(LIMIT + 1), FIN | RSV1), 1009),
    "a_bomb": (frame(BINARY, bomb(50_000_000), FIN | RSV1), 1009),
    "a_bomb_in_fragments": (frame(BINARY, bomb(50_000_000)[:40000], RSV1), 1009),
    "no_deflate": (frame(BINARY, b"\xff" * 20, FIN | RSV1), 1007),
    "no_utf8": (frame(TEXT, zlib.compress(b"\xff\xff", wbits=-12) + b"\x00", FIN | RSV1), 1007),
    "rsv1_of_a_continuation": (frame(TEXT, b"a", 0) + frame(CONTINUATION, b"b", FIN | RSV1), 1002),
    "rsv1_of_a_ping": (frame(PING, b"", FIN | RSV1), 1002),
    "rsv1_of_a_close": (frame(CLOSE, close_payload(1000), FIN | RSV1), 1002),
    "rsv2": (frame(TEXT, b"a", FIN | RSV2), 1002),
}


@pytest.mark.parametrize("name", BAD_COMPRESSED)
def test_bad_compression(ask, name):
    sent, code = BAD_COMPRESSED[name]
    one = Compressed(ask.worker)
    one.send(sent)
    assert one.heard() == ("close", code, "")
    one.ended()


def test_a_client_that_floods_with_pings_and_never_reads(ask):
    """Its answers are not gathered without end: it is asked for no more."""
    one = WebSocket(ask.worker, "echo", window=False).opened()
    sent = 0
    with pytest.raises(TimeoutError):
        while sent < 4_000_000:
            one.until(lambda: one.may_send >= 131, 0.3)
            pings = frame(PING, b"x" * 125) * (one.may_send // 131)
            one.send(pings)
            sent += len(pings)
    assert sent < 1_000_000
    one.channel.send(ABORT, stream=one.stream)
    one.ended()
