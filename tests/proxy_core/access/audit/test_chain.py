import json

from hypothesis import given
from hypothesis import strategies as st

from proxy_core.access.audit.chain import GENESIS, Chain, split

KEY = "a key that is long enough"


def test_a_line_is_json_and_ends_with_its_hash():
    line, digest = Chain().sealed(GENESIS, b'{"seq":1')
    assert json.loads(line) == {"seq": 1, "hash": digest.decode()}
    assert line.endswith(b'"}\n') and split(line[:-1]) == (b'{"seq":1', digest)


def test_a_hash_depends_on_the_line_on_the_one_before_and_on_the_key():
    first = Chain().hash(GENESIS, b'{"seq":1')
    others = {
        Chain().hash(GENESIS, b'{"seq":2'),
        Chain().hash(b"1" * 64, b'{"seq":1'),
        Chain(KEY).hash(GENESIS, b'{"seq":1'),
        Chain(KEY + "!").hash(GENESIS, b'{"seq":1'),
    }
    assert len(others | {first}) == 5


def test_a_key_is_told_by_its_name_alone():
    chain = Chain(KEY)
    assert (Chain().name, chain.name) == ("sha256", "hmac-sha256")
    assert len(chain.key_id) == 16 and chain.key_id != Chain(KEY + "!").key_id
    assert KEY not in repr(chain)


@given(st.binary(max_size=200))
def test_whatever_stands_there_is_split_or_is_no_line(data: bytes):
    parts = split(data)
    assert parts is None or parts[0] + b',"hash":"' + parts[1] + b'"}' == data


def test_a_hash_in_capitals_or_too_short_is_none():
    line = Chain().sealed(GENESIS, b'{"seq":1')[0][:-1]
    assert split(line) is not None
    assert split(line[:-3] + b'F"}') is None
    assert split(line[:-3] + b'"}') is None
    assert split(line[1:]) is None
