"""Which keys seal what clients keep, from the configuration in force."""

from typing import Any

import pytest

from proxy_core.config.models import ProxyConfig
from proxy_core.errors import InvalidParams
from proxy_core.gateway.sealing import Sealing, derived
from proxy_core.protocol.revisions import MODERN
from tests.support.stub_backends import House, StubServer, client, many_tools

OLD, NEW = "an old key, long enough", "a new key, long enough"
PAYLOAD = {"a": 1}


class Keys:
    """The configured keys, changed as a reload changes them."""

    def __init__(self, *keys: str) -> None:
        self.now = keys
        self.sealing = Sealing(lambda: self.now)

    def seal(self) -> str:
        return self.sealing().seal("cursor", PAYLOAD)

    def opens(self, token: str) -> bool:
        try:
            return self.sealing().open("cursor", token) == PAYLOAD
        except InvalidParams:
            return False


def test_without_keys_each_process_has_its_own():
    one, other = Keys(), Keys()
    assert one.opens(one.seal())
    assert not other.opens(one.seal())


def test_gateways_with_the_same_key_open_each_others_tokens():
    assert Keys(OLD).opens(Keys(OLD).seal())
    assert not Keys(OLD).opens(Keys(NEW).seal())


def test_a_reload_rotates_and_what_a_listed_key_sealed_still_opens():
    keys = Keys(OLD)
    before = keys.seal()
    keys.now = (NEW, OLD)
    after = keys.seal()
    assert keys.opens(before)
    assert not Keys(OLD).opens(after)
    keys.now = (NEW,)
    assert keys.opens(after)
    assert not keys.opens(before)


def test_keys_that_come_and_go_leave_the_random_one_as_it_was():
    keys = Keys()
    before = keys.seal()
    keys.now = (NEW,)
    assert not keys.opens(before)
    keys.now = ()
    assert keys.opens(before)


def test_the_sealer_is_made_once_for_each_set_of_keys():
    keys = Keys(OLD)
    first = keys.sealing()
    assert keys.sealing() is first
    keys.now = (*keys.now,)
    assert keys.sealing() is first


def test_a_key_is_stretched_the_same_way_everywhere():
    # A change here would break every fleet that is upgraded one gateway at a time.
    assert derived(OLD).hex() == "3ab0c5420bbd7f15ff5493efbf4e0b84e762dde6d664c5081ec846c31825847f"


@pytest.mark.requirement("N15")
async def test_a_cursor_outlives_the_rotation_of_its_key_and_not_its_removal():
    async with House(
        {"one": StubServer(tools=many_tools(1001))}, proxy=ProxyConfig(seal_keys=(OLD,))
    ).open() as house:
        cursor = (await house.ask("tools/list", {}))["nextCursor"]

        def rotate(*keys: str) -> None:
            house.config = house.config.model_copy(update={"proxy": ProxyConfig(seal_keys=keys)})

        rotate(NEW, OLD)
        page: Any = await house.ask("tools/list", {"cursor": cursor}, client(MODERN))
        assert len(page["tools"]) == 1
        rotate(NEW)
        assert (await house.refused("tools/list", {"cursor": cursor})).code == -32602
