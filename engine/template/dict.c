/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "engine/template/machine.h"

/* Up to so many entries are searched one by one. */
#define FEW 8

int qvf_jinja_dict_new(struct jinja_machine *machine, struct jinja_value *ret_value)
{
        struct jinja_dict *dict = qvf_jinja_allocate(machine, 1, sizeof(*dict));

        if (!dict)
                return -E2BIG;
        *ret_value = (struct jinja_value){ .kind = JINJA_DICT, .dict = dict };
        return 0;
}

/* *ret_index is the entry, or the count where there is none. */
static int find(struct jinja_machine *machine, const struct jinja_dict *dict, const struct jinja_value *key,
                uint64_t hash, uint32_t *ret_index)
{
        uint32_t slot = (uint32_t)hash & (dict->slot_count - 1);
        bool equal = false;
        int r = 0;

        *ret_index = dict->count;
        if (!dict->slots) {
                for (uint32_t i = 0; i < dict->count && !equal; i++) {
                        if (dict->entries[i].hash != hash)
                                continue;
                        r = qvf_jinja_equal(machine, &dict->entries[i].key, key, &equal);
                        if (r < 0)
                                return r;
                        if (equal)
                                *ret_index = i;
                }
                return 0;
        }
        for (; dict->slots[slot] && !equal; slot = (slot + 1) & (dict->slot_count - 1)) {
                const struct jinja_entry *entry = &dict->entries[dict->slots[slot] - 1];

                r = qvf_jinja_charge(machine, 1);
                if (r >= 0 && entry->hash == hash)
                        r = qvf_jinja_equal(machine, &entry->key, key, &equal);
                if (r < 0)
                        return r;
                if (equal)
                        *ret_index = dict->slots[slot] - 1;
        }
        return 0;
}

static void place(struct jinja_dict *dict, uint32_t index)
{
        uint32_t slot = (uint32_t)dict->entries[index].hash & (dict->slot_count - 1);

        while (dict->slots[slot])
                slot = (slot + 1) & (dict->slot_count - 1);
        dict->slots[slot] = index + 1;
}

static int grow(struct jinja_machine *machine, struct jinja_dict *dict)
{
        uint32_t capacity = dict->capacity ? dict->capacity * 2 : FEW / 2;
        struct jinja_entry *entries = qvf_jinja_allocate(machine, capacity, sizeof(*entries));

        if (!entries)
                return -E2BIG;
        if (dict->count > 0)
                memcpy(entries, dict->entries, dict->count * sizeof(*entries));
        dict->entries = entries;
        dict->capacity = capacity;
        if (capacity <= FEW)
                return 0;
        dict->slots = qvf_jinja_allocate(machine, (size_t)capacity * 2, sizeof(*dict->slots));
        if (!dict->slots)
                return -E2BIG;
        dict->slot_count = capacity * 2;
        for (uint32_t i = 0; i < dict->count; i++)
                place(dict, i);
        return 0;
}

int qvf_jinja_dict_set(struct jinja_machine *machine, struct jinja_dict *dict, const struct jinja_value *key,
                const struct jinja_value *value)
{
        uint64_t hash;
        uint32_t index;
        int r = qvf_jinja_hash(machine, key, &hash);

        if (r >= 0)
                r = find(machine, dict, key, hash, &index);
        if (r < 0)
                return r;
        if (index == dict->count) {
                if (dict->count == dict->capacity) {
                        r = grow(machine, dict);
                        if (r < 0)
                                return r;
                }
                dict->entries[index] = (struct jinja_entry){ .key = *key, .hash = hash };
                dict->count++;
                if (dict->slots)
                        place(dict, index);
        }
        dict->entries[index].value = *value;
        return 0;
}

int qvf_jinja_dict_set_name(struct jinja_machine *machine, struct jinja_dict *dict, const char *name,
                struct jinja_value value)
{
        struct jinja_value key = qvf_jinja_literal(name);

        return qvf_jinja_dict_set(machine, dict, &key, &value);
}

int qvf_jinja_dict_get(struct jinja_machine *machine, const struct jinja_dict *dict,
                const struct jinja_value *key, struct jinja_value **ret_value)
{
        uint64_t hash;
        uint32_t index;
        int r = qvf_jinja_hash(machine, key, &hash);

        if (r >= 0)
                r = find(machine, dict, key, hash, &index);
        if (r < 0)
                return r;
        *ret_value = index < dict->count ? &dict->entries[index].value : NULL;
        return 0;
}
