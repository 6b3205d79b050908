/* SPDX-License-Identifier: Apache-2.0 */
/* Is the machine on mains? By systemd's rule (ConditionACPower): a supply that belongs to a device (a mouse's battery)
 * does not count, nor does a USB-C port that gives power away; one that is online means mains; without one, a battery
 * that discharges means battery; all else means mains, also a machine that shows no supply at all. */
#include <string.h>

#include "daemon/sensors/parts.h"
#include "daemon/sensors/root.h"

struct supplies {
        bool online, discharging, charging, battery;
        double percent_sum, energy_now, energy_full;
        unsigned n_percents, n_energies;
};

/* The ports of the controller behind the supply: one that takes power is enough. */
static bool gives_power(const char *root, const char *supply)
{
        _cleanup_closedir_ DIR *ports =
                        qvf_root_folder(root, "/sys/class/power_supply/%s/device/typec", supply);
        bool source = false;
        const char *port;

        while (ports && (port = qvf_next_entry(ports, "port"))) {
                char role[QVF_WORD_SIZE];

                if (!qvf_root_word(root, role, "/sys/class/power_supply/%s/device/typec/%s/power_role",
                                    supply, port))
                        continue;
                /* "[source] sink": the chosen one in brackets; a port that can do one thing only writes no other. */
                if (strstr(role, "[sink]") || strcmp(role, "sink") == 0)
                        return false;
                source = true;
        }
        return source;
}

/* Held at the threshold that its owner chose: as full as it is meant to get. */
static bool at_threshold(const char *root, const char *supply)
{
        double threshold, percent;

        return qvf_root_number(root, &threshold, "/sys/class/power_supply/%s/charge_control_end_threshold",
                               supply) &&
               qvf_root_number(root, &percent, "/sys/class/power_supply/%s/capacity", supply) &&
               percent >= threshold - 5;
}

static void read_battery(const char *root, const char *supply, struct supplies *supplies)
{
        static const char *const kinds[] = { "energy", "charge" };
        char status[QVF_WORD_SIZE] = "";
        double present, percent;

        if (qvf_root_number(root, &present, "/sys/class/power_supply/%s/present", supply) && present == 0)
                return;
        supplies->battery = true;
        qvf_root_word(root, status, "/sys/class/power_supply/%s/status", supply);
        if (strcmp(status, "Discharging") == 0)
                supplies->discharging = true;
        if (strcmp(status, "Charging") == 0 || strcmp(status, "Full") == 0 ||
                        (strcmp(status, "Not charging") == 0 && at_threshold(root, supply)))
                supplies->charging = true;
        for (unsigned k = 0; k < 2; k++) {
                double now, full;

                if (!qvf_root_number(root, &now, "/sys/class/power_supply/%s/%s_now", supply, kinds[k]) ||
                                !qvf_root_number(root, &full, "/sys/class/power_supply/%s/%s_full", supply,
                                                kinds[k]) ||
                                now < 0 || full <= 0)
                        continue;
                supplies->energy_now += now < full ? now : full;
                supplies->energy_full += full;
                supplies->n_energies++;
                break;
        }
        if (qvf_root_number(root, &percent, "/sys/class/power_supply/%s/capacity", supply) && percent >= 0 &&
                        percent <= 100) {
                supplies->percent_sum += percent;
                supplies->n_percents++;
        }
}

static void read_supply(const char *root, const char *supply, struct supplies *supplies)
{
        char scope[QVF_WORD_SIZE], type[QVF_WORD_SIZE];
        double online;

        if (qvf_root_word(root, scope, "/sys/class/power_supply/%s/scope", supply) &&
                        strcmp(scope, "Device") == 0)
                return;
        if (!qvf_root_word(root, type, "/sys/class/power_supply/%s/type", supply))
                return;
        if (strcmp(type, "Battery") == 0)
                read_battery(root, supply, supplies);
        /* An uninterruptible supply is neither mains nor a battery of this machine's own. */
        else if (strcmp(type, "UPS") != 0 &&
                        qvf_root_number(root, &online, "/sys/class/power_supply/%s/online", supply) &&
                        online > 0 && !gives_power(root, supply))
                supplies->online = true;
}

void qvf_read_power_supplies(const char *root, struct qvf_snapshot *snapshot)
{
        _cleanup_closedir_ DIR *folder = qvf_root_folder(root, "/sys/class/power_supply");
        struct supplies supplies = { 0 };
        const char *supply;
        bool mains;

        while (folder && (supply = qvf_next_entry(folder, "")))
                read_supply(root, supply, &supplies);
        mains = supplies.online || !supplies.discharging;
        snapshot->mains = qvf_reading_of(mains);
        snapshot->charging = qvf_reading_of(mains && (supplies.charging || !supplies.battery));
        /* Together, one capacity weighs more than another; the gauge's own percentage is better for one alone. */
        if (supplies.n_percents == 1)
                snapshot->battery_percent = qvf_reading_of(supplies.percent_sum);
        else if (supplies.n_energies > 0 && supplies.n_energies >= supplies.n_percents)
                snapshot->battery_percent = qvf_reading_of(100 * supplies.energy_now / supplies.energy_full);
        else if (supplies.n_percents > 0)
                snapshot->battery_percent = qvf_reading_of(supplies.percent_sum / supplies.n_percents);
}
