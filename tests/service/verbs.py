# SPDX-License-Identifier: Apache-2.0
"""Every method of every interface against the real service, allowed and denied. Usage: verbs.py private|session|system.
Prints a line for each test."""
import glob
import os
import re
import subprocess
import sys
import tempfile
import threading
import traceback

import dbus
import dbus.bus

from service import Failed, NAME, ROOT, Service, wait_until

CONFIG = """
training: {idle_for: 0s, power_source: any, battery_at_least: 0%, temperature_max: none, memory_leave_free: 0,
  memory_pressure_max: none, load_by_others_max: none, gpu_busy_by_others_max: none, power_profiles: all,
  disk_leave_free: 0, settle_for: 0s, minimum_run: 0s, threads: 1}
inference: {battery_at_least: 0%, memory_leave_free: 0, temperature_max: none}
clients: {jobs: 1000, jobs_all: 1000, sessions: 500}
"""
MODEL, ADAPTER, DATA = ("models/tiny-silu.TQ2_0.gguf", "tests/data/golden/tiny-silu.adapter-init.gguf",
                        "tests/data/sets/commands.jsonl")
NOBODY = 65534


def options(**values):
    return dbus.Dictionary(values, signature="sv")


def opened(path, flags=os.O_RDONLY):
    fd = os.open(path, flags | os.O_CLOEXEC, 0o600)
    handed = dbus.types.UnixFd(fd)
    os.close(fd)
    return handed


class Caller:
    """Somebody on the bus."""

    def __init__(self, service, bus):
        self.service, self.bus = service, bus

    def call(self, path, interface, method, signature="", *arguments, timeout=120):
        return self.bus.call_blocking(self.service.name, path, NAME + interface, method, signature, arguments,
                                      timeout=timeout)

    def get(self, path, interface, name):
        return self.bus.call_blocking(self.service.name, path, "org.freedesktop.DBus.Properties", "Get", "ss",
                                      (NAME + interface, name), timeout=120)

    def open_session(self):
        return self.call(ROOT, "Manager", "OpenSession", "sa{sv}", "base", options())


def error_of(what):
    """The last word of the error that a call ends with; None: it succeeded."""
    try:
        what()
    except dbus.DBusException as failure:
        return failure.get_dbus_name().rsplit(".", 1)[-1]
    return None


def expect(wanted, what):
    got = error_of(what)
    if got != wanted:
        raise Failed(f"wanted {wanted}, got {got}")


class World:
    """What the methods are tried on; `caller` calls them, `owner` arranges what they need."""

    def __init__(self, service, owner, caller, connect, caller_uid):
        self.service, self.owner, self.caller = service, owner, caller
        self.connect, self.caller_uid = connect, caller_uid
        self.folder = tempfile.mkdtemp(dir=service.folder)
        self.count = 0

    def name(self, prefix):
        self.count += 1
        return f"{prefix}{self.count}"

    def model(self):
        return self.owner.call(ROOT, "Manager", "AddModel", "sha{sv}", self.name("model"), opened(MODEL), options())

    def adapter(self):
        return self.owner.call(ROOT, "Manager", "ImportAdapter", "ssha{sv}", self.name("adapter"), "base",
                               opened(ADAPTER), options())

    def job(self, owner=None, **more):
        return (owner or self.owner).call(ROOT, "Manager", "Train", "sha{sv}", "base", opened(DATA), options(
            adapter=self.name("job"), steps=dbus.UInt64(2), context=dbus.UInt32(64), paused=True, **more))

    def output(self):
        return opened(os.path.join(self.folder, self.name("output")), os.O_RDWR | os.O_CREAT)

    def expect(self, result, what):
        """Passes a denial on: whoever denies is what is tested then."""
        got = error_of(what)
        if got == "AccessDenied":
            raise dbus.DBusException("denied", name=NAME + "Error.AccessDenied")
        if got != result:
            raise Failed(f"wanted {result}, got {got}")


VERBS = []


def verb(interface, method, action):
    """A function that makes what the method needs and returns the call itself. `action` is that of polkit; None: the
    method is free to everybody."""
    def register(prepare):
        VERBS.append((interface, method, action, prepare))
        return prepare
    return register


@verb("Manager", "AddModel", "manage-models")
def add_model(w):
    return lambda: w.caller.call(ROOT, "Manager", "AddModel", "sha{sv}", w.name("model"), opened(MODEL),
                                 options(description="a test"))


@verb("Manager", "ImportAdapter", "manage-adapters")
def import_adapter(w):
    return lambda: w.caller.call(ROOT, "Manager", "ImportAdapter", "ssha{sv}", w.name("adapter"), "base",
                                 opened(ADAPTER), options())


@verb("Manager", "MergeAdapters", "manage-adapters")
def merge_adapters(w):
    name = w.owner.get(w.adapter(), "Adapter", "Name")
    return lambda: w.caller.call(ROOT, "Manager", "MergeAdapters", "sa(sd)a{sv}", w.name("merged"), [(name, 0.5)],
                                 options())


@verb("Manager", "Train", "train")
def train(w):
    return lambda: w.caller.call(w.job(w.caller), "Job", "Cancel", "b", False)


@verb("Manager", "CheckData", "train")
def check_data(w):
    return lambda: w.caller.call(ROOT, "Manager", "CheckData", "sha{sv}", "base", opened(DATA), options())


@verb("Manager", "Complete", "infer")
def complete(w):
    return lambda: w.caller.call(ROOT, "Manager", "Complete", "ssa{sv}", "base", "hello",
                                 options(max_tokens=dbus.UInt32(4)))


@verb("Manager", "OpenSession", "infer")
def open_session(w):
    return lambda: w.caller.call(w.caller.open_session(), "Session", "Close")


@verb("Manager", "Hold", "hold")
def hold(w):
    def hold_and_release():
        number = w.caller.call(ROOT, "Manager", "Hold", "sst", "training", "a test", dbus.UInt64(0))
        if w.owner.get(ROOT, "Manager", "TrainingAllowed"):
            raise Failed("training is allowed during a hold")
        if w.owner is not w.caller:  # a number of somebody else's is no key (CVE-2024-52337)
            expect("NotFound", lambda: w.owner.call(ROOT, "Manager", "Release", "t", dbus.UInt64(number)))
        w.caller.call(ROOT, "Manager", "Release", "t", number)
    return hold_and_release


@verb("Manager", "Release", None)
def release(w):
    return lambda: expect("NotFound", lambda: w.caller.call(ROOT, "Manager", "Release", "t", dbus.UInt64(12345)))


@verb("Manager", "ExplainPolicy", None)
def explain_policy(w):
    return lambda: w.caller.call(ROOT, "Manager", "ExplainPolicy")


@verb("Manager", "GetStatistics", None)
def get_statistics(w):
    return lambda: w.caller.call(ROOT, "Manager", "GetStatistics")


@verb("Manager", "Reload", "manage-policy")
def reload(w):
    return lambda: w.caller.call(ROOT, "Manager", "Reload")


@verb("Manager", "Discover", "manage-policy")
def discover(w):
    return lambda: w.caller.call(ROOT, "Manager", "Discover")


@verb("Device", "Reset", "manage-policy")
def reset(w):
    return lambda: w.caller.call(ROOT + "/devices/cpu_2d0", "Device", "Reset", timeout=280)


@verb("Model", "Load", "infer")
def load(w):
    return lambda: w.caller.call(ROOT + "/models/base", "Model", "Load")


@verb("Model", "Unload", "infer")
def unload(w):
    w.owner.call(ROOT + "/models/base", "Model", "Load")
    return lambda: w.caller.call(ROOT + "/models/base", "Model", "Unload")


@verb("Model", "Remove", "manage-models")
def remove_model(w):
    model = w.model()
    return lambda: w.caller.call(model, "Model", "Remove", "a{sv}", options(force=True))


@verb("Adapter", "Export", "infer")
def export(w):
    adapter = w.adapter()
    return lambda: w.caller.call(adapter, "Adapter", "Export", "ha{sv}", w.output(), options(format="gguf"))


@verb("Adapter", "MergeIntoModel", "infer")
def merge_into_model(w):
    adapter = w.adapter()
    return lambda: w.caller.call(adapter, "Adapter", "MergeIntoModel", "ha{sv}", w.output(), options(dtype="f16"))


@verb("Adapter", "Remove", "manage-adapters")
def remove_adapter(w):
    adapter = w.adapter()
    return lambda: w.caller.call(adapter, "Adapter", "Remove")


def job_verb(method, signature, *arguments, ended=False, result=None):
    """What others queued needs manage-jobs; all jobs of these tests are the owner's."""
    @verb("Job", method, "manage-jobs")
    def of_job(w):
        job = w.job()
        if ended:
            w.owner.call(job, "Job", "Cancel", "b", False)
        return lambda: w.expect(result, lambda: w.caller.call(job, "Job", method, signature, *arguments))


job_verb("SetPriority", "i", dbus.Int32(-7))
job_verb("OpenLog", "")
job_verb("OpenMetrics", "", result="NotFound")  # it has made no step yet
job_verb("Resume", "")
job_verb("Cancel", "b", False)
job_verb("Retry", "", ended=True, result="BadState")  # a cancelled job has no data any more
job_verb("Remove", "", ended=True)


@verb("Job", "Pause", "manage-jobs")
def pause(w):
    job = w.job(start_at=dbus.UInt64(4102444800000000))
    w.owner.call(job, "Job", "Resume")
    return lambda: w.caller.call(job, "Job", "Pause")


def answer(w, session, method, signature, prompt, result=None):
    reading, writing = os.pipe()
    output = dbus.types.UnixFd(writing)
    os.close(writing)
    try:
        got = error_of(lambda: w.caller.call(session, "Session", method, signature, prompt, output,
                                             options(max_tokens=dbus.UInt32(4), ignore_end=True)))
    finally:
        del output
    with os.fdopen(reading, "rb") as pipe:
        text = pipe.read()
    if got != result or (not got and not text):
        raise Failed(f"wanted {result}, got {got} and {len(text)} bytes")


@verb("Session", "Infer", None)
def infer(w):
    session = w.caller.open_session()
    return lambda: answer(w, session, "Infer", "sha{sv}", "hello")


@verb("Session", "Chat", None)
def chat(w):
    session = w.caller.open_session()
    template = w.owner.get(ROOT + "/models/base", "Model", "HasChatTemplate")
    return lambda: answer(w, session, "Chat", "a(ss)ha{sv}", [("user", "hello")], None if template else "Unsupported")


@verb("Session", "SetOptions", None)
def set_options(w):
    session = w.caller.open_session()
    return lambda: w.caller.call(session, "Session", "SetOptions", "a{sv}", options(max_tokens=dbus.UInt32(3)))


@verb("Session", "Cancel", None)
def cancel_request(w):
    session = w.caller.open_session()
    return lambda: w.caller.call(session, "Session", "Cancel", "u", dbus.UInt32(99))


@verb("Session", "Close", None)
def close_session(w):
    session = w.caller.open_session()
    return lambda: w.caller.call(session, "Session", "Close")


# --- the tests ---

def all_are_here(_):
    """The interface files name no method that is not tried here."""
    methods = set()
    for path in glob.glob("config/org.qvf.Fabric1.*.xml"):
        interface = path.split(".")[-2]
        with open(path, encoding="utf-8") as file:
            methods |= {(interface, m) for m in re.findall(r'<method name="(\w+)"', file.read())}
    here = {(interface, method) for interface, method, _, _ in VERBS}
    if methods != here:
        raise Failed(f"not tried: {sorted(methods - here)}, not in the files: {sorted(here - methods)}")


def all_allowed(world):
    for interface, method, _, prepare in VERBS:
        try:
            prepare(world)()
        except Exception as failure:
            raise Failed(f"{interface}.{method}: {failure}") from failure


def bad_arguments(world):
    """Everything from outside is hostile (CVE-2024-52336, -52337, CVE-2025-66005, CVE-2024-39720, CVE-2025-8067)."""
    caller = world.caller

    def add(name, file, **more):
        return error_of(lambda: caller.call(ROOT, "Manager", "AddModel", "sha{sv}", name, file, options(**more)))

    for name in ("", "..", "../up", "a/b", "UP", "a b", ".a", "-a", "x" * 65, "a\nb"):
        if add(name, opened(MODEL)) != "InvalidArgument":
            raise Failed(f"the name {name!r} was taken")
    if add("base", opened(MODEL)) != "Exists":
        raise Failed("a model was replaced without being asked to")
    if add("other", opened(MODEL), colour="red") != "UnknownOption":
        raise Failed("an unknown option was taken")
    if add("other", opened(MODEL), replace="yes") != "InvalidArgument":
        raise Failed("an option of a wrong type was taken")
    for path in ("/dev/zero", "/", "/dev/null"):
        if add("other", opened(path)) not in ("InvalidArgument", "BadFile"):
            raise Failed(f"{path} was taken as a model")
    reading, writing = os.pipe()
    if add("other", dbus.types.UnixFd(reading)) not in ("InvalidArgument", "BadFile"):
        raise Failed("a pipe was taken as a model")
    os.close(reading)
    os.close(writing)
    if add("other", opened("README.md")) != "BadFile":
        raise Failed("a text was taken as a model")
    expect("NotFound", lambda: caller.call(ROOT, "Manager", "Complete", "ssa{sv}", "nothing", "x", options()))
    expect("InvalidArgument", lambda: caller.call(ROOT, "Manager", "Complete", "ssa{sv}", "base", "x",
                                                  options(temperature=-1.0)))
    expect("InvalidArgument", lambda: caller.call(ROOT, "Manager", "Hold", "sst", "sleep", "x", dbus.UInt64(0)))
    expect("UnknownObject", lambda: caller.call(ROOT + "/models/nothing", "Model", "Load"))
    if len(caller.call(ROOT, "Manager", "GetStatistics")) < 10:
        raise Failed("it does not go on after all that")


def others_are_shut_out(world):
    """A session is its owner's alone, and ends with its connection; so does a hold."""
    other = Caller(world.service, world.connect())
    session = other.open_session()
    number = other.call(ROOT, "Manager", "Hold", "sst", "training", "to be left", dbus.UInt64(0))
    expect("NotFound", lambda: world.caller.call(ROOT, "Manager", "Release", "t", number))
    if world.caller_uid != 0:  # root may everything
        got = error_of(lambda: world.caller.call(session, "Session", "Close"))
        if got not in ("NotFound", "UnknownObject"):
            raise Failed(f"somebody else's session: {got}")
    if world.owner.get(ROOT, "Manager", "TrainingAllowed"):
        raise Failed("the hold does not hold")
    other.bus.close()
    wait_until("the hold to end with its caller", lambda: world.owner.get(ROOT, "Manager", "TrainingAllowed"))
    wait_until("the session to end with its caller",
               lambda: error_of(lambda: world.owner.call(session, "Session", "Close")) in ("NotFound", "UnknownObject"))


TESTS = {"private": [all_are_here, all_allowed, bad_arguments, others_are_shut_out],
         "session": [all_allowed, bad_arguments, others_are_shut_out]}


# --- the system bus, with polkit ---

POLICY = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>system</type><listen>unix:path={path}</listen><auth>EXTERNAL</auth>
<policy context="default"><allow user="*"/><allow own="*"/><allow send_type="method_call"/><allow send_destination="*"/>
<allow receive_type="method_call"/><allow eavesdrop="false"/></policy></busconfig>"""


class Bus:
    """A message bus of the test's own, which everybody on this machine may use."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="qvf-bus-")
        os.chmod(self.folder, 0o755)
        config = os.path.join(self.folder, "bus.conf")
        with open(config, "w", encoding="utf-8") as file:
            file.write(POLICY.format(path=os.path.join(self.folder, "bus")))
        self.address = "unix:path=" + os.path.join(self.folder, "bus")
        self.child = subprocess.Popen(["dbus-daemon", "--nofork", "--nopidfile", "--config-file", config],
                                      stdin=subprocess.DEVNULL)
        wait_until("the bus", lambda: os.path.exists(os.path.join(self.folder, "bus")))

    def connect(self, uid=None):
        if uid is None:
            return dbus.bus.BusConnection(self.address)
        os.seteuid(uid)  # the socket tells the other side who connects
        try:
            return dbus.bus.BusConnection(self.address)
        finally:
            os.seteuid(0)

    def stop(self):
        self.child.terminate()
        self.child.wait()
        subprocess.run(["rm", "-rf", self.folder], check=False)


def denied(world):
    """polkit says no to everything: each method that has an action is denied, and nothing has happened."""
    world.polkit.AllowUnknown(False)
    world.polkit.SetAllowed(dbus.Array([], signature="s"))
    for interface, method, action, prepare in VERBS:
        if action:
            got = error_of(prepare(world))
            if got != "AccessDenied":
                raise Failed(f"{interface}.{method}: {got}")
        elif interface == "Manager":
            prepare(world)()


def each_action_alone(world):
    """Each method is allowed by its own action, and by no other."""
    world.polkit.AllowUnknown(False)
    for interface, method, action, prepare in VERBS:
        if not action:
            continue
        # One queues a job by train, and what one queued is one's own.
        world.polkit.SetAllowed([NAME + action])
        got = error_of(prepare(world))
        if got:
            raise Failed(f"{interface}.{method} with {action}: {got}")
        world.polkit.SetAllowed([NAME + other for other in ACTIONS if other != action])
        got = error_of(prepare(world))
        if got != "AccessDenied":
            raise Failed(f"{interface}.{method} without {action}: {got}")


ACTIONS = sorted({action for _, _, action, _ in VERBS if action})


def polkit_hangs(world):
    """While polkit thinks, others are served; what has gone meanwhile is not touched (CVE-2020-1712)."""
    world.polkit.SetAllowed([NAME + action for action in ACTIONS])
    model, results = world.model(), []
    waiting = Caller(world.service, world.connect())
    leaving = Caller(world.service, world.connect())
    world.polkit.SimulateHang(True)

    def ask(caller):
        results.append(error_of(lambda: caller.call(model, "Model", "Remove", "a{sv}", options(force=True))))

    thread = threading.Thread(target=ask, args=(waiting,), daemon=True)
    thread.start()
    leaving.bus.call_async(world.service.name, model, NAME + "Model", "Load", "", (), None, None)
    leaving.bus.flush()
    wait_until("polkit to be asked", lambda: world.polkit.HaveHangingCalls())
    for _ in range(20):
        world.owner.call(ROOT, "Manager", "ExplainPolicy")
    leaving.bus.close()
    world.owner.call(model, "Model", "Remove", "a{sv}", options())
    world.polkit.SimulateHang(False)
    world.polkit.ReleaseHangingCalls()
    thread.join(60)
    if results not in (["NotFound"], ["UnknownObject"]):
        raise Failed(f"the call that waited ended with {results}")
    world.owner.call(ROOT, "Manager", "ExplainPolicy")


def no_polkit(world):
    """Without polkit, nobody but root and the group qvf."""
    world.stop_polkit()
    complete_it = ("ssa{sv}", "base", "x", options(max_tokens=dbus.UInt32(2)))
    expect("AccessDenied", lambda: world.caller.call(ROOT, "Manager", "Complete", *complete_it))
    world.owner.call(ROOT, "Manager", "Complete", *complete_it)


def allowed_by_polkit(world):
    world.polkit.AllowUnknown(True)
    all_allowed(world)
    bad_arguments(world)
    others_are_shut_out(world)


TESTS["system"] = [denied, each_action_alone, allowed_by_polkit, polkit_hangs, no_polkit]


def start_polkit(bus):
    import dbusmock
    child = subprocess.Popen([sys.executable, "-m", "dbusmock", "--template", "polkitd", "--system"], stdout=subprocess.DEVNULL,
                             stdin=subprocess.DEVNULL, env={**os.environ, "DBUS_SYSTEM_BUS_ADDRESS": bus.address})
    connection = bus.connect()
    wait_until("polkit", lambda: connection.name_has_owner("org.freedesktop.PolicyKit1"))
    mock = dbus.Interface(connection.get_object("org.freedesktop.PolicyKit1", "/org/freedesktop/PolicyKit1/Authority"),
                          dbusmock.MOCK_IFACE)
    return child, mock


def run(kind):
    bus = Bus() if kind != "private" else None
    environment = {"DBUS_SYSTEM_BUS_ADDRESS": bus.address if kind == "system" else "unix:path=/nonexistent",
                   "DBUS_SESSION_BUS_ADDRESS": bus.address if bus else ""}
    service, polkit, failed = None, None, False
    try:
        service = Service(CONFIG, {"dev/tty1": ""}, environment, bus and bus.connect(),
                          ["--user"] if kind == "session" else [])
        owner = Caller(service, service.bus)
        if kind == "private":
            def connect():
                made = dbus.connection.Connection("unix:path=" + service.socket)
                # Descriptors can be sent when both sides have agreed to it.
                made.call_blocking(None, ROOT, "org.freedesktop.DBus.Peer", "Ping", "", ())
                return made
        else:
            def connect():
                return bus.connect(NOBODY if kind == "system" else None)
        caller = Caller(service, connect())
        world = World(service, owner, caller, connect, NOBODY if kind == "system" else os.geteuid())
        service.add_model("base", MODEL)
        if kind == "system":
            polkit, world.polkit = start_polkit(bus)
            world.stop_polkit = lambda: (polkit.terminate(), polkit.wait())
        for test in TESTS[kind]:
            try:
                test(world)
                print(f"ok {kind} {test.__name__}", flush=True)
            except Exception:
                failed = True
                traceback.print_exc(file=sys.stdout)
                print(f"FAIL {kind} {test.__name__}", flush=True)
                service.ended()
        if failed:
            print(service.read_log())
    finally:
        if service:
            service.stop()
        if polkit:
            polkit.kill()
        if bus:
            bus.stop()


if __name__ == "__main__":
    run(sys.argv[1])
