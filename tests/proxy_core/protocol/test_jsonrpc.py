@pytest.mark.parametrize(
    ("text", "mended"),
    [
        (rb"a\ud83d", rb"a\ufffd"),
        (rb"\uDE00b", rb"\ufffdb"),
        (rb"\ud83d\ude00", rb"\ud83d\ude00"),
        (rb"\\ud83d\ud83d", rb"\\ud83d\ufffd"),
        (rb"\ud83d\ud83d\ude00", rb"\ufffd\ud83d\ude00"),
    ],
)
def test_half_an_emoji_costs_that_character_and_not_the_message(text: bytes, mended: bytes) -> None:
    """JavaScript servers cut texts by UTF-16 units; msgspec refuses what is left."""
    answer = jsonrpc.parse(b'{"jsonrpc":"2.0","id":1,"result":{"t":"%s","e":"\\ud800"}}' % text)
    assert isinstance(answer, jsonrpc.Response)
    assert bytes(answer.result) == b'{"t":"%s","e":"\\ufffd"}' % mended
