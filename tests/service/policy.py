# SPDX-License-Identifier: Apache-2.0
"""Every constraint of the policy pauses and resumes a real small job: through files of a made-up machine, through the
configuration, and through made-up daemons on a private system bus. Usage: policy.py files|settings|buses. Prints a
line for each."""
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import traceback

import dbus

from service import Failed, ROOT, Service, end_with_parent, wait_until

try:
    import dbusmock
except ImportError:
    dbusmock = None

BASE = """
training: {idle_for: 0s, power_source: any, battery_at_least: 0%, temperature_max: none, memory_leave_free: 0,
  memory_pressure_max: none, load_by_others_max: none, gpu_busy_by_others_max: none, power_profiles: all,
  disk_leave_free: 0, settle_for: 0s, minimum_run: 0s, threads: 1}
inference: {battery_at_least: 0%, memory_leave_free: 0, temperature_max: none}
sensors: {sample_every: 1s}
"""
SUPPLY = "sys/class/power_supply/"
RAPL = "sys/class/powercap/intel-rapl:0/"
MEMINFO = "MemTotal: 8000000 kB\nMemAvailable: %d kB\n"
PRESSURE = "some avg10=%.2f avg60=0.00 avg300=0.00 total=0\n"
QUIET = {
    "dev/tty1": "",
    SUPPLY + "AC/type": "Mains\n", SUPPLY + "AC/online": "1\n",
    SUPPLY + "BAT0/type": "Battery\n", SUPPLY + "BAT0/status": "Charging\n", SUPPLY + "BAT0/capacity": "90\n",
    "sys/class/thermal/thermal_zone0/type": "cpu-thermal\n", "sys/class/thermal/thermal_zone0/temp": "45000\n",
    RAPL + "name": "package-0\n", RAPL + "energy_uj": "0\n", RAPL + "max_energy_range_uj": "262143328850\n",
    "proc/meminfo": MEMINFO % 6000000,
    "proc/pressure/memory": PRESSURE % 0, "proc/pressure/cpu": PRESSURE % 0,
    "proc/stat": "cpu 0 0 0 0 0 0 0 0 0 0\n",
    "sys/class/drm/card0/device/gpu_busy_percent": "0\n",
    "sys/firmware/acpi/platform_profile": "balanced\n",
}


class Ticking(threading.Thread):
    """The counters of the machine, which go on by themselves: joules, and processors' time used by others."""

    def __init__(self, machine):
        super().__init__(daemon=True)
        self.machine, self.watts, self.load, self.end = machine, 1.0, 0.0, threading.Event()

    def run(self):
        joules, busy, idle, last = 0.0, 0.0, 0.0, time.monotonic()
        while not self.end.wait(0.1):
            now = time.monotonic()
            joules += self.watts * (now - last)
            busy += self.load * (now - last) * 1000
            idle += (1 - self.load) * (now - last) * 1000
            last = now
            self.machine.put({RAPL + "energy_uj": f"{int(joules * 1e6)}\n",
                              "proc/stat": f"cpu {int(busy)} 0 0 {int(idle)} 0 0 0 0 0 0\n"})

    def stop(self):
        self.end.set()
        self.join()


class MockBus:
    """A private system bus with made-up logind, power-profiles-daemon and NetworkManager."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="qvf-bus-")
        self.address = "unix:path=" + os.path.join(self.folder, "bus")
        self.daemons = [subprocess.Popen(
            ["dbus-daemon", "--session", "--nofork", "--nopidfile", "--address", self.address],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            preexec_fn=end_with_parent)]
        wait_until("the bus", lambda: os.path.exists(os.path.join(self.folder, "bus")))
        os.environ["DBUS_SYSTEM_BUS_ADDRESS"] = self.address
        self.bus = dbus.bus.BusConnection(self.address)
        for template in ("logind", "power_profiles_daemon", "networkmanager"):
            self.daemons.append(dbusmock.DBusTestCase.spawn_server_template(template, {},
                                                                          stdout=subprocess.DEVNULL)[0])
        # The template knows nothing of it.
        self.object("org.freedesktop.NetworkManager", "/org/freedesktop/NetworkManager").AddProperty(
            "org.freedesktop.NetworkManager", "Metered", dbus.UInt32(4), dbus_interface=dbusmock.MOCK_IFACE)

    def object(self, name, path):
        return self.bus.get_object(name, path)

    def stop(self):
        for daemon in reversed(self.daemons):
            if daemon.poll() is not None:
                print(f"{daemon.args} had ended with {daemon.returncode}", file=sys.stderr)
            daemon.terminate()
            daemon.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


class Case:
    """The service, its machine, and one job that would run for ever."""

    def __init__(self, environment):
        self.service = Service(BASE, QUIET, environment)
        self.ticking = Ticking(self.service.machine)
        self.ticking.start()
        self.service.add_model("tiny", "models/tiny-silu.TQ2_0.gguf")
        self.job = self.service.train("tiny", "tests/data/sets/facts.jsonl", {
            "epochs": dbus.UInt32(100000), "context": dbus.UInt32(64), "checkpoint_every": dbus.UInt32(100000)})
        self.runs()

    def get(self, name):
        return self.service.get(self.job, "Job", name)

    def state(self):
        self.service.ended()
        state = str(self.get("State"))
        if state in ("finished", "failed", "cancelled"):
            raise Failed(f"the job is {state}: {self.get('Reason')} {self.get('LastError')}")
        return state

    def runs(self):
        """It runs, and gets on."""
        wait_until("the job runs", lambda: self.state() == "running")
        step = self.get("Step")
        wait_until("the job gets on", lambda: self.state() == "running" and self.get("Step") > step)

    def waits(self, constraint):
        """It stands still for this constraint, and says so in words."""
        wait_until(f"the job waits for {constraint}", lambda: self.state() == "waiting" and self.broken() == constraint)
        reason = str(self.get("Reason"))
        if not reason or str(self.get("ReasonCode")) not in ("policy", "hold"):
            raise Failed(f"{constraint}: reason {self.get('ReasonCode')}: \"{reason}\"")
        wait_until(f"the job stands still for {constraint}", self.stands_still)

    def stands_still(self):
        """What was on its way when it stopped may still be counted for a moment."""
        step = self.get("Step")
        time.sleep(0.6)
        return self.get("Step") == step

    def broken(self):
        """The first constraint of training that is not kept."""
        for activity, name, value, limit, kept, reason in self.service.call(ROOT, "Manager", "ExplainPolicy")[1]:
            if activity == "training" and not kept:
                if not (value and limit and reason):
                    raise Failed(f"{name}: no value, limit or reason")
                return str(name)
        return ""

    def limit(self, text):
        """What this case sets on top of the base; read again at once."""
        self.service.configure(text, "qvfd.d/case.yaml")
        self.service.call(ROOT, "Manager", "Reload")

    def stop(self):
        self.ticking.stop()
        self.service.stop()


def files(constraint, limit, broken, kept):
    """A case that is about files alone."""
    def test(case):
        case.service.machine.put(kept)
        case.limit("training: {%s}" % limit)
        case.runs()
        case.service.machine.put(broken)
        case.waits(constraint)
        case.service.machine.put(kept)
        case.runs()
    test.__name__ = constraint
    return test


def limits(constraint, broken, kept):
    """A case that is about the configuration alone."""
    def test(case):
        case.limit("training: {%s}" % broken())
        case.waits(constraint)
        case.limit("training: {%s}" % kept())
        case.runs()
    test.__name__ = constraint
    return test


def hours(after):
    """From so many hours after now for two hours."""
    now = time.localtime(time.time() + after * 3600)
    return "hours: %02d:00-%02d:00" % (now.tm_hour, (now.tm_hour + 2) % 24)


def day(after):
    return "days: " + ("mon", "tue", "wed", "thu", "fri", "sat", "sun")[(time.localtime().tm_wday + after) % 7]


def hold(case):
    case.limit("")
    number = case.service.call(ROOT, "Manager", "Hold", "sst", "training", "a film", 0)
    case.waits("hold")
    if "a film" not in case.get("Reason"):
        raise Failed(f"the reason of the hold is not told: {case.get('Reason')}")
    case.service.call(ROOT, "Manager", "Release", "t", number)
    case.runs()


def idle_for(case):
    # The terminal is new as the machine is: it counts as used when qvfd first saw it.
    case.limit("training: {idle_for: 2s}")
    case.runs()
    case.service.machine.use("dev/tty1")
    case.waits("idle_for")
    case.runs()


def load_by_others_max(case):
    case.limit("training: {load_by_others_max: 50%}")
    case.runs()
    case.ticking.load = 0.9
    case.waits("load_by_others_max")
    case.ticking.load = 0.1
    case.runs()


def power_max(case):
    case.limit("training: {power_max: 20W, power_window: 10s}")
    case.runs()
    case.ticking.watts = 60.0
    case.waits("power_max")
    case.ticking.watts = 1.0
    case.runs()


def energy_per_day(case):
    case.ticking.watts = 30.0
    spent = float(case.service.call(ROOT, "Manager", "GetStatistics")["energy_today_joules"])
    case.limit("training: {energy_per_day: %.3fWh}" % ((spent + 150) / 3600))
    case.runs()
    case.waits("energy_per_day")
    case.limit("training: {energy_per_day: %.3fWh}" % ((spent + 100000) / 3600))
    case.runs()
    case.ticking.watts = 1.0



def settle_for(case):
    case.limit("training: {settle_for: 3s, battery_at_least: 40%}")
    case.runs()
    case.service.machine.put({SUPPLY + "BAT0/capacity": "30\n"})
    case.waits("battery_at_least")
    case.service.machine.put({SUPPLY + "BAT0/capacity": "90\n"})
    wait_until("it settles", lambda: case.broken() == "settle_for")
    case.runs()


def bad_configuration(case):
    """A bad file at reload leaves the old one in force, and says where it is bad."""
    case.limit("training: {battery_at_least: 40%}")
    case.runs()
    try:
        case.limit("training:\n  battery_at_leest: 95%\n")
        raise Failed("a bad configuration was taken")
    except dbus.DBusException as error:
        if error.get_dbus_name() != "org.qvf.Fabric1.Error.ConfigInvalid":
            raise
        for word in ("case.yaml:2:3", "battery_at_leest", "did you mean \"battery_at_least\"?"):
            if word not in error.get_dbus_message():
                raise Failed(f"{word} is not in: {error.get_dbus_message()}") from error
    if "case.yaml:2:3" not in case.service.get(ROOT, "Manager", "ConfigError"):
        raise Failed("ConfigError does not tell of the bad file")
    case.runs()
    case.service.machine.put({SUPPLY + "BAT0/capacity": "30\n"})
    case.waits("battery_at_least")
    case.service.machine.put({SUPPLY + "BAT0/capacity": "90\n"})
    case.limit("")
    case.runs()


def limits_in_force(case):
    """What is no question of yes and no is told, too."""
    case.limit("training: {threads: 1, duty_cycle: 50%, memory_limit: 1GiB}")
    told = case.service.call(ROOT, "Manager", "ExplainPolicy")[2]
    for key, value in (("training.threads", 1), ("training.duty_cycle", 0.5), ("training.memory", 1 << 30)):
        if told.get(key) != value:
            raise Failed(f"{key} is {told.get(key)}, not {value}")
    case.limit("")
    case.runs()


def inference(case):
    """Answers have limits of their own, and are refused by name."""
    case.limit("inference: {battery_at_least: 20%}")
    options = {"max_tokens": dbus.UInt32(2)}
    case.service.machine.put({SUPPLY + "BAT0/capacity": "10\n"})
    wait_until("inference is forbidden", lambda: not case.service.get(ROOT, "Manager", "InferenceAllowed"))
    try:
        case.service.call(ROOT, "Manager", "Complete", "ssa{sv}", "tiny", "hello", options)
        raise Failed("an answer was given against the policy")
    except dbus.DBusException as error:
        if error.get_dbus_name() != "org.qvf.Fabric1.Error.NotAllowed" or "battery" not in error.get_dbus_message():
            raise
    case.service.machine.put({SUPPLY + "BAT0/capacity": "90\n"})
    wait_until("inference is allowed", lambda: case.service.get(ROOT, "Manager", "InferenceAllowed"))
    case.service.call(ROOT, "Manager", "Complete", "ssa{sv}", "tiny", "hello", options)
    case.limit("")
    case.runs()


def logind_idle(case):
    """The hint counts once somebody has set it."""
    logind = case.mock.object("org.freedesktop.login1", "/org/freedesktop/login1")

    def hint(idle):
        since = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        logind.UpdateProperties("org.freedesktop.login1.Manager",
                                {"IdleHint": dbus.Boolean(idle), "IdleSinceHintMonotonic": dbus.UInt64(since)},
                                dbus_interface=dbusmock.MOCK_IFACE)

    case.limit("training: {idle_for: 1s}")
    case.runs()
    hint(True)
    case.runs()
    hint(False)
    case.waits("idle_for")
    hint(True)
    case.runs()
    case.limit("")


def suspend(case):
    logind = case.mock.object("org.freedesktop.login1", "/org/freedesktop/login1")

    def sleep(begins):
        logind.EmitSignal("org.freedesktop.login1.Manager", "PrepareForSleep", "b", [begins],
                          dbus_interface=dbusmock.MOCK_IFACE)

    case.limit("")
    case.runs()
    sleep(True)
    wait_until("the job stops for the sleep", lambda: case.state() != "running" and case.broken() == "suspend")
    sleep(False)
    case.runs()


def power_profile_of_the_daemon(case):
    profiles = case.mock.object("net.hadess.PowerProfiles", "/net/hadess/PowerProfiles")

    def choose(name):
        profiles.UpdateProperties("net.hadess.PowerProfiles", {"ActiveProfile": name},
                                  dbus_interface=dbusmock.MOCK_IFACE)

    choose("balanced")
    case.limit("training: {power_profiles: [balanced, performance]}")
    case.runs()
    choose("power-saver")
    case.waits("power_profiles")
    choose("performance")
    case.runs()


def on_metered_network(case):
    network = case.mock.object("org.freedesktop.NetworkManager", "/org/freedesktop/NetworkManager")

    def set_metered(value):
        network.UpdateProperties("org.freedesktop.NetworkManager", {"Metered": dbus.UInt32(value)},
                                 dbus_interface=dbusmock.MOCK_IFACE)

    case.limit("training: {on_metered_network: no}")
    case.runs()
    set_metered(1)
    case.waits("on_metered_network")
    set_metered(4)
    case.runs()


GROUPS = {
    "files": [
        files("power_source", "power_source: mains",
              {SUPPLY + "AC/online": "0\n", SUPPLY + "BAT0/status": "Discharging\n"},
              {SUPPLY + "AC/online": "1\n", SUPPLY + "BAT0/status": "Charging\n"}),
        files("battery_at_least", "battery_at_least: 40%", {SUPPLY + "BAT0/capacity": "39\n"},
              {SUPPLY + "BAT0/capacity": "42\n"}),
        files("temperature_max", "temperature_max: 70°C, temperature_zones: 'cpu*'",
              {"sys/class/thermal/thermal_zone0/temp": "71000\n"},
              {"sys/class/thermal/thermal_zone0/temp": "64000\n"}),
        files("memory_leave_free", "memory_leave_free: 1GiB", {"proc/meminfo": MEMINFO % 900000},
              {"proc/meminfo": MEMINFO % 6000000}),
        files("memory_pressure_max", "memory_pressure_max: 10%", {"proc/pressure/memory": PRESSURE % 12},
              {"proc/pressure/memory": PRESSURE % 1}),
        files("cpu_pressure_max", "cpu_pressure_max: 10%", {"proc/pressure/cpu": PRESSURE % 12},
              {"proc/pressure/cpu": PRESSURE % 1}),
        files("gpu_busy_by_others_max", "gpu_busy_by_others_max: 30%",
              {"sys/class/drm/card0/device/gpu_busy_percent": "80\n"},
              {"sys/class/drm/card0/device/gpu_busy_percent": "3\n"}),
        files("power_profiles", "power_profiles: balanced", {"sys/firmware/acpi/platform_profile": "low-power\n"},
              {"sys/firmware/acpi/platform_profile": "balanced\n"}),
        idle_for, load_by_others_max,
    ],
    "settings": [
        hold,
        limits("allowed", lambda: "allowed: no", lambda: "allowed: yes"),
        limits("hours", lambda: hours(3), lambda: hours(-1)),
        limits("days", lambda: day(3), lambda: day(0)),
        limits("disk_leave_free", lambda: "disk_leave_free: 1000TiB", lambda: "disk_leave_free: 1MiB"),
        power_max, energy_per_day, settle_for, bad_configuration, limits_in_force, inference,
    ],
    "buses": [logind_idle, suspend, power_profile_of_the_daemon, on_metered_network],
}


def run(tests, case):
    bad = 0
    for test in tests:
        try:
            test(case)
            print(f"ok {test.__name__}", flush=True)
        except Exception:  # pylint: disable=broad-except
            bad += 1
            print(f"FAIL {test.__name__}", flush=True)
            traceback.print_exc()
            print(case.service.read_log()[-4000:], file=sys.stderr)
            case.service.machine.put(QUIET)
            case.limit("")
    return bad


def main():
    tests = GROUPS[sys.argv[1]]
    # Without made-up buses there is none: the battery and the sessions of this machine are not those of the test.
    environment = {"DBUS_SYSTEM_BUS_ADDRESS": "unix:path=/nonexistent"}
    mock = None
    if sys.argv[1] == "buses":
        if not dbusmock:
            for test in tests:
                print(f"SKIP {test.__name__}: python-dbusmock is not installed")
            return 0
        mock = MockBus()
        environment = {"DBUS_SYSTEM_BUS_ADDRESS": mock.address}
    try:
        case = Case(environment)
        case.mock = mock
        try:
            return run(tests, case)
        finally:
            case.stop()
    finally:
        if mock:
            mock.stop()


if __name__ == "__main__":
    sys.exit(1 if main() else 0)
