#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Asks qvfd through D-Bus alone, without libqvf: ask.py "What is grep?"

First in one call, then as a stream through a pipe. Needs Python's dbus module, and nothing else."""
import os
import sys

import dbus
import dbus.connection

BUS, ROOT = "org.qvf.Fabric1", "/org/qvf/Fabric1"


def connect():
    """The private socket that $QVF_ADDRESS names, or the system bus, or the user's. Returns the bus and a name."""
    address = os.environ.get("QVF_ADDRESS", "")
    if address not in ("", "system", "user"):
        return dbus.connection.Connection(address), None
    for bus in (dbus.SystemBus, dbus.SessionBus):
        try:
            connection = bus()
            if connection.name_has_owner(BUS):
                return connection, BUS
        except dbus.DBusException:
            pass
    sys.exit("qvfd is not running")


def main():
    prompt = sys.argv[1] if len(sys.argv) > 1 else "What is grep?"
    bus, name = connect()

    def call(path, interface, method, signature, *arguments):
        return bus.call_blocking(name, path, f"{BUS}.{interface}", method, signature, arguments, timeout=600)

    text, stats = call(ROOT, "Manager", "Complete", "ssa{sv}", "", prompt, {"max_tokens": dbus.UInt32(64)})
    print(text)
    print(f"({int(stats['generated_tokens'])} tokens)")

    # The same as a stream: the service writes into one end of a pipe, and closes it after the last byte.
    session = call(ROOT, "Manager", "OpenSession", "sa{sv}", "", {})
    reading, writing = os.pipe()
    call(session, "Session", "Infer", "sha{sv}", prompt, dbus.types.UnixFd(writing), {"max_tokens": dbus.UInt32(64)})
    os.close(writing)
    with os.fdopen(reading, encoding="utf-8") as answer:
        while piece := answer.read(1):
            print(piece, end="", flush=True)
    print()
    call(session, "Session", "Close", "")


if __name__ == "__main__":
    try:
        main()
    except dbus.DBusException as failure:
        sys.exit(f"{failure.get_dbus_name().rsplit('.', 1)[-1]}: {failure.get_dbus_message()}")
