"""Public and private IP addresses."""

import pytest
from pytest_django.fixtures import Settings

from aiinfra.public_addresses import is_private_literal, is_public
from aiinfra.webhook_urls import PRIVATE, check_url


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",  # noqa: S104 - tests that it is refused; never bound
        "224.0.0.1",
        "255.255.255.255",
        "240.0.0.1",
        "::1",
        "::",
        "fe80::1%eth0",
        "fc00::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "2001:0:7f00:1::",
        "4000::1",
        "fec0::1",
        "feff::1",
        "0.1.2.3",
        "::ffff:0.1.2.3",
        "::7f00:1",
        "::ffff:0:7f00:1",
        "64:ff9b:1::a00:1",
        "192.0.0.8",
        "192.88.99.1",
        "198.18.0.1",
        "203.0.113.1",
        "2001:db8::1",
        "ff0e::1",
    ],
)
def test_private_and_reserved_addresses_are_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["1.1.1.1", "8.8.8.8", "2606:4700:4700::1111", "::ffff:8.8.8.8"])
def test_internet_addresses_are_public(address: str) -> None:
    assert is_public(address)


LOOPBACK = [
    "127.0.0.1",
    "127.1",
    "127.0.0.1.",
    "2130706433",
    "017700000001",
    "0177.0.0.1",
    "0x7f000001",
    "0x7f.0.0.1",
    "0",
    "[::1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[64:ff9b::7f00:1]",
    "localhost",
    "LOCALHOST.",
    "db.localhost",
    "１２７.0.0.1",  # noqa: RUF001 - full-width digits, which IDNA reads as digits
    "127。0。0。1",
]
METADATA = [
    "169.254.169.254",
    "169.254.169.254.",
    "2852039166",
    "0xa9fea9fe",
    "0xa9.0xfe.0xa9.0xfe",
    "0251.0376.0251.0376",
    "[::ffff:a9fe:a9fe]",
    "[::ffff:169.254.169.254]",
    "[fd00:ec2::254]",
]
PRIVATE_NETWORKS = ["10.0.0.1", "172.16.0.1", "192.168.1", "[fc00::1]", "[fe80::1]", "[fe80::1%25eth0]", "100.64.0.1"]


@pytest.mark.parametrize("host", [*LOOPBACK, *METADATA, *PRIVATE_NETWORKS])
def test_a_url_with_a_private_address_in_any_notation_is_refused(host: str) -> None:
    with pytest.raises(ValueError, match=PRIVATE):
        check_url(f"https://{host}:8443/hook")


@pytest.mark.parametrize(
    "host",
    ["example.com", "8.8.8.8", "134744072", "[2606:4700:4700::1111]", "localhost.example.com", "10.0.0.1.example"],
)
def test_public_addresses_and_host_names_are_accepted_without_a_dns_lookup(host: str) -> None:
    check_url(f"https://{host}/hook")
    assert not is_private_literal(host.strip("[]"))


def test_trusted_hosts_may_have_a_private_address(settings: Settings) -> None:
    settings.NOTIFICATION_TRUSTED_HOSTS = frozenset({"10.0.0.1", "localhost"})
    check_url("http://10.0.0.1/")
    check_url("https://localhost/")
    with pytest.raises(ValueError, match=PRIVATE):
        check_url("https://10.0.0.2/")
