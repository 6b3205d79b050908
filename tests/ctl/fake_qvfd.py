#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A service that looks like qvfd on the session bus and computes nothing: for tests of libqvf and qvfctl.

It says "ready" on standard output when it is there. What it does is told by names: an operation on "denied" is
denied, on "hang" never answered, on "dies" ends the service."""
import os
import sys
import time

import dbus
import dbus.mainloop.glib
import dbus.service
from gi.repository import GLib

BUS = "org.qvf.Fabric1"
ROOT = "/org/qvf/Fabric1"
NAN = float("nan")


def path_of(kind, name):
    escaped = "".join(c if c.isascii() and c.isalpha() or c.isdigit() and i > 0 else "_%02x" % ord(c)
                      for i, c in enumerate(name))
    return f"{ROOT}/{kind}/{escaped}"


class Failure(dbus.DBusException):
    def __init__(self, name, message):
        super().__init__(message)
        self._dbus_error_name = f"{BUS}.Error.{name}"


def trouble(name):
    if name == "denied":
        raise Failure("AccessDenied", "this user may not")
    if name == "limit":
        raise Failure("LimitReached", "requests: 8 are as many as a client may have")
    if name == "policy":
        raise Failure("NotAllowed", "battery: 12 %, at least 40 % is wanted")
    if name == "hang":
        time.sleep(3)
    if name == "dies":
        os._exit(0)


class Thing(dbus.service.Object):
    """An object with properties."""

    def __init__(self, fake, kind, name, properties):
        self.fake, self.kind, self.name = fake, kind, name
        self.interface = f"{BUS}.{ {'manager': 'Manager', 'devices': 'Device', 'models': 'Model', 'adapters': 'Adapter', 'jobs': 'Job', 'sessions': 'Session'}[kind]}"
        self.properties = properties
        super().__init__(fake.bus, ROOT if kind == "manager" else path_of(kind, name))

    @dbus.service.method("org.freedesktop.DBus.Properties", in_signature="s", out_signature="a{sv}")
    def GetAll(self, interface):
        return self.properties

    @dbus.service.signal("org.freedesktop.DBus.Properties", signature="sa{sv}as")
    def PropertiesChanged(self, interface, changed, invalidated):
        pass

    def change(self, **changed):
        self.properties.update(changed)
        self.PropertiesChanged(self.interface, changed, [])


class Device(Thing):
    @dbus.service.method(f"{BUS}.Device")
    def Reset(self):
        trouble(self.name)


class Model(Thing):
    @dbus.service.method(f"{BUS}.Model", in_signature="a{sv}")
    def Remove(self, options):
        trouble(self.name)
        self.fake.manager.remove(self)

    @dbus.service.method(f"{BUS}.Model")
    def Load(self):
        self.change(State="loaded", Device="cpu-0")

    @dbus.service.method(f"{BUS}.Model")
    def Unload(self):
        if self.properties["State"] == "stored":
            raise Failure("BadState", "it is not loaded")
        self.change(State="stored", Device="")


class Adapter(Thing):
    @dbus.service.method(f"{BUS}.Adapter", in_signature="ha{sv}")
    def Export(self, file, options):
        trouble(self.name)
        fd = file.take()
        os.write(fd, b"an adapter as " + options.get("format", "gguf").encode())
        os.close(fd)
        if "config" in options:
            fd = options["config"].take()
            os.write(fd, b"{}")
            os.close(fd)

    @dbus.service.method(f"{BUS}.Adapter", in_signature="ha{sv}")
    def MergeIntoModel(self, file, options):
        fd = file.take()
        os.write(fd, ("a model in " + options.get("dtype", "f16")).encode())
        os.close(fd)

    @dbus.service.method(f"{BUS}.Adapter")
    def Remove(self):
        trouble(self.name)
        self.fake.manager.remove(self)


class Job(Thing):
    steps = 40

    def begin(self, milliseconds=None):
        # A "slow" one outlasts any test, unless it is tried again.
        milliseconds = milliseconds or (2000 if self.properties["Adapter"] == "slow" else 25)
        self.change(State="running", ReasonCode="", Reason="", TotalSteps=dbus.UInt64(self.steps))
        GLib.timeout_add(milliseconds, self.step)

    def step(self):
        if self.properties["State"] != "running":
            return False
        step = int(self.properties["Step"]) + 1
        loss = 4.0 * 0.9 ** step
        with open(self.files() + "/metrics", "a") as file:
            file.write('{"step":%d,"loss":%.4f%s}\n' % (step, loss, ',"evaluation_loss":%.4f' % (loss + 0.3) if step % 10 == 0 else ""))
        self.change(Step=dbus.UInt64(step), Loss=loss, TokensPerSecond=1600.0, EnergyJoules=step * 0.5,
                    SecondsRun=step * 0.025, SecondsLeft=(self.steps - step) * 0.025, MemoryPeak=dbus.UInt64(95 << 20))
        if step < self.steps:
            return True
        self.end("finished", "")
        return False

    def end(self, state, reason):
        self.change(State=state, Reason=reason)
        self.Ended(state, reason)

    def files(self):
        folder = os.environ["FAKE_FOLDER"] + "/" + self.name
        os.makedirs(folder, exist_ok=True)
        return folder

    def need(self, *states):
        trouble(self.name)
        if self.properties["State"] not in states:
            raise Failure("BadState", f"job {self.name} is {self.properties['State']}")

    @dbus.service.signal(f"{BUS}.Job", signature="ss")
    def Ended(self, state, reason):
        pass

    @dbus.service.method(f"{BUS}.Job")
    def Pause(self):
        self.need("running", "queued", "waiting")
        self.change(State="paused", ReasonCode="user", Reason="paused by a user")

    @dbus.service.method(f"{BUS}.Job")
    def Resume(self):
        self.need("paused")
        self.begin()

    @dbus.service.method(f"{BUS}.Job", in_signature="b")
    def Cancel(self, keep):
        self.need("running", "queued", "waiting", "paused")
        self.end("cancelled", "cancelled by a user")

    @dbus.service.method(f"{BUS}.Job")
    def Retry(self):
        self.need("failed", "cancelled")
        self.change(Step=dbus.UInt64(0))
        self.begin(25)

    @dbus.service.method(f"{BUS}.Job")
    def Remove(self):
        self.need("failed", "cancelled", "finished")
        self.fake.manager.remove(self)

    @dbus.service.method(f"{BUS}.Job", in_signature="i")
    def SetPriority(self, priority):
        self.change(Priority=dbus.Int32(priority))

    def open(self, name):
        fd = os.open(f"{self.files()}/{name}", os.O_RDONLY | os.O_CREAT, 0o600)
        handed = dbus.types.UnixFd(fd)
        os.close(fd)
        return handed

    @dbus.service.method(f"{BUS}.Job", out_signature="h")
    def OpenMetrics(self):
        return self.open("metrics")

    @dbus.service.method(f"{BUS}.Job", out_signature="h")
    def OpenLog(self):
        with open(self.files() + "/log", "w") as file:
            file.write("2026-01-02 03:04:05 started\n\033[31mred\n")
        return self.open("log")


class Session(Thing):
    request = 0
    options = {}

    @dbus.service.signal(f"{BUS}.Session", signature="usa{sv}")
    def Finished(self, request, reason, stats):
        pass

    def answer(self, text, output, options):
        trouble(text)
        self.request += 1
        request, fd = self.request, output.take()
        merged = {**self.options, **options}
        words = f"{text} says {merged.get('system', 'nobody')}. ü€😀".encode()
        if "adapters" in merged:
            words += ",".join(f" {name}*{scale}" for name, scale in merged["adapters"]).encode()
        state = {"at": 0, "cancelled": False}
        self.state = state

        def more():
            if state["cancelled"] or text == "cut" and state["at"] > 4:
                os.close(fd)
                self.Finished(request, "cancelled" if state["cancelled"] else "failed",
                              {} if state["cancelled"] else {"error": "WorkerFailed", "message": "the worker crashed"})
                return False
            if text == "slow":
                return True
            os.write(fd, words[state["at"]:state["at"] + 3])
            state["at"] += 3
            if state["at"] < len(words):
                return True
            os.close(fd)
            self.Finished(request, "end", {"prompt_tokens": dbus.UInt32(5), "reused_tokens": dbus.UInt32(2),
                                           "generated_tokens": dbus.UInt32(7), "first_token_ms": 12.5,
                                           "generation_seconds": 0.1, "tokens_per_second": 70.0,
                                           "model": "helper", "device": "cpu-0"})
            return False

        GLib.timeout_add(2, more)
        return request

    @dbus.service.method(f"{BUS}.Session", in_signature="sha{sv}", out_signature="u")
    def Infer(self, prompt, output, options):
        return self.answer(str(prompt), output, options)

    @dbus.service.method(f"{BUS}.Session", in_signature="a(ss)ha{sv}", out_signature="u")
    def Chat(self, messages, output, options):
        turns = [turn for turn in messages if turn[0] != "system"]
        system = {"system": messages[0][1]} if len(turns) < len(messages) else {}
        text = f"{len(turns)} turns, {turns[-1][1]}" if turns[-1][1] != "slow" else "slow"
        return self.answer(text, output, {**options, **system})

    @dbus.service.method(f"{BUS}.Session", in_signature="u")
    def Cancel(self, request):
        self.state["cancelled"] = True

    @dbus.service.method(f"{BUS}.Session", in_signature="a{sv}")
    def SetOptions(self, options):
        self.options = options

    @dbus.service.method(f"{BUS}.Session")
    def Close(self):
        self.fake.manager.remove(self)


class Manager(Thing):
    holds = jobs = 0

    def __init__(self, fake):
        super().__init__(fake, "manager", "", {
            "Version": "0.1.0", "Mode": "user", "DryRun": False, "Ready": True, "TrainingAllowed": True,
            "TrainingReason": "nothing stands against it", "InferenceAllowed": True, "InferenceReason": "",
            "DefaultModel": "helper", "ActiveJob": "", "JobsQueued": dbus.UInt32(0),
            "Holds": dbus.Array([], signature="(tsssut)"), "ConfigFiles": dbus.Array(["/etc/qvf/qvfd.yaml"], signature="s"),
            "ConfigError": ""})
        self.count = 0

    def add(self, thing):
        self.fake.things.append(thing)
        self.InterfacesAdded(thing.__dbus_object_path__, {thing.interface: thing.properties})
        return thing

    def remove(self, thing):
        self.fake.things.remove(thing)
        thing.remove_from_connection()
        self.InterfacesRemoved(path_of(thing.kind, thing.name), [thing.interface])

    def find(self, kind, name):
        for thing in self.fake.things:
            if thing.kind == kind and thing.name == name:
                return thing
        raise Failure("NotFound", f"there is no {kind[:-1]} '{name}'")

    @dbus.service.signal("org.freedesktop.DBus.ObjectManager", signature="oa{sa{sv}}")
    def InterfacesAdded(self, path, interfaces):
        pass

    @dbus.service.signal("org.freedesktop.DBus.ObjectManager", signature="oas")
    def InterfacesRemoved(self, path, interfaces):
        pass

    @dbus.service.signal(f"{BUS}.Manager", signature="sos")
    def Notice(self, level, subject, message):
        pass

    @dbus.service.method("org.freedesktop.DBus.ObjectManager", out_signature="a{oa{sa{sv}}}")
    def GetManagedObjects(self):
        return {t.__dbus_object_path__: {t.interface: t.properties} for t in self.fake.things}

    @dbus.service.method(f"{BUS}.Manager", in_signature="sha{sv}", out_signature="o")
    def AddModel(self, name, file, options):
        trouble(name)
        os.close(file.take())
        return self.fake.model(name, options.get("description", "")).__dbus_object_path__

    @dbus.service.method(f"{BUS}.Manager", in_signature="ssha{sv}", out_signature="o")
    def ImportAdapter(self, name, model, file, options):
        trouble(name)
        self.find("models", model)
        return self.fake.adapter(name, options.get("description", "peft" if "config" in options else "")).__dbus_object_path__

    @dbus.service.method(f"{BUS}.Manager", in_signature="sa(sd)a{sv}", out_signature="o")
    def MergeAdapters(self, name, adapters, options):
        return self.fake.adapter(name, " + ".join(f"{n} x {w:g}" for n, w in adapters)).__dbus_object_path__

    @dbus.service.method(f"{BUS}.Manager", in_signature="sha{sv}", out_signature="o")
    def Train(self, model, data, options):
        trouble(model)
        self.find("models", model)
        fd = data.take()
        size = os.fstat(fd).st_size
        os.close(fd)
        if size == 0:
            raise Failure("BadFile", "the data is empty")
        if "colour" in options:
            raise Failure("UnknownOption", "colour")
        self.jobs += 1
        options = {k: v for k, v in options.items() if k != "held_out"}
        job = self.fake.job(str(self.jobs), model, options.get("adapter", f"{model}-{self.jobs}"), options)
        if not options.get("paused"):
            GLib.timeout_add(20, lambda: job.begin())
        return job.__dbus_object_path__

    @dbus.service.method(f"{BUS}.Manager", in_signature="sha{sv}", out_signature="a{sv}")
    def CheckData(self, model, data, options):
        data.take()
        return {"documents": dbus.UInt64(60), "tokens": dbus.UInt64(2192), "loss_tokens": dbus.UInt64(803),
                "sequences": dbus.UInt64(19), "bad_lines": dbus.UInt64(1), "first_bad": "line 3: no JSON",
                "longest": dbus.UInt64(60), "steps": dbus.UInt64(10), "memory": dbus.UInt64(97 << 20),
                "sample": "<|user|>hi", "warnings": dbus.Array(["short"], signature="s")}

    @dbus.service.method(f"{BUS}.Manager", in_signature="ssa{sv}", out_signature="sa{sv}")
    def Complete(self, model, prompt, options):
        trouble(prompt)
        return f"{prompt} to you", {"reason": "end", "generated_tokens": dbus.UInt32(3)}

    @dbus.service.method(f"{BUS}.Manager", in_signature="sa{sv}", out_signature="o")
    def OpenSession(self, model, options):
        if model:
            trouble(model)
            self.find("models", model)
        self.count += 1
        session = self.add(Session(self.fake, "sessions", str(self.count), {"Id": str(self.count), "Model": model or "helper",
                                   "Requests": dbus.UInt32(0), "TokensGenerated": dbus.UInt64(0)}))
        session.options = options
        return session.__dbus_object_path__

    @dbus.service.method(f"{BUS}.Manager", in_signature="sst", out_signature="t")
    def Hold(self, activity, reason, seconds):
        trouble(reason)
        self.holds += 1
        self.change(Holds=dbus.Array([(dbus.UInt64(self.holds), activity, reason, ":1.9", dbus.UInt32(1), seconds)], signature="(tsssut)"),
                    TrainingAllowed=False, TrainingReason=f"held: {reason}")
        return self.holds

    @dbus.service.method(f"{BUS}.Manager", in_signature="t")
    def Release(self, number):
        self.change(Holds=dbus.Array([], signature="(tsssut)"), TrainingAllowed=True, TrainingReason="")
        self.Notice("info", "/", f"hold {number} ended")

    @dbus.service.method(f"{BUS}.Manager", out_signature="a(sbs)a(ssssbs)a{sv}")
    def ExplainPolicy(self):
        return ([("train", False, "battery: 12 %"), ("infer", True, "")],
                [("train", "battery", "12 %", "at least 40 %", False, "the battery is low"),
                 ("infer", "temperature", "41 °C", "at most 80 °C", True, "")],
                {"train.threads": dbus.UInt32(2)})

    @dbus.service.method(f"{BUS}.Manager", out_signature="as")
    def Reload(self):
        return self.properties["ConfigFiles"]

    @dbus.service.method(f"{BUS}.Manager")
    def Discover(self):
        pass

    @dbus.service.method(f"{BUS}.Manager", out_signature="a{sv}")
    def GetStatistics(self):
        return {"uptime_seconds": 61.0, "requests": dbus.UInt64(3), "requests_refused": dbus.UInt64(0),
                "requests_failed": dbus.UInt64(0), "tokens_generated": dbus.UInt64(99), "resident_bytes": dbus.UInt64(5 << 20),
                "energy_today_joules": -1.0, "energy_joules": -1.0}


class Fake:
    def __init__(self, bus):
        self.bus, self.things = bus, []
        self.manager = Manager(self)
        for name, state, reason in (("cpu-0", "ready", ""), ("vulkan-0", "failed", "MATMUL is wrong by 3 %")):
            self.things.append(Device(self, "devices", name, {
                "Name": name, "Backend": name[:-2], "Description": "a chip", "Driver": "none 1", "Kind": "cpu",
                "MemoryBytes": dbus.UInt64(1 << 30), "BufferBytes": dbus.UInt64(0), "Trains": True, "Score": 12.5,
                "State": state, "Reason": reason, "Crashes": dbus.UInt32(0), "LastCrash": dbus.UInt64(0), "LastCrashReason": ""}))
        self.model("helper", "knows commands")
        self.adapter("taught", "")

    def model(self, name, description):
        return self.manager.add(Model(self, "models", name, {
            "Name": name, "Description": description, "Architecture": "bitnet", "Format": "TQ2_0", "Parameters": dbus.UInt64(29000000),
            "SizeBytes": dbus.UInt64(15247424), "Layers": dbus.UInt32(8), "Width": dbus.UInt32(512), "Vocabulary": dbus.UInt32(8192),
            "ContextLength": dbus.UInt32(512), "HasChatTemplate": True, "Digest": "00" * 32, "Added": dbus.UInt64(1700000000000000),
            "State": "stored", "Reason": "", "Device": "", "WorkerBytes": dbus.UInt64(0), "WorkerPid": dbus.UInt32(0), "LastUsed": dbus.UInt64(0)}))

    def adapter(self, name, description):
        return self.manager.add(Adapter(self, "adapters", name, {
            "Name": name, "Description": description, "Model": "helper", "Rank": dbus.UInt32(8), "Alpha": 16.0,
            "Modules": dbus.Array(["attn_q"], signature="s"), "Parameters": dbus.UInt64(1000000), "SizeBytes": dbus.UInt64(4000000),
            "Digest": "11" * 32, "Added": dbus.UInt64(1700000000000000), "Job": "", "Loss": 0.25, "EvaluationLoss": NAN}))

    def job(self, name, model, adapter, options):
        return self.manager.add(Job(self, "jobs", name, {
            "Id": name, "Name": options.get("name", adapter), "Model": model, "Adapter": adapter,
            "State": "paused" if options.get("paused") else "queued", "ReasonCode": "", "Reason": "", "Owner": dbus.UInt32(0),
            "Priority": dbus.Int32(options.get("priority", 0)), "After": "", "Repeat": options.get("repeat", ""), "NotBefore": dbus.UInt64(0),
            "Created": dbus.UInt64(1700000000000000), "Started": dbus.UInt64(0), "Finished": dbus.UInt64(0), "Runs": dbus.UInt32(0),
            "Options": dbus.Dictionary(options, signature="sv"), "Device": "cpu-0", "Crashes": dbus.UInt32(0), "LastError": "",
            "Step": dbus.UInt64(0), "TotalSteps": dbus.UInt64(40), "Epoch": 0.0, "Loss": NAN, "Accuracy": NAN, "EvaluationLoss": NAN,
            "BestEvaluationLoss": NAN, "LearningRate": 0.0002, "GradientNorm": NAN, "Tokens": dbus.UInt64(0), "TokensPerSecond": 0.0,
            "SecondsRun": 0.0, "SecondsLeft": -1.0, "EnergyJoules": -1.0, "MemoryPlanned": dbus.UInt64(97 << 20),
            "MemoryPeak": dbus.UInt64(0), "CheckpointStep": dbus.UInt64(0)}))


def main():
    dbus.mainloop.glib.DBusGMainLoop(set_as_default=True)
    bus = dbus.SessionBus()
    fake = Fake(bus)
    name = dbus.service.BusName(BUS, bus)
    print("ready", flush=True)
    GLib.MainLoop().run()
    del fake, name


main()
