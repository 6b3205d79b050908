/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/sha256.h"
#include "engine/tokenizer/internal.h"

/* Goes up whenever this code gives other tokens for the same vocabulary and text. */
#define ENCODING_VERSION 1

static int compare_merges(const void *a, const void *b)
{
        const struct qvf_merge *left = a, *right = b;

        return left->rank < right->rank ? -1 : left->rank > right->rank;
}

/* In the order of their ranks: that of the table hangs on a key that is another one each time. */
static int add_merges(struct qvf_sha256 *hash, const struct qvf_merge_table *table)
{
        struct qvf_merge *merges;
        size_t count = 0;

        qvf_sha256_update_u64(hash, table->n_slots);
        if (table->n_slots == 0)
                return 0;
        merges = calloc(table->n_slots, sizeof(*merges));
        if (!merges)
                return -ENOMEM;
        for (size_t i = 0; i < table->n_slots; i++)
                if (table->slots[i].rank != QVF_RANK_NONE)
                        merges[count++] = table->slots[i];
        qsort(merges, count, sizeof(*merges), compare_merges);
        qvf_sha256_update_sized(hash, merges, count * sizeof(*merges));
        free(merges);
        return 0;
}

int qvf_tokenizer_fingerprint(const struct qvf_tokenizer *tokenizer,
                uint8_t ret_fingerprint[QVF_TOKENIZER_FINGERPRINT_BYTES])
{
        const struct qvf_token_table *tokens = &tokenizer->tokens;
        const char *pre = qvf_tokenizer_pre(tokenizer);
        struct qvf_sha256 hash;
        int r;

        _Static_assert(QVF_TOKENIZER_FINGERPRINT_BYTES == QVF_SHA256_BYTES, "the digest is the fingerprint");
        qvf_sha256_init(&hash);
        qvf_sha256_update_u64(&hash, ENCODING_VERSION);
        qvf_sha256_update_u64(&hash, tokenizer->kind);
        qvf_sha256_update_u64(&hash,
                        tokenizer->add_bos | tokenizer->add_eos << 1 | tokenizer->add_space_prefix << 2);
        qvf_sha256_update_sized(&hash, pre, strlen(pre));
        qvf_sha256_update(&hash, tokenizer->named, sizeof(tokenizer->named));
        qvf_sha256_update(&hash, tokenizer->byte_ids, sizeof(tokenizer->byte_ids));
        qvf_sha256_update_sized(&hash, tokens->offsets, (tokens->n_tokens + 1) * sizeof(*tokens->offsets));
        qvf_sha256_update_sized(&hash, tokens->bytes, tokens->offsets[tokens->n_tokens]);
        qvf_sha256_update_sized(&hash, tokens->flags, tokens->n_tokens);
        if (tokenizer->ranks)
                qvf_sha256_update_sized(
                                &hash, tokenizer->ranks, tokens->n_tokens * sizeof(*tokenizer->ranks));
        r = add_merges(&hash, &tokenizer->merges);
        if (r < 0)
                return r;
        qvf_sha256_finish(&hash, ret_fingerprint);
        return 0;
}
