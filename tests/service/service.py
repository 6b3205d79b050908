# SPDX-License-Identifier: Apache-2.0
"""A qvfd of its own for one test: a private socket (or a bus that the test brings), a store, a configuration and a
made-up machine, all in one folder."""
import ctypes
import os
import signal
import subprocess
import tempfile
import shutil
import time

import dbus
import dbus.connection

BUILD = os.path.abspath(os.environ.get("QVF_BUILD", "build"))
ROOT = "/org/qvf/Fabric1"
NAME = "org.qvf.Fabric1."
# Nothing is asserted about time: this is only when to give up.
PATIENCE_S = 120


class Failed(Exception):
    """What should have come to pass did not."""


def wait_until(what, condition):
    """Waits until the condition holds, and returns what it gave."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.05)
    raise Failed(f"not within {PATIENCE_S} s: {what}")


def end_with_parent():
    """PR_SET_PDEATHSIG: a test that is killed leaves no daemon behind."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


class Machine:
    """A folder that stands for /sys, /proc and /dev."""

    def __init__(self, folder):
        self.folder = folder

    def put(self, files):
        """Writes each file as a whole: a reader sees the old or the new one. None removes it."""
        for name, text in files.items():
            path = os.path.join(self.folder, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            if text is None:
                os.unlink(path)
                continue
            with open(path + ".new", "w", encoding="utf-8") as file:
                file.write(text)
            os.rename(path + ".new", path)

    def use(self, name):
        """Somebody types at a terminal."""
        path = os.path.join(self.folder, name)
        os.utime(path, (time.time(), time.time()))


class Service:
    """qvfd as a child."""

    def __init__(self, config, files, environment=None, bus=None, arguments=()):
        """With `bus`, a connection to one, the service is started with `arguments` and is on that bus."""
        self.folder = tempfile.mkdtemp(prefix="qvf-service-")
        for name in ("config/qvfd.d", "state", "root"):
            os.makedirs(os.path.join(self.folder, name))
        self.machine = Machine(os.path.join(self.folder, "root"))
        self.machine.put(files)
        self.configure(config)
        self.socket = os.path.join(self.folder, "socket")
        self.log = open(os.path.join(self.folder, "log"), "w+", encoding="utf-8")
        self.child = subprocess.Popen(
            [os.path.join(BUILD, "qvfd"), *(arguments if bus else ("--address", "unix:path=" + self.socket)), "--state",
             os.path.join(self.folder, "state"), "--config", os.path.join(self.folder, "config"), "--root",
             os.path.join(self.folder, "root")],
            stdin=subprocess.DEVNULL, preexec_fn=end_with_parent, stdout=self.log, stderr=self.log,
            env={**os.environ, "QVF_PLUGIN_PATH": os.path.join(BUILD, "plugins"), **(environment or {})})
        try:
            if bus:
                self.bus, self.name = bus, NAME[:-1]
                wait_until("the name", lambda: bus.name_has_owner(self.name) or self.ended())
            else:
                wait_until("the socket", lambda: os.path.exists(self.socket) or self.ended())
                self.bus, self.name = dbus.connection.Connection("unix:path=" + self.socket), None
            wait_until("discovery", lambda: self.get(ROOT, "Manager", "Ready"))
        except BaseException:
            self.stop()
            raise

    def ended(self):
        if self.child.poll() is not None:
            raise Failed(f"qvfd has ended with {self.child.returncode}:\n{self.read_log()}")
        return False

    def configure(self, text, name="qvfd.yaml"):
        with open(os.path.join(self.folder, "config", name), "w", encoding="utf-8") as file:
            file.write(text)

    def call(self, path, interface, method, signature="", *arguments):
        """A method of one of the service's interfaces; errors come as DBusException."""
        return self.bus.call_blocking(self.name, path, NAME + interface, method, signature, arguments, timeout=PATIENCE_S)

    def get(self, path, interface, name):
        return self.bus.call_blocking(self.name, path, "org.freedesktop.DBus.Properties", "Get", "ss",
                                      (NAME + interface, name), timeout=PATIENCE_S)

    def add_model(self, name, path):
        with open(path, "rb") as file:
            return self.call(ROOT, "Manager", "AddModel", "sha{sv}", name, dbus.types.UnixFd(file), {})

    def train(self, model, path, options):
        with open(path, "rb") as file:
            return self.call(ROOT, "Manager", "Train", "sha{sv}", model, dbus.types.UnixFd(file),
                             dbus.Dictionary(options, signature="sv"))

    def read_log(self):
        self.log.flush()
        self.log.seek(0)
        return self.log.read()

    def stop(self):
        """Ends it, and looks at how it ended: what a sanitizer finds at the end counts too."""
        if self.child.poll() is None:
            self.child.send_signal(signal.SIGTERM)
            try:
                self.child.wait(PATIENCE_S)
            except subprocess.TimeoutExpired:
                self.child.kill()
                self.child.wait()
        log = self.read_log()
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)
        if self.child.returncode != 0:
            raise Failed(f"qvfd ended with {self.child.returncode}:\n{log[-4000:]}")
