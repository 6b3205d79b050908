/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/model/content_hash.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "common/atomic_file.h"

#define MAGIC "QVFHASH1"
#define PIECE_BYTES ((size_t)256 << 10)
/* File times tick in steps of some milliseconds: a file that was written to twice within a step shows the same times
 * both times. So the hash of a file that changed just now is not remembered; 2 s is the tick of the coarsest file
 * system (FAT). */
#define YOUNG_SECONDS 2

struct memory { /* the small file; numbers are the machine's, as the inodes are */
        char magic[8];
        uint8_t state[QVF_SHA256_BYTES], content[QVF_SHA256_BYTES];
        uint8_t check[QVF_SHA256_BYTES]; /* of what stands before */
};

void qvf_digest_name(const uint8_t digest[QVF_SHA256_BYTES], char ret_name[QVF_DIGEST_NAME_BYTES])
{
        for (unsigned i = 0; i < QVF_DIGEST_NAME_BYTES / 2; i++)
                snprintf(ret_name + 2 * (size_t)i, 3, "%02x", digest[i]);
}

/* Which files these are and when they changed last. *ret_young: too short ago to tell a later change by it. */
static int hash_state(const struct qvf_gguf *gguf, uint8_t ret_state[QVF_SHA256_BYTES], bool *ret_young,
                struct qvf_error *error)
{
        struct qvf_sha256 hash;
        time_t newest = 0;

        qvf_sha256_init(&hash);
        for (unsigned i = 0; i < qvf_gguf_parts(gguf); i++) {
                struct stat st;

                if (fstat(qvf_gguf_part_fd(gguf, i), &st) < 0)
                        return qvf_error_set(error, -errno, "%s: %s", qvf_gguf_part_name(gguf, i),
                                        strerror(errno));
                qvf_sha256_update_u64(&hash, st.st_dev);
                qvf_sha256_update_u64(&hash, st.st_ino);
                qvf_sha256_update_u64(&hash, (uint64_t)st.st_size);
                qvf_sha256_update_u64(&hash, (uint64_t)st.st_mtim.tv_sec);
                qvf_sha256_update_u64(&hash, (uint64_t)st.st_mtim.tv_nsec);
                qvf_sha256_update_u64(&hash, (uint64_t)st.st_ctim.tv_sec);
                qvf_sha256_update_u64(&hash, (uint64_t)st.st_ctim.tv_nsec);
                newest = st.st_mtim.tv_sec > newest ? st.st_mtim.tv_sec : newest;
                newest = st.st_ctim.tv_sec > newest ? st.st_ctim.tv_sec : newest;
        }
        qvf_sha256_finish(&hash, ret_state);
        *ret_young = time(NULL) - newest <= YOUNG_SECONDS;
        return 0;
}

/* Read, not looked at in its mapping: its pages do not become this process's, and no SIGBUS where it was cut. */
static int hash_part(struct qvf_sha256 *hash, int fd, void *piece)
{
        struct stat st;
        off_t at = 0;

        if (fstat(fd, &st) < 0)
                return -errno;
        qvf_sha256_update_u64(hash, (uint64_t)st.st_size);
        while (at < st.st_size) {
                ssize_t n = pread(fd, piece, PIECE_BYTES, at);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        return n < 0 ? -errno : -ESTALE;
                qvf_sha256_update(hash, piece, (size_t)n);
                at += n;
        }
        return 0;
}

static int hash_content(
                const struct qvf_gguf *gguf, uint8_t ret_digest[QVF_SHA256_BYTES], struct qvf_error *error)
{
        _cleanup_free_ void *piece = malloc(PIECE_BYTES);
        struct qvf_sha256 hash;

        if (!piece)
                return -ENOMEM;
        qvf_sha256_init(&hash);
        for (unsigned i = 0; i < qvf_gguf_parts(gguf); i++) {
                int r = hash_part(&hash, qvf_gguf_part_fd(gguf, i), piece);

                if (r < 0)
                        return qvf_error_set(error, r, "%s: can't be read: %s", qvf_gguf_part_name(gguf, i),
                                        strerror(-r));
        }
        qvf_sha256_finish(&hash, ret_digest);
        return 0;
}

static void memory_check(const struct memory *memory, uint8_t ret_check[QVF_SHA256_BYTES])
{
        qvf_sha256(memory, offsetof(struct memory, check), ret_check);
}

static bool recall(int folder, const char *name, const uint8_t state[QVF_SHA256_BYTES],
                uint8_t ret_digest[QVF_SHA256_BYTES])
{
        _cleanup_close_ int fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        uint8_t check[QVF_SHA256_BYTES];
        struct memory memory;

        if (fd < 0 || read(fd, &memory, sizeof(memory)) != (ssize_t)sizeof(memory))
                return false;
        memory_check(&memory, check);
        if (memcmp(memory.magic, MAGIC, sizeof(memory.magic)) != 0 ||
                        memcmp(memory.state, state, sizeof(memory.state)) != 0 ||
                        memcmp(memory.check, check, sizeof(check)) != 0)
                return false;
        memcpy(ret_digest, memory.content, QVF_SHA256_BYTES);
        return true;
}

static void remember(int folder, const char *name, const uint8_t state[QVF_SHA256_BYTES],
                const uint8_t digest[QVF_SHA256_BYTES])
{
        struct memory memory;

        memcpy(memory.magic, MAGIC, sizeof(memory.magic));
        memcpy(memory.state, state, sizeof(memory.state));
        memcpy(memory.content, digest, sizeof(memory.content));
        memory_check(&memory, memory.check);
        /* Where this fails, writing the cache will fail too and say why. */
        (void)qvf_atomic_file_put(folder, name, 0600, &memory, sizeof(memory), NULL);
}

int qvf_content_hash(const struct qvf_gguf *gguf, int folder, uint8_t ret_digest[QVF_SHA256_BYTES],
                struct qvf_error *error)
{
        uint8_t state[QVF_SHA256_BYTES], later[QVF_SHA256_BYTES];
        char name[QVF_DIGEST_NAME_BYTES + sizeof(".hash")];
        bool young;
        int r = hash_state(gguf, state, &young, error);

        if (r < 0)
                return r;
        qvf_digest_name(state, name);
        strcat(name, ".hash");
        if (!young && recall(folder, name, state, ret_digest))
                return 0;
        r = hash_content(gguf, ret_digest, error);
        if (r == 0)
                r = hash_state(gguf, later, &young, error);
        if (r < 0)
                return r;
        if (memcmp(state, later, sizeof(state)) != 0)
                return qvf_error_set(error, -ESTALE, "%s: changed while it was read", qvf_gguf_name(gguf));
        if (!young)
                remember(folder, name, state, ret_digest);
        return 0;
}
