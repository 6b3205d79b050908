/* SPDX-License-Identifier: Apache-2.0 */
#include "plugins/vulkan/tuning.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/checked.h"
#include "common/sha256.h"

#define FIRST_LINE "qvf vulkan tuning 1"
#define SUM_DIGITS 16u /* of the SHA-256 of all before its line */
#define LINE_MOST 256u

static const struct {
        const char *name;
        uint16_t n_ways, ways[VK_WAYS_MOST]; /* the rule's first */
} knobs[VK_KNOBS] = {
        [VK_TUNE_DECODE_GROUPS] = { "decode_groups", 3, { 264, 32, 96 } },
        [VK_TUNE_WALK_PERCENT] = { "walk_percent", 4, { 100, 0, 50, 75 } },
        [VK_TUNE_PROMPT_ROWS] = { "prompt_rows", 5, { 16, 9, 64, 128, 256 } },
        [VK_TUNE_PROMPT_STEP] = { "prompt_step", 3, { 64, 32, 16 } },
        [VK_TUNE_ATTENTION_LANES] = { "attention_lanes", 3, { 512, 256, 128 } },
        [VK_TUNE_VECTOR_GROUPS] = { "vector_groups", 4, { 512, 64, 128, 2048 } },
        [VK_TUNE_VECTOR_LANES] = { "vector_lanes", 3, { 256, 128, 64 } },
        [VK_TUNE_VECTOR_ROWS] = { "vector_rows", 3, { 4, 2, 8 } },
        [VK_TUNE_FORWARD_PERCENT] = { "forward_percent", 4, { 100, 25, 50, 200 } },
        [VK_TUNE_FORWARD_LARGEST] = { "forward_largest", 3, { 0, 1, 2 } },
        [VK_TUNE_BACKWARD_TILES] = { "backward_tiles", 4, { 0, 1, 2, 3 } },
        [VK_TUNE_THIN_ROWS] = { "thin_rows", 4, { 512, 128, 256, 1024 } },
        [VK_TUNE_OUTER_PERCENT] = { "outer_percent", 3, { 100, 50, 200 } },
        [VK_TUNE_HEAD_NUMBERS] = { "head_numbers", 4, { 4, 1, 2, 8 } },
};

const struct vk_tuning vk_tuning_rules = { { 264, 100, 16, 64, 512, 512, 256, 4, 100, 0, 0, 512, 100, 4 } };

const char *vk_knob_name(enum vk_knob knob)
{
        return knobs[knob].name;
}

uint32_t vk_knob_ways(enum vk_knob knob, uint16_t ret_values[VK_WAYS_MOST])
{
        memcpy(ret_values, knobs[knob].ways, sizeof(knobs[knob].ways));
        return knobs[knob].n_ways;
}

static void sum_of(const char *text, size_t length, char digits[SUM_DIGITS + 1])
{
        uint8_t digest[QVF_SHA256_BYTES];

        qvf_sha256(text, length, digest);
        for (unsigned i = 0; i < SUM_DIGITS / 2; i++)
                snprintf(digits + (size_t)2 * i, 3, "%02x", digest[i]);
}

int vk_tuning_write(const struct vk_tuning *tuning, uint32_t measured, const struct vk_tuning_key *key,
                char *text, size_t size)
{
        char digits[SUM_DIGITS + 1];
        size_t at;

        at = (size_t)snprintf(text, size, FIRST_LINE "\nversion %s\ndevice %s\ndriver %s\n", key->version,
                        key->device, key->driver);
        for (unsigned i = 0; i < VK_KNOBS && at < size; i++)
                if (measured >> i & 1)
                        at += (size_t)snprintf(
                                        text + at, size - at, "%s %u\n", knobs[i].name, tuning->value[i]);
        if (at >= size)
                return -ENOSPC;
        sum_of(text, at, digits);
        return at + (size_t)snprintf(text + at, size - at, "sum %s\n", digits) < size ? 0 : -ENOSPC;
}

static int refuse(int r, char words[160], const char *format, const char *what)
{
        snprintf(words, 160, format, what);
        return r;
}

/* Takes a line off the text; false: there is no whole one that is not too long. */
static bool next_line(const char **text, char line[LINE_MOST])
{
        size_t length = strcspn(*text, "\n");

        if ((*text)[length] != '\n' || length >= LINE_MOST)
                return false;
        memcpy(line, *text, length);
        line[length] = 0;
        *text += length + 1;
        return true;
}

static int take_value(const char *name, size_t name_length, const char *number, struct vk_tuning *tuning)
{
        char *end;
        unsigned long value;

        if (*number < '0' || *number > '9')
                return -EINVAL;
        value = strtoul(number, &end, 10);
        for (unsigned i = 0; i < VK_KNOBS; i++) {
                if (strlen(knobs[i].name) != name_length || memcmp(knobs[i].name, name, name_length) != 0)
                        continue;
                for (unsigned j = 0; j < knobs[i].n_ways; j++)
                        if (*end == 0 && value == knobs[i].ways[j]) {
                                tuning->value[i] = knobs[i].ways[j];
                                return 0;
                        }
        }
        return -EINVAL;
}

static int read_key(const char **text, const struct vk_tuning_key *key, char words[160])
{
        const struct {
                const char *name, *value;
        } wanted[] = { { "version ", key->version }, { "device ", key->device },
                { "driver ", key->driver } };
        char line[LINE_MOST];

        if (!next_line(text, line) || strcmp(line, FIRST_LINE) != 0)
                return refuse(-EINVAL, words, "it does not begin with '%s'", FIRST_LINE);
        for (size_t i = 0; i < QVF_ARRAY_LENGTH(wanted); i++) {
                size_t length = strlen(wanted[i].name);

                if (!next_line(text, line) || strncmp(line, wanted[i].name, length) != 0)
                        return refuse(-EINVAL, words, "its line '%s' is missing", wanted[i].name);
                if (strcmp(line + length, wanted[i].value) != 0)
                        return refuse(-ESTALE, words, "it was measured for another %s", wanted[i].name);
        }
        return 0;
}

int vk_tuning_read(const char *text, const struct vk_tuning_key *key, struct vk_tuning *ret_tuning,
                char ret_words[160])
{
        struct vk_tuning tuning = vk_tuning_rules;
        const char *at = text;
        char line[LINE_MOST], digits[SUM_DIGITS + 1];
        int r = read_key(&at, key, ret_words);

        if (r < 0)
                return r;
        for (;;) {
                size_t before = (size_t)(at - text), length;

                if (!next_line(&at, line))
                        return refuse(-EINVAL, ret_words, "it ends without its %s", "sum");
                length = strcspn(line, " ");
                if (strncmp(line, "sum ", 4) == 0) {
                        sum_of(text, before, digits);
                        if (*at || strcmp(line + 4, digits) != 0)
                                return refuse(-EINVAL, ret_words, "its %s is wrong", "sum");
                        break;
                }
                if (line[length] != ' ' || take_value(line, length, line + length + 1, &tuning) < 0)
                        return refuse(-EINVAL, ret_words, "'%.100s' is nothing that can be chosen", line);
        }
        *ret_tuning = tuning;
        return 0;
}

int vk_tuning_force(const char *wishes, struct vk_tuning *tuning, char ret_words[160])
{
        struct vk_tuning wanted = *tuning;

        while (*(wishes += strspn(wishes, " "))) {
                size_t length = strcspn(wishes, " "), name = strcspn(wishes, "=");
                char wish[LINE_MOST];

                if (length >= sizeof(wish) || name >= length)
                        return refuse(-EINVAL, ret_words, "'%.100s' is no NAME=VALUE", wishes);
                memcpy(wish, wishes, length);
                wish[length] = 0;
                if (take_value(wish, name, wish + name + 1, &wanted) < 0)
                        return refuse(-EINVAL, ret_words, "'%.100s' is nothing that can be chosen", wish);
                wishes += length;
        }
        *tuning = wanted;
        return 0;
}

void vk_tuning_tell(const struct vk_tuning *tuning, char *text, size_t size)
{
        size_t at = 0;

        text[0] = 0;
        for (unsigned i = 0; i < VK_KNOBS && at < size; i++)
                if (tuning->value[i] != vk_tuning_rules.value[i])
                        at += (size_t)snprintf(text + at, size - at, "%s%s %u", at ? ", " : "",
                                        knobs[i].name, tuning->value[i]);
}
