/* SPDX-License-Identifier: Apache-2.0 */
/* org.qvf.Fabric1.Manager */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "daemon/adapter_work.h"
#include "daemon/copy.h"
#include "daemon/discovery.h"
#include "daemon/failure.h"
#include "daemon/hold.h"
#include "daemon/job.h"
#include "daemon/job_add.h"
#include "daemon/model.h"
#include "daemon/model_add.h"
#include "daemon/qvfd.h"
#include "daemon/reload.h"
#include "daemon/request.h"
#include "daemon/session.h"
#include "daemon/values.h"
#include "daemon/vtables.h"

static int find_model(struct qvfd_call *call, const char *name, struct qvfd_model **ret_model)
{
        *ret_model = qvfd_model_find(call->service, name);
        if (!*ret_model && !name[0])
                return qvfd_fail(call->error, "NotFound",
                                "there is no model yet: add one with `qvfctl models add`");
        return *ret_model ? 0 : qvfd_fail(call->error, "NotFound", "there is no model %.64s", name);
}

static int complete(struct qvfd_call *call)
{
        _cleanup_values_ struct qvfd_values values = { 0 };
        struct qvfd_request *request;
        struct qvfd_request_parts parts = { .client = call->client, .output = -1, .message = call->message };
        const char *model;
        int r = sd_bus_message_read(call->message, "ss", &model, &parts.prompt);

        if (r >= 0)
                r = qvfd_values_read(call->message, QVFD_G_SAMPLING | QVFD_G_PROMPT, &values, call->error);
        if (r >= 0)
                r = find_model(call, model, &parts.model);
        parts.options = values.json;
        if (r >= 0)
                r = qvfd_request_new(call->service, &parts, &request, call->error);
        return r < 0 ? r : 1;
}

static int open_session(struct qvfd_call *call)
{
        _cleanup_values_ struct qvfd_values values = { 0 };
        struct qvfd_session *session;
        struct qvfd_model *model;
        const char *name;
        int r = sd_bus_message_read(call->message, "s", &name);

        if (r >= 0)
                r = qvfd_values_read(call->message, QVFD_G_SAMPLING | QVFD_G_PROMPT, &values, call->error);
        if (r >= 0)
                r = find_model(call, name, &model);
        if (r < 0)
                return r;
        if (call->client->n_sessions >= call->service->config.clients.sessions)
                return qvfd_fail(call->error, "LimitReached", "clients.sessions: this client has %u",
                                call->client->n_sessions);
        r = qvfd_session_new(call->client, model->object.name, values.json, &session);
        if (r < 0)
                return r;
        if (qvfd_allowed(call->service, QVF_INFERENCE))
                qvfd_model_need(model, NULL, NULL, NULL);
        return sd_bus_reply_method_return(call->message, "o", session->object.path);
}

static int hold(struct qvfd_call *call)
{
        const char *activity, *reason;
        uint64_t seconds, id;
        bool all;
        int r = sd_bus_message_read(call->message, "sst", &activity, &reason, &seconds);

        if (r < 0)
                return r;
        all = strcmp(activity, "all") == 0;
        if (!all && strcmp(activity, "training") != 0)
                return qvfd_fail(call->error, "InvalidArgument", "%.32s is neither training nor all",
                                activity);
        r = qvfd_hold_new(call->client, all, reason, seconds, &id, call->error);
        return r < 0 ? r : sd_bus_reply_method_return(call->message, "t", id);
}

static int release(struct qvfd_call *call)
{
        uint64_t id;
        int r = sd_bus_message_read(call->message, "t", &id);

        if (r >= 0)
                r = qvfd_hold_release(call->client, id);
        if (r == -ENOENT)
                return qvfd_fail(call->error, "NotFound", "there is no such hold of yours");
        return r < 0 ? r : sd_bus_reply_method_return(call->message, "");
}

static int append_limits(sd_bus_message *reply, const struct qvf_verdict *verdict)
{
        int r = sd_bus_message_open_container(reply, 'a', "{sv}");

        for (int a = 0; r >= 0 && a < QVF_ACTIVITIES; a++) {
                const struct qvf_activity_verdict *v = &verdict->activity[a];
                const struct {
                        const char *name;
                        double value;
                } numbers[] = { { "memory", v->memory_limit_bytes },
                        { "energy_left_joules", v->energy_left_j },
                        { "power_average_watts", v->power_average_w },
                        { "duty_cycle", v->duty_cycle_percent / 100 } };
                char key[64];

                if (v->threads > 0) {
                        snprintf(key, sizeof(key), "%s.threads", qvf_activity_names[a]);
                        r = qvfd_append_u32(reply, key, v->threads);
                }
                for (unsigned i = 0; r >= 0 && i < 4; i++) {
                        snprintf(key, sizeof(key), "%s.%s", qvf_activity_names[a], numbers[i].name);
                        if (i == 0 && isfinite(numbers[i].value))
                                r = qvfd_append_u64(reply, key,
                                                numbers[i].value > 0 ? (uint64_t)numbers[i].value : 0);
                        else if (isfinite(numbers[i].value))
                                r = qvfd_append_double(reply, key, numbers[i].value);
                }
        }
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

static int append_constraints(sd_bus_message *reply, const struct qvf_verdict *verdict)
{
        int r = sd_bus_message_open_container(reply, 'a', "(ssssbs)");

        for (int a = 0; r >= 0 && a < QVF_ACTIVITIES; a++)
                for (int c = 0; r >= 0 && c < QVF_CONSTRAINTS; c++) {
                        const struct qvf_constraint_verdict *v = &verdict->activity[a].constraint[c];

                        r = sd_bus_message_append(reply, "(ssssbs)", qvf_activity_names[a], v->name,
                                        v->value, v->limit, (int)v->ok, v->reason);
                }
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

static int explain(struct qvfd_call *call)
{
        const struct qvf_verdict *verdict = &call->service->watch.verdict;
        sd_bus_message *reply = NULL;
        int r;

        qvfd_watch_decide(call->service, true);
        r = sd_bus_message_new_method_return(call->message, &reply);
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', "(sbs)");
        for (int a = 0; r >= 0 && a < QVF_ACTIVITIES; a++)
                r = sd_bus_message_append(reply, "(sbs)", qvf_activity_names[a],
                                (int)verdict->activity[a].allowed, verdict->activity[a].reason);
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        if (r >= 0)
                r = append_constraints(reply, verdict);
        if (r >= 0)
                r = append_limits(reply, verdict);
        if (r >= 0)
                r = sd_bus_send(NULL, reply, NULL);
        sd_bus_message_unref(reply);
        return r < 0 ? r : 1;
}

static int reload(struct qvfd_call *call)
{
        struct qvf_error words = { 0 };
        sd_bus_message *reply = NULL;
        int r;

        if (qvfd_reload(call->service, &words) < 0)
                return qvfd_fail(call->error, "ConfigInvalid", "%s", words.text);
        r = sd_bus_message_new_method_return(call->message, &reply);
        if (r >= 0)
                r = qvfd_append_config_files(call->service, reply);
        if (r >= 0)
                r = sd_bus_send(NULL, reply, NULL);
        sd_bus_message_unref(reply);
        return r < 0 ? r : 1;
}

static int discover(struct qvfd_call *call)
{
        int r = qvfd_discovery_start(call->service, call->message, NULL);

        return r < 0 ? qvfd_fail(call->error, "WorkerFailed", "devices can't be looked for: %s",
                                       strerror(-r))
                     : 1;
}

static int get_statistics(struct qvfd_call *call)
{
        sd_bus_message *reply = NULL;
        int r = sd_bus_message_new_method_return(call->message, &reply);

        if (r >= 0)
                r = qvfd_statistics_append(call->service, reply);
        if (r >= 0)
                r = sd_bus_send(NULL, reply, NULL);
        sd_bus_message_unref(reply);
        return r < 0 ? r : 1;
}

const struct qvfd_method qvfd_manager_methods[] = {
        { "AddModel", "manage-models", qvfd_model_add },
        { "ImportAdapter", "manage-adapters", qvfd_adapter_import },
        { "MergeAdapters", "manage-adapters", qvfd_adapters_merge },
        { "Train", "train", qvfd_job_add },
        { "CheckData", "train", qvfd_data_check },
        { "Complete", "infer", complete },
        { "OpenSession", "infer", open_session },
        { "Hold", "hold", hold },
        { "Release", NULL, release },
        { "ExplainPolicy", NULL, explain },
        { "Reload", "manage-policy", reload },
        { "Discover", "manage-policy", discover },
        { "GetStatistics", NULL, get_statistics },
        { 0 },
};

/* One getter for all properties: what they are is found by name. */
static int get(sd_bus *bus, const char *path, const char *interface, const char *property,
                sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        struct qvfd *service = ((struct qvfd_object *)userdata)->service;
        static const char *const modes[] = { "system", "user", "private" };
        enum qvf_activity activity = strncmp(property, "Training", 8) == 0 ? QVF_TRAINING : QVF_INFERENCE;
        unsigned waiting = 0;

        (void)bus;
        (void)path;
        (void)interface;
        (void)error;
        if (strcmp(property, "Version") == 0)
                return sd_bus_message_append(reply, "s", QVF_VERSION);
        if (strcmp(property, "Mode") == 0)
                return sd_bus_message_append(reply, "s", modes[service->mode]);
        if (strcmp(property, "DryRun") == 0)
                return sd_bus_message_append(reply, "b", (int)service->options.dry_run);
        if (strcmp(property, "Ready") == 0)
                return sd_bus_message_append(reply, "b", (int)service->ready);
        if (strstr(property, "Allowed"))
                return sd_bus_message_append(reply, "b", (int)qvfd_allowed(service, activity));
        if (strstr(property, "Reason"))
                return sd_bus_message_append(reply, "s", qvfd_allowed_reason(service, activity));
        if (strcmp(property, "DefaultModel") == 0)
                return sd_bus_message_append(reply, "s", qvfd_model_default(service));
        if (strcmp(property, "ActiveJob") == 0)
                return sd_bus_message_append(
                                reply, "s", service->active_job ? service->active_job->object.name : "");
        if (strcmp(property, "Holds") == 0)
                return qvfd_holds_append(service, reply);
        if (strcmp(property, "ConfigFiles") == 0)
                return qvfd_append_config_files(service, reply);
        if (strcmp(property, "ConfigError") == 0)
                return sd_bus_message_append(reply, "s", service->config_error ? service->config_error : "");
        QVFD_EACH(struct qvfd_job, job, service, QVFD_JOB)
        waiting += !qvfd_job_has_ended(job) && job != service->active_job ? 1 : 0;
        return sd_bus_message_append(reply, "u", waiting);
}

#define CONSTANT(name, type) SD_BUS_PROPERTY(name, type, get, 0, SD_BUS_VTABLE_PROPERTY_CONST)
#define CHANGES(name, type) SD_BUS_PROPERTY(name, type, get, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE)

const sd_bus_vtable qvfd_manager_vtable[] = {
        SD_BUS_VTABLE_START(0),
        QVFD_METHOD("AddModel", "sha{sv}", SD_BUS_PARAM(name) SD_BUS_PARAM(file) SD_BUS_PARAM(options), "o",
                        SD_BUS_PARAM(model)),
        QVFD_METHOD("ImportAdapter", "ssha{sv}",
                        SD_BUS_PARAM(name) SD_BUS_PARAM(model) SD_BUS_PARAM(file) SD_BUS_PARAM(options), "o",
                        SD_BUS_PARAM(adapter)),
        QVFD_METHOD("MergeAdapters", "sa(sd)a{sv}",
                        SD_BUS_PARAM(name) SD_BUS_PARAM(adapters) SD_BUS_PARAM(options), "o",
                        SD_BUS_PARAM(adapter)),
        QVFD_METHOD("Train", "sha{sv}", SD_BUS_PARAM(model) SD_BUS_PARAM(data) SD_BUS_PARAM(options), "o",
                        SD_BUS_PARAM(job)),
        QVFD_METHOD("CheckData", "sha{sv}", SD_BUS_PARAM(model) SD_BUS_PARAM(data) SD_BUS_PARAM(options),
                        "a{sv}", SD_BUS_PARAM(report)),
        QVFD_METHOD("Complete", "ssa{sv}", SD_BUS_PARAM(model) SD_BUS_PARAM(prompt) SD_BUS_PARAM(options),
                        "sa{sv}", SD_BUS_PARAM(text) SD_BUS_PARAM(stats)),
        QVFD_METHOD("OpenSession", "sa{sv}", SD_BUS_PARAM(model) SD_BUS_PARAM(options), "o",
                        SD_BUS_PARAM(session)),
        QVFD_METHOD("Hold", "sst", SD_BUS_PARAM(activity) SD_BUS_PARAM(reason) SD_BUS_PARAM(seconds), "t",
                        SD_BUS_PARAM(id)),
        QVFD_METHOD("Release", "t", SD_BUS_PARAM(id), "", ),
        QVFD_METHOD("ExplainPolicy", "", "", "a(sbs)a(ssssbs)a{sv}",
                        SD_BUS_PARAM(verdicts) SD_BUS_PARAM(constraints) SD_BUS_PARAM(limits)),
        QVFD_METHOD("Reload", "", "", "as", SD_BUS_PARAM(files)),
        QVFD_METHOD("Discover", "", "", "", ),
        QVFD_METHOD("GetStatistics", "", "", "a{sv}", SD_BUS_PARAM(statistics)),
        CONSTANT("Version", "s"),
        CONSTANT("Mode", "s"),
        CONSTANT("DryRun", "b"),
        CHANGES("Ready", "b"),
        CHANGES("TrainingAllowed", "b"),
        CHANGES("TrainingReason", "s"),
        CHANGES("InferenceAllowed", "b"),
        CHANGES("InferenceReason", "s"),
        CHANGES("DefaultModel", "s"),
        CHANGES("ActiveJob", "s"),
        CHANGES("JobsQueued", "u"),
        CHANGES("Holds", "a(tsssut)"),
        CHANGES("ConfigFiles", "as"),
        CHANGES("ConfigError", "s"),
        SD_BUS_SIGNAL_WITH_NAMES(
                        "Notice", "sos", SD_BUS_PARAM(level) SD_BUS_PARAM(subject) SD_BUS_PARAM(message), 0),
        SD_BUS_VTABLE_END,
};
