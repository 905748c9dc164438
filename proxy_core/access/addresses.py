"""Which addresses may be asked for metadata and keys: an issuer must not make us speak to our own networks.

Pure. It is the address that is connected to which counts; what a name stands for can change between two looks.
Spec: 2026-07-28 basic/security_best_practices, "Server-Side Request Forgery".
"""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final, TypeAlias

Address: TypeAlias = IPv4Address | IPv6Address
_NAT64: Final = IPv6Network("64:ff9b::/96")


class AddressRules:
    def __init__(self, networks: Iterable[str] = (), *, may_be_loopback: bool = False) -> None:
        """`networks`: the private ones that the configuration names."""
        self._networks = tuple(ip_network(network) for network in networks)
        self._may_be_loopback = may_be_loopback

    def allows(self, text: str) -> bool:
        try:
            address = _innermost(ip_address(text.partition("%")[0]))
        except ValueError:
            return False
        if address.is_loopback:
            return self._may_be_loopback
        if address.is_link_local or address.is_multicast or address.is_unspecified:
            # Among them what tells a machine in a cloud its own credentials.
            return False
        if address.is_global and not address.is_reserved:
            return True
        return any(address.version == each.version and address in each for each in self._networks)


def _innermost(address: Address) -> Address:
    """The IPv4 address that an IPv6 one stands for, where it does."""
    if not isinstance(address, IPv6Address):
        return address
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    teredo = address.teredo
    return address.ipv4_mapped or address.sixtofour or (teredo[1] if teredo else None) or address
