"""Which addresses may be asked, as a table."""

import pytest

from proxy_core.access.addresses import AddressRules

OURS = "127.0.0.1 127.9.9.9 10.0.0.1 172.16.0.1 192.168.0.1 169.254.169.254 100.64.0.1 ::1 fe80::1"
STOOD_FOR = "fe80::1%eth0 fd00::1 ::ffff:10.0.0.1 ::ffff:127.0.0.1 64:ff9b::a00:1 2002:a00:1::1"
NOBODYS = "0.0.0.0 :: 224.0.0.1 255.255.255.255 240.0.0.1 ff02::1 2001:db8::1 192.0.2.1 x"


@pytest.mark.parametrize("address", [*OURS.split(), *STOOD_FOR.split(), *NOBODYS.split(), ""])
def test_what_is_not_of_the_whole_world_may_not_be_asked(address: str):
    assert not AddressRules().allows(address)


@pytest.mark.parametrize("address", ["1.1.1.1", "2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101"])
def test_what_is_may(address: str):
    assert AddressRules().allows(address)


def test_a_network_that_is_named_may_be_asked_and_no_other():
    rules = AddressRules(["10.1.0.0/16", "fd00:1::/32"])
    assert rules.allows("10.1.2.3")
    assert rules.allows("fd00:1::7")
    for other in ("10.2.0.1", "fd00:2::1", "127.0.0.1", "169.254.169.254"):
        assert not rules.allows(other)


def test_this_machine_only_where_it_is_said():
    assert AddressRules(may_be_loopback=True).allows("127.0.0.1")
    assert AddressRules(may_be_loopback=True).allows("::1")
    assert not AddressRules(may_be_loopback=True).allows("10.0.0.1")
