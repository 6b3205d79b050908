/* SPDX-License-Identifier: Apache-2.0 */
/* What has a path on the bus. Every object begins with this struct. */
#ifndef QVF_DAEMON_OBJECT_H
#define QVF_DAEMON_OBJECT_H

#include <stdbool.h>
#include <stddef.h>
#include <systemd/sd-bus.h>

struct qvfd;

enum qvfd_kind { QVFD_MANAGER, QVFD_DEVICE, QVFD_MODEL, QVFD_ADAPTER, QVFD_JOB, QVFD_SESSION, QVFD_KINDS };

struct qvfd_object {
        struct qvfd *service;
        enum qvfd_kind kind;
        char *name, *path;
        struct qvfd_object *next;
        bool announced;
};

/* "org.qvf.Fabric1.Job", and the folder of its objects' paths ("/org/qvf/Fabric1/jobs"). */
const char *qvfd_kind_interface(enum qvfd_kind kind);
const char *qvfd_kind_folder(enum qvfd_kind kind);
const sd_bus_vtable *qvfd_kind_vtable(enum qvfd_kind kind);

/* Names it and puts it in the service's list, last. Nobody is told yet. */
int qvfd_object_init(
                struct qvfd_object *object, struct qvfd *service, enum qvfd_kind kind, const char *name);
void qvfd_object_announce(struct qvfd_object *object);
/* Tells everybody that it goes, and takes it out of the list. */
void qvfd_object_exit(struct qvfd_object *object);
void *qvfd_object_find(struct qvfd *service, enum qvfd_kind kind, const char *name);
unsigned qvfd_object_count(const struct qvfd *service, enum qvfd_kind kind);

/* Emits PropertiesChanged for the named properties; ends with NULL. */
void qvfd_object_changed(struct qvfd_object *object, const char *const *properties);
#define QVFD_CHANGED(object, ...)                                                                           \
        qvfd_object_changed((struct qvfd_object *)(object), (const char *const[]){ __VA_ARGS__, NULL })
/* The Manager's signal for people, and a line in the log. */
void qvfd_notice(struct qvfd *service, const char *level, const struct qvfd_object *subject,
                const char *format, ...) __attribute__((format(printf, 4, 5)));

/* A signal of the object's interface, to everybody. */
void qvfd_emit(struct qvfd *service, struct qvfd_object *object, const char *member, const char *types, ...);

#define QVFD_EACH(type, variable, service, kind)                                                            \
        for (type *variable = (type *)(service)->objects[kind], *next_ = NULL;                              \
                        variable && (next_ = (type *)((struct qvfd_object *)variable)->next, true);         \
                        variable = next_)

#endif
