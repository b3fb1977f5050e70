"""What a redirect of a mount may lead to."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hook_service.playout.nearness import HOST, LINK, NETWORK, WORLD, may_lead, nearness


@pytest.mark.parametrize(
    ("address", "wanted"),
    [
        ("127.0.0.1", HOST), ("127.255.255.254", HOST), ("0.0.0.0", HOST), ("::1", HOST), ("::", HOST),
        ("::ffff:127.0.0.1", HOST), ("64:ff9b::7f00:1", HOST),
        ("169.254.169.254", LINK), ("fe80::1%2", LINK), ("febf::1", LINK), ("::ffff:169.254.169.254", LINK),
        ("10.0.0.1", NETWORK), ("172.16.0.1", NETWORK), ("172.31.255.255", NETWORK), ("192.168.1.1", NETWORK),
        ("100.64.0.1", NETWORK), ("fd00:ec2::254", NETWORK), ("fc00::1", NETWORK),
        ("172.15.0.1", WORLD), ("172.32.0.1", WORLD), ("192.169.0.1", WORLD), ("1.1.1.1", WORLD),
        ("128.0.0.1", WORLD), ("100.128.0.1", WORLD), ("2606:4700::1111", WORLD), ("fec0::1", WORLD),
        ("::ffff:1.1.1.1", WORLD),
    ],
)  # fmt: skip
def test_nearness(address: str, wanted: int) -> None:
    assert nearness(address) == wanted


@given(st.ip_addresses())
def test_what_is_private_is_never_taken_for_the_world(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    found = nearness(str(address))
    inner = getattr(address, "ipv4_mapped", None) or address
    if inner.is_loopback or inner.is_unspecified:
        assert found == HOST
    elif inner.is_link_local:
        assert found == LINK
    elif found == WORLD:
        private = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7"]
        assert not any(inner in ipaddress.ip_network(network) for network in private)


@pytest.mark.parametrize("address", ["localhost", "1.2.3", "", "fe80::g", "1.2.3.4:80"])
def test_a_name_is_no_address(address: str) -> None:
    with pytest.raises(OSError, match="illegal IP"):
        nearness(address)


def test_what_a_redirect_may_lead_to() -> None:
    assert may_lead(WORLD, "1.1.1.1")
    assert not may_lead(WORLD, "10.0.0.1")
    assert not may_lead(WORLD, "127.0.0.1")
    assert may_lead(NETWORK, "10.0.0.1")
    assert not may_lead(NETWORK, "127.0.0.1")
    assert may_lead(HOST, "127.0.0.1")
    assert not any(may_lead(nearest, "169.254.169.254") for nearest in (HOST, LINK, NETWORK, WORLD))
