/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/training/checkpoint.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "common/atomic_file.h"
#include "common/checked.h"
#include "common/cleanup.h"
#include "common/log.h"

/* File: header, a table of sections, their bytes one behind the other, and a CRC-32 of all of that. Numbers are of
 * the machine that wrote it: a checkpoint stays on its device. */
#define MAGIC "QVFCKPT"
#define VERSION 1u
#define CHECKPOINTS_MOST 64u /* that are looked at in a folder */

struct header {
        char magic[8];
        uint32_t version, n_sections;
        uint64_t step;
        uint64_t lengths[QVF_CHECKPOINT_SECTIONS_MOST];
        char names[QVF_CHECKPOINT_SECTIONS_MOST][8];
};

static uint32_t checksum(uint32_t sum, const void *bytes, uint64_t length)
{
        const unsigned char *at = bytes;

        while (length > 0) {
                uInt piece = (uInt)qvf_min_u64(length, 1u << 30);

                sum = (uint32_t)crc32(sum, at, piece);
                at += piece;
                length -= piece;
        }
        return sum;
}

/* The steps of the folder's checkpoints, newest first. */
static unsigned list(int folder, uint64_t *steps)
{
        int copy = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        DIR *directory = copy < 0 ? NULL : fdopendir(copy);
        struct dirent *entry;
        unsigned count = 0;

        if (!directory) {
                if (copy >= 0)
                        close(copy);
                return 0;
        }
        while ((entry = readdir(directory)) && count < CHECKPOINTS_MOST) {
                uint64_t step;
                int end = 0;
                unsigned at = count;

                if (sscanf(entry->d_name, "checkpoint-%" SCNu64 "%n", &step, &end) != 1 ||
                                entry->d_name[end] != 0)
                        continue;
                while (at > 0 && steps[at - 1] < step) {
                        steps[at] = steps[at - 1];
                        at--;
                }
                steps[at] = step;
                count++;
        }
        closedir(directory);
        return count;
}

static void name_of(uint64_t step, char name[64])
{
        snprintf(name, 64, "checkpoint-%" PRIu64, step);
}

static void remove_beyond(int folder, unsigned kept)
{
        uint64_t steps[CHECKPOINTS_MOST];
        unsigned count = list(folder, steps);
        char name[64];

        for (unsigned i = kept; i < count; i++) {
                name_of(steps[i], name);
                unlinkat(folder, name, 0);
        }
}

int qvf_checkpoint_write(int folder, uint64_t step, const struct qvf_checkpoint_section *sections,
                unsigned n_sections, struct qvf_error *error)
{
        _cleanup_atomic_file_ struct qvf_atomic_file file = QVF_ATOMIC_FILE_INIT;
        struct header header = {
                .magic = MAGIC, .version = VERSION, .n_sections = n_sections, .step = step
        };
        uint32_t sum;
        char name[64];
        int r;

        if (n_sections > QVF_CHECKPOINT_SECTIONS_MOST)
                return -E2BIG;
        for (unsigned i = 0; i < n_sections; i++) {
                header.lengths[i] = sections[i].length;
                memcpy(header.names[i], sections[i].name, sizeof(header.names[i]));
        }
        name_of(step, name);
        r = qvf_atomic_file_open(folder, name, 0600, &file, error);
        if (r < 0)
                return r;
        qvf_atomic_file_write(&file, &header, sizeof(header));
        sum = checksum(0, &header, sizeof(header));
        for (unsigned i = 0; i < n_sections; i++) {
                qvf_atomic_file_write(&file, sections[i].bytes, sections[i].length);
                sum = checksum(sum, sections[i].bytes, sections[i].length);
        }
        qvf_atomic_file_write(&file, &sum, sizeof(sum));
        r = qvf_atomic_file_commit(&file);
        if (r == 0)
                remove_beyond(folder, QVF_CHECKPOINTS_KEPT);
        return r;
}

static int read_exactly(int fd, void *bytes, uint64_t length)
{
        char *at = bytes;

        while (length > 0) {
                ssize_t n = read(fd, at, qvf_min_u64(length, 1u << 30));

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                if (n == 0)
                        return -ENODATA;
                at += n;
                length -= (uint64_t)n;
        }
        return 0;
}

/* -EBADMSG: not whole. The whole file is summed up before anything in it is believed. */
static int verify(int fd, struct header *header)
{
        _cleanup_free_ unsigned char *piece = malloc(1u << 20);
        struct stat status;
        uint64_t left, total = sizeof(*header) + sizeof(uint32_t);
        uint32_t sum = 0, wanted;

        if (!piece)
                return -ENOMEM;
        if (fstat(fd, &status) < 0)
                return -errno;
        if (!S_ISREG(status.st_mode) || (uint64_t)status.st_size < total ||
                        read_exactly(fd, header, sizeof(*header)) < 0)
                return -EBADMSG;
        sum = checksum(sum, header, sizeof(*header));
        left = (uint64_t)status.st_size - total;
        while (left > 0) {
                uint64_t n = qvf_min_u64(left, 1u << 20);

                if (read_exactly(fd, piece, n) < 0)
                        return -EBADMSG;
                sum = checksum(sum, piece, n);
                left -= n;
        }
        if (read_exactly(fd, &wanted, sizeof(wanted)) < 0 || wanted != sum ||
                        memcmp(header->magic, MAGIC, 8) != 0)
                return -EBADMSG;
        for (unsigned i = 0; i < header->n_sections && i < QVF_CHECKPOINT_SECTIONS_MOST; i++)
                if (!qvf_add_u64(total, header->lengths[i], &total))
                        return -EBADMSG;
        return header->n_sections > QVF_CHECKPOINT_SECTIONS_MOST || total != (uint64_t)status.st_size
                               ? -EBADMSG
                               : 0;
}

static int fill(int fd, const struct header *header, struct qvf_checkpoint_section *sections,
                unsigned n_sections, const char *name, struct qvf_error *error)
{
        if (header->version != VERSION)
                return qvf_error_set(error, -EINVAL, "%s is of version %u; this program reads version %u",
                                name, header->version, VERSION);
        if (header->n_sections != n_sections)
                return qvf_error_set(error, -EINVAL, "%s has %u sections, expected %u: it is of another run",
                                name, header->n_sections, n_sections);
        for (unsigned i = 0; i < n_sections; i++)
                if (memcmp(header->names[i], sections[i].name, sizeof(header->names[i])) != 0 ||
                                header->lengths[i] != sections[i].length)
                        return qvf_error_set(error, -EINVAL,
                                        "%s: section %.8s has %" PRIu64 " bytes, expected %.8s of %" PRIu64
                                        ": it is of another model or of other options",
                                        name, header->names[i], header->lengths[i], sections[i].name,
                                        sections[i].length);
        if (lseek(fd, sizeof(*header), SEEK_SET) < 0)
                return qvf_error_set(error, -errno, "%s can't be read: %s", name, strerror(errno));
        for (unsigned i = 0; i < n_sections; i++) {
                int r = read_exactly(fd, sections[i].bytes, sections[i].length);

                if (r < 0)
                        return qvf_error_set(error, r, "%s can't be read: %s", name, strerror(-r));
        }
        return 0;
}

int qvf_checkpoint_read(int folder, struct qvf_checkpoint_section *sections, unsigned n_sections,
                uint64_t *ret_step, struct qvf_error *error)
{
        uint64_t steps[CHECKPOINTS_MOST];
        unsigned count = list(folder, steps);

        for (unsigned i = 0; i < count; i++) {
                struct header header;
                char name[64];
                int r;

                name_of(steps[i], name);
                _cleanup_close_ int fd =
                                openat(folder, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
                r = fd < 0 ? -errno : verify(fd, &header);
                if (r == -ENOMEM)
                        return r;
                if (r < 0) {
                        qvf_log(QVF_LOG_WARNING,
                                        "%s is damaged and is passed over; going on from the one before",
                                        name);
                        continue;
                }
                r = fill(fd, &header, sections, n_sections, name, error);
                if (r == 0)
                        *ret_step = header.step;
                return r;
        }
        return qvf_error_set(error, -ENOENT, "there is no checkpoint");
}

int qvf_checkpoint_remove_all(int folder)
{
        remove_beyond(folder, 0);
        return 0;
}
