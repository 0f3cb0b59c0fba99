"""The rtnetlink requests that make a link (rtnetlink(7)). They are built here because a lab must start in milliseconds.

pyroute2 needs half a millisecond for each of a dozen calls. Here all requests to one host go out in one datagram
(:func:`halfopen.netns.netlink.call`).
"""

from __future__ import annotations

import socket
import struct

from halfopen.netns import netlink
from halfopen.netns.netlink import NetlinkRequest, attribute, nest

# include/uapi/linux/rtnetlink.h
_RTM_NEWLINK = 16
_RTM_DELLINK = 17
_RTM_GETLINK = 18
_RTM_SETLINK = 19
_RTM_NEWADDR = 20
_RTM_NEWROUTE = 24
_RTM_NEWNEIGH = 28
_RT_TABLE_MAIN = 254
_RTPROT_STATIC = 4
_RTN_UNICAST = 1
_RTA_GATEWAY = 5
# if_link.h, veth.h, ip.h
_IFLA_ADDRESS = 1
_IFLA_IFNAME = 3
_IFLA_OPERSTATE = 16
_IFLA_LINKINFO = 18
_IFLA_AF_SPEC = 26
_IFLA_NET_NS_FD = 28
_IFLA_GSO_MAX_SEGS = 40
_IFLA_INFO_KIND = 1
_IFLA_INFO_DATA = 2
_IFLA_INET_CONF = 1
_IPV4_DEVCONF_FORWARDING = 1
_VETH_INFO_PEER = 1
_IFF_UP = 1
_IF_OPER_UP = 6
# if_addr.h, neighbour.h
_IFA_ADDRESS = 1
_IFA_LOCAL = 2
_NDA_DST = 1
_NDA_LLADDR = 2
_NUD_PERMANENT = 0x80

_NEW = netlink.NLM_F_CREATE | netlink.NLM_F_EXCL

_IFINFOMSG = struct.Struct("=BxHiII")  # family, type, index, flags, mask of the flags to change
_IFADDRMSG = struct.Struct("=BBBBI")  # family, prefix length, flags, scope, index
_RTMSG = struct.Struct("=BBBBBBBBI")  # family, lengths, tos, table, protocol, scope, type, flags
_NDMSG = struct.Struct("=BxxxiHBB")  # family, index, state, flags, type


def veth(here: tuple[str, int, str], there: tuple[str, int, str], namespace: int) -> NetlinkRequest:
    """Create a veth pair (veth(4)): each end's name, index and MAC. The far end's namespace is given by a descriptor.

    Packets leave no bigger than on a wire. By default up to 64 kB of a TCP stream travel as one packet (segmentation
    offload). Losing, delaying or counting that one would affect forty at once.
    """
    peer = nest(_VETH_INFO_PEER, _end(*there), attribute(_IFLA_NET_NS_FD, _u32(namespace)))
    kind = attribute(_IFLA_INFO_KIND, b"veth")
    body = _end(*here) + nest(_IFLA_LINKINFO, kind, nest(_IFLA_INFO_DATA, peer))
    return NetlinkRequest(f"a veth pair {here[0]}, {there[0]}", _RTM_NEWLINK, body, _NEW)


def delete(index: int) -> NetlinkRequest:
    """Delete an interface; for a veth pair both ends."""
    return NetlinkRequest(f"deleting interface {index}", _RTM_DELLINK, _interface(index))


def up(index: int) -> NetlinkRequest:
    """Set an interface up."""
    return NetlinkRequest(f"setting interface {index} up", _RTM_SETLINK, _interface(index, _IFF_UP))


def state(index: int) -> NetlinkRequest:
    """Read an interface's state."""
    return NetlinkRequest(f"the state of interface {index}", _RTM_GETLINK, _interface(index))


def is_running(answer: memoryview) -> bool:
    """True if the interface in the answer to :func:`state` passes packets on (RFC 2863, ifOperStatus)."""
    operational = netlink.find_attribute(answer, _IFINFOMSG.size, _IFLA_OPERSTATE)
    return operational is not None and operational[0] == _IF_OPER_UP


def forwarding(index: int, on: bool) -> NetlinkRequest:
    """Turn the routing of IPv4 packets that arrive at an interface on or off.

    A new namespace inherits the machine's setting (net/ipv4/devinet.c, devinet_init_net), which is on if a container
    engine runs. This uses netlink because containers mount /proc/sys read-only (net/ipv4/devinet.c, inet_set_link_af).
    """
    conf = nest(_IFLA_INET_CONF, attribute(_IPV4_DEVCONF_FORWARDING, _u32(on)))
    body = _interface(index) + nest(_IFLA_AF_SPEC, nest(socket.AF_INET, conf))
    return NetlinkRequest(f"forwarding on interface {index}", _RTM_SETLINK, body)


def address(index: int, ip: str, prefix: int) -> NetlinkRequest:
    """Give an interface an IPv4 address and the route to its network."""
    raw = socket.inet_aton(ip)
    head = _IFADDRMSG.pack(socket.AF_INET, prefix, 0, 0, index)
    body = head + attribute(_IFA_LOCAL, raw) + attribute(_IFA_ADDRESS, raw)
    return NetlinkRequest(f"address {ip}/{prefix} on interface {index}", _RTM_NEWADDR, body, _NEW)


def default_route(gateway: str) -> NetlinkRequest:
    """Send packets without a better route to ``gateway``."""
    head = _RTMSG.pack(socket.AF_INET, 0, 0, 0, _RT_TABLE_MAIN, _RTPROT_STATIC, 0, _RTN_UNICAST, 0)
    body = head + attribute(_RTA_GATEWAY, socket.inet_aton(gateway))
    return NetlinkRequest(f"a default route by {gateway}", _RTM_NEWROUTE, body, _NEW)


def neighbour(index: int, ip: str, mac: str) -> NetlinkRequest:
    """Set the MAC address of ``ip`` permanently, so that the interface never asks for it (arp(7))."""
    head = _NDMSG.pack(socket.AF_INET, index, _NUD_PERMANENT, 0, 0)
    body = head + attribute(_NDA_DST, socket.inet_aton(ip)) + attribute(_NDA_LLADDR, _mac(mac))
    return NetlinkRequest(f"neighbour {ip} of interface {index}", _RTM_NEWNEIGH, body, _NEW)


def _interface(index: int, flags: int = 0) -> bytes:
    return _IFINFOMSG.pack(0, 0, index, flags, flags)


def _end(name: str, index: int, mac: str) -> bytes:
    named = attribute(_IFLA_IFNAME, name.encode() + b"\0") + attribute(_IFLA_ADDRESS, _mac(mac))
    return _interface(index) + named + attribute(_IFLA_GSO_MAX_SEGS, _u32(1))


def _mac(text: str) -> bytes:
    return bytes.fromhex(text.replace(":", ""))


def _u32(number: int) -> bytes:
    return struct.pack("=I", number)
