#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The ways to a tus server: TLS, whose certificate is asked for, and who the dock says it is."""

import os
import socket
import ssl
import sys
import warnings

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from certificates import make_certificates  # noqa: E402
from tus_world import MIB, World, tap  # noqa: E402

world = World()
at = make_certificates(world.folder)


def front(lowest=ssl.TLSVersion.TLSv1_2, highest=ssl.TLSVersion.MAXIMUM_SUPPORTED, ask=False):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(at("server.pem"), at("server.key"))
    if lowest < ssl.TLSVersion.TLSv1_2:
        context.set_ciphers("ALL:@SECLEVEL=0")
    warnings.simplefilter("ignore", DeprecationWarning)  # old it is, on purpose
    context.minimum_version, context.maximum_version = lowest, highest
    if ask:
        context.load_verify_locations(at("ca.pem"))
        context.verify_mode = ssl.CERT_REQUIRED
    # Behind a front for TLS a server does not know its own scheme.
    server = world.server(relative="yes")
    proxy = world.proxy_of(server, tls=context)
    proxy.behind = server
    proxy.reset()
    return proxy


def dock_by(proxy, **settings):
    return world.dock(store=proxy.behind, proxy=proxy, **settings)


def refused_at_start(proxy, **settings):
    dock = dock_by(proxy, **settings).start(wait="error")
    said = dock.state()[1]
    dock.end()
    assert proxy.log == [], "something was asked for"
    return said


def store_some(dock):
    for size in [0, MIB, 5 * MIB]:
        clip = dock.clip(size)
        dock.judge(clip, dock.put(clip))


def test_server_is_known_by_the_authority_that_is_named():
    proxy = front()
    dock = dock_by(proxy, ca_file=at("ca.pem")).start()
    store_some(dock)
    dock.end()
    proxy.reset()
    for wrong in [at("other-ca.pem"), "/etc/ssl/certs/ca-certificates.crt"]:
        assert "certificate" in refused_at_start(proxy, ca_file=wrong)


def test_dock_is_known_by_its_certificate():
    proxy = front(ask=True)
    ours = {"ca_file": at("ca.pem"), "client_certificate": at("client.pem"), "client_key": at("client.key")}
    dock = dock_by(proxy, **ours).start()
    store_some(dock)
    dock.end()
    proxy.reset()
    refused_at_start(proxy, ca_file=at("ca.pem"))


def test_old_tls_is_refused():
    proxy = front(ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1)
    refused_at_start(proxy, ca_file=at("ca.pem"))
    # One that speaks it gets through: nothing but its age was in the way.
    lenient = ssl.create_default_context(cafile=at("ca.pem"))
    lenient.set_ciphers("ALL:@SECLEVEL=0")
    lenient.minimum_version, lenient.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    with socket.create_connection(("127.0.0.1", proxy.port)) as plain, lenient.wrap_socket(plain, server_hostname="127.0.0.1") as tls:
        assert tls.version() == "TLSv1.1"


if __name__ == "__main__":
    tap.main()
