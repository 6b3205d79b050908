/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/policy/policy_state.h"

#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <string.h>
#include <sys/stat.h>

#include "common/atomic_file.h"
#include "common/checked.h"
#include "common/cleanup.h"

enum { FILE_VERSION = 1, FILE_SIZE_MOST = 16 << 10 };

static const struct {
        const char *name;
        size_t offset;
} numbers[] = {
        { "energy_today_j", offsetof(struct qvf_activity_state, energy_today_j) },
        { "energy_total_j", offsetof(struct qvf_activity_state, energy_total_j) },
        { "run_today_s", offsetof(struct qvf_activity_state, run_today_s) },
};

int qvf_policy_state_save(const struct qvf_policy_state *state, int folder, struct qvf_error *error)
{
        struct json_object *root = json_object_new_object();
        const char *text;
        int r;

        json_object_object_add(root, "version", json_object_new_int(FILE_VERSION));
        for (int a = 0; a < QVF_ACTIVITIES; a++) {
                struct json_object *object = json_object_new_object();

                json_object_object_add(object, "day", json_object_new_int64(state->activity[a].energy_day));
                for (size_t i = 0; i < QVF_ARRAY_LENGTH(numbers); i++) {
                        double value;

                        memcpy(&value, (const char *)&state->activity[a] + numbers[i].offset, sizeof(value));
                        json_object_object_add(object, numbers[i].name, json_object_new_double(value));
                }
                json_object_object_add(root, qvf_activity_names[a], object);
        }
        text = json_object_to_json_string_ext(root, JSON_C_TO_STRING_PLAIN);
        r = text ? qvf_atomic_file_put(folder, QVF_POLICY_STATE_FILE, 0600, text, strlen(text), error)
                 : qvf_error_set(error, -ENOMEM, "out of memory");
        json_object_put(root);
        return r;
}

static int bad(struct qvf_error *error, const char *what)
{
        return qvf_error_set(error, -EBADMSG, "%s: %s: the energy spent today is lost",
                        QVF_POLICY_STATE_FILE, what);
}

static int read_activity(struct json_object *root, const char *name, struct qvf_activity_state *state,
                struct qvf_error *error)
{
        struct json_object *object, *member;

        if (!json_object_object_get_ex(root, name, &object) ||
                        !json_object_is_type(object, json_type_object) ||
                        !json_object_object_get_ex(object, "day", &member) ||
                        !json_object_is_type(member, json_type_int))
                return bad(error, name);
        state->energy_day = json_object_get_int64(member);
        for (size_t i = 0; i < QVF_ARRAY_LENGTH(numbers); i++) {
                double value;

                if (!json_object_object_get_ex(object, numbers[i].name, &member) ||
                                !(json_object_is_type(member, json_type_double) ||
                                                json_object_is_type(member, json_type_int)))
                        return bad(error, numbers[i].name);
                value = json_object_get_double(member);
                if (!(value >= 0 && value <= 1e18))
                        return bad(error, numbers[i].name);
                memcpy((char *)state + numbers[i].offset, &value, sizeof(value));
        }
        return 0;
}

static int parse(const char *bytes, size_t length, struct qvf_policy_state *ret_state,
                struct qvf_error *error)
{
        struct json_tokener *tokener = json_tokener_new_ex(4);
        struct qvf_policy_state state = { 0 };
        struct json_object *root, *version;
        int r = 0;

        if (!tokener)
                return qvf_error_set(error, -ENOMEM, "out of memory");
        root = json_tokener_parse_ex(tokener, bytes, (int)length);
        json_tokener_free(tokener);
        if (!root || !json_object_is_type(root, json_type_object))
                r = bad(error, "not JSON");
        else if (!json_object_object_get_ex(root, "version", &version) ||
                        json_object_get_int(version) != FILE_VERSION)
                r = bad(error, "another version");
        for (int a = 0; a < QVF_ACTIVITIES && r == 0; a++)
                r = read_activity(root, qvf_activity_names[a], &state.activity[a], error);
        json_object_put(root);
        if (r == 0)
                *ret_state = state;
        return r;
}

int qvf_policy_state_load(struct qvf_policy_state *ret_state, int folder, struct qvf_error *error)
{
        _cleanup_close_ int fd = openat(folder, QVF_POLICY_STATE_FILE,
                        O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
        char bytes[FILE_SIZE_MOST];
        struct stat status;
        ssize_t length;

        *ret_state = (struct qvf_policy_state){ 0 };
        if (fd < 0)
                return errno == ENOENT ? 0
                                       : qvf_error_set(error, -errno, "%s: %s", QVF_POLICY_STATE_FILE,
                                                         strerror(errno));
        if (fstat(fd, &status) < 0 || !S_ISREG(status.st_mode) || status.st_size >= FILE_SIZE_MOST)
                return bad(error, "not a file of ours");
        length = pread(fd, bytes, sizeof(bytes), 0);
        if (length < 0)
                return qvf_error_set(error, -errno, "%s: %s", QVF_POLICY_STATE_FILE, strerror(errno));
        return parse(bytes, (size_t)length, ret_state, error);
}
