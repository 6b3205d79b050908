/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/authorise.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/connection.h"
#include "daemon/failure.h"
#include "daemon/journal.h"
#include "daemon/qvfd.h"

#define POLKIT "org.freedesktop.PolicyKit1"
#define GROUP "qvf"
enum { QUESTIONS_MOST = 256, GROUPS_MOST = 256 };

/* One question under way. It knows the message, and no object: what the message names is looked up after the answer. */
struct qvfd_authorisation {
        struct qvfd *service;
        struct qvfd_connection *connection;
        struct qvfd_authorisation *next;
        sd_bus_message *message;
        sd_bus_slot *slot;
        uid_t uid;
        char action[64];
};

static void forget(struct qvfd_authorisation *question)
{
        struct qvfd_authorisation **link = &question->service->authorisations;

        while (*link != question)
                link = &(*link)->next;
        *link = question->next;
        sd_bus_slot_unref(question->slot);
        sd_bus_message_unref(question->message);
        free(question);
}

void qvfd_authorise_drop(struct qvfd_connection *connection)
{
        for (struct qvfd_authorisation *q = connection->service->authorisations, *next; q; q = next) {
                next = q->next;
                if (q->connection == connection)
                        forget(q);
        }
}

static bool in_group(uid_t uid)
{
        struct group *group = getgrnam(GROUP);
        gid_t wanted, groups[GROUPS_MOST];
        struct passwd *user;
        int n = GROUPS_MOST;

        if (!group)
                return false;
        wanted = group->gr_gid;
        user = getpwuid(uid);
        if (!user || getgrouplist(user->pw_name, user->pw_gid, groups, &n) < 0)
                return false;
        for (int i = 0; i < n; i++)
                if (groups[i] == wanted)
                        return true;
        return false;
}

static int deny(sd_bus_error *error, const char *action, const char *why)
{
        return qvfd_fail(error, "AccessDenied", "%s is needed: %s", action, why);
}

static int without_polkit(uid_t uid, const char *action, sd_bus_error *error)
{
        return in_group(uid) ? 1
                             : deny(error, action,
                                               "no polkit runs here, so that only root and the group " GROUP
                                               " may do this");
}

static int read_answer(sd_bus_message *answer, const char *action, sd_bus_error *error)
{
        int authorised, challenge, r = sd_bus_message_enter_container(answer, 'r', "bba{ss}");

        if (r >= 0)
                r = sd_bus_message_read(answer, "bb", &authorised, &challenge);
        if (r < 0)
                return deny(error, action, "polkit's answer can't be read");
        if (authorised)
                return 1;
        return deny(error, action,
                        challenge ? "polkit wants the user to authenticate, and the caller did not allow it "
                                    "to ask"
                                  : "polkit says no");
}

static int on_answer(sd_bus_message *answer, void *userdata, sd_bus_error *ret_error)
{
        struct qvfd_authorisation *question = userdata;
        struct qvfd *service = question->service;
        sd_bus_message *message = sd_bus_message_ref(question->message);
        const sd_bus_error *failure = sd_bus_message_get_error(answer);
        sd_bus_error error = SD_BUS_ERROR_NULL;
        int r;

        (void)ret_error;
        if (!failure)
                r = read_answer(answer, question->action, &error);
        else if (sd_bus_error_has_name(failure, SD_BUS_ERROR_SERVICE_UNKNOWN) ||
                        sd_bus_error_has_name(failure, SD_BUS_ERROR_NAME_HAS_NO_OWNER))
                r = without_polkit(question->uid, question->action, &error);
        else
                r = deny(&error, question->action, "polkit could not say");
        forget(question);
        if (r > 0)
                qvfd_dispatch_authorised(service, message);
        else
                sd_bus_reply_method_error(message, &error);
        sd_bus_error_free(&error);
        sd_bus_message_unref(message);
        return 0;
}

static int ask(struct qvfd_authorisation *question)
{
        sd_bus_message *message = NULL;
        int interactive = sd_bus_message_get_allow_interactive_authorization(question->message) > 0;
        int r = sd_bus_message_new_method_call(question->connection->bus, &message, POLKIT,
                        "/org/freedesktop/PolicyKit1/Authority", POLKIT ".Authority", "CheckAuthorization");

        if (r >= 0)
                r = sd_bus_message_append(message, "(sa{sv})sa{ss}us", "system-bus-name", 1, "name", "s",
                                sd_bus_message_get_sender(question->message), question->action, 0,
                                (uint32_t)interactive, "");
        /* As long as the user takes; the question goes when the caller does. */
        if (r >= 0)
                r = sd_bus_call_async(question->connection->bus, &question->slot, message, on_answer,
                                question, interactive ? UINT64_MAX : 0);
        sd_bus_message_unref(message);
        return r;
}

int qvfd_authorise(struct qvfd_call *call, const char *action)
{
        struct qvfd *service = call->service;
        struct qvfd_authorisation *question;
        unsigned n = 0;
        int r;

        if (call->client->uid == 0 || call->client->uid == geteuid())
                return 1;
        if (service->mode != QVFD_SYSTEM)
                return deny(call->error, action, "this service belongs to another user");
        for (question = service->authorisations; question; question = question->next)
                n++;
        if (n >= QUESTIONS_MOST)
                return qvfd_fail(call->error, "LimitReached", "more than %d calls wait for polkit",
                                QUESTIONS_MOST);
        question = calloc(1, sizeof(*question));
        if (!question)
                return -ENOMEM;
        question->service = service;
        question->connection = call->client->connection;
        question->message = sd_bus_message_ref(call->message);
        question->uid = call->client->uid;
        strcpy(question->action, QVFD_BUS_NAME ".");
        strncat(question->action, action, sizeof(question->action) - sizeof(QVFD_BUS_NAME) - 1);
        question->next = service->authorisations;
        service->authorisations = question;
        r = ask(question);
        if (r < 0) {
                forget(question);
                return qvfd_fail_from(call->error, r, NULL);
        }
        return 0;
}
