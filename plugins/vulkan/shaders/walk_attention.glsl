/* SPDX-License-Identifier: Apache-2.0 */
/* The attention of walk.glsl: ROPE of the row's query and key, KV_STORE of both, ATTENTION (F16 caches). Workgroups share
 * out heads and spans of positions. */
#define KV_BLOCK 32u
#define CACHE_F32 0u
#define CACHE_F16 1u
#define KEY_TYPE CACHE_F16
#define VALUE_TYPE CACHE_F16
const uint BLOCKS = THREADS / 32u;

uint first_cell(int sequence_, uint column)
{
        int block;

        if (sequence_ < 0 || uint(sequence_) >= push.n[2] || column >= push.n[3])
                return CELL_NONE;
        block = table[uint(sequence_) * push.n[3] + column];
        return block < 0 || uint(block) >= word_of(BLOCKS_THERE) ? CELL_NONE : uint(block) * KV_BLOCK;
}

#define CACHE_COLUMNS word_of(ROWS)
#define SCORE_FACTOR push.f[2]
#define KEYS4(i) Fours(address_of(KEYS_AT)).at[i]
#define KEY_NUMBER(i) 0.0
#define VALUES1(i) Words(address_of(VALUES_AT)).at[i]
#define VALUE_NUMBER(i) 0.0
#define FIRST_CELL(sequence, block) first_cell(sequence, block)
#define OWN_CELL
#define AWAIT_QUERY await_head()
uint head_wanted; /* CELL_NONE: it is there */
void await_head();
#include "attention_row.glsl"

shared vec2 turns_of_position[SIZE / 2u];
shared float head_raw[3u * SIZE];

/* Sines and cosines: the same in all layers. */
void find_turns()
{
        float way = float(position[0]) * push.f[0];

        for (uint i = gl_LocalInvocationID.x; i < SIZE / 2u; i += THREADS)
                turns_of_position[i] = push.f[1] * qvf_sine_cosine(way, frequency[i]);
}

/* Pair i of what stands at `from` in head_raw: turned, and where it belongs. */
vec2 turned_pair(uint from, uint i, out uvec2 at)
{
        at = push.n[4] != 0u ? uvec2(2u * i, 2u * i + 1u) : uvec2(i, i + SIZE / 2u);
        return qvf_turn(vec2(head_raw[from + at.x], head_raw[from + at.y]), turns_of_position[i]);
}

/* The row's own query, key and value of a head, as soon as they are there. */
void take_head(uint head, uint key_head)
{
        uint own = gl_LocalInvocationID.x;

        for (uint i = own; i < 3u * SIZE / 4u; i += THREADS) {
                uint part = i / (SIZE / 4u), k = i % (SIZE / 4u);
                uint at = (word_of(INPUT + part) + (part == 0u ? head : key_head) * SIZE) / 4u + k;
                vec4 four = uintBitsToFloat(wait_four(at, exchange4.fours[at]));

                for (uint j = 0; j < 4u; j++)
                        head_raw[part * SIZE + 4u * k + j] = four[j];
        }
        barrier();
        for (uint i = own; i < SIZE; i += THREADS) {
                uvec2 at;
                vec2 pair = turned_pair(i < SIZE / 2u ? 0u : SIZE, i % (SIZE / 2u), at);

                if (i < SIZE / 2u) {
                        attention_query[at.x / 4u][at.x % 4u] = pair.x;
                        attention_query[at.y / 4u][at.y % 4u] = pair.y;
                } else { /* nobody else looks at this pair */
                        head_raw[SIZE + at.x] = pair.x;
                        head_raw[SIZE + at.y] = pair.y;
                }
        }
        barrier();
        for (uint i = own; i < SIZE / 2u; i += THREADS) {
                own_key[i / 4u][i % 4u] = cells_half(head_raw[SIZE + 2u * i]) | cells_half(head_raw[SIZE + 2u * i + 1u]) << 16;
                own_value[i] = cells_half(head_raw[2u * SIZE + 2u * i]) | cells_half(head_raw[2u * SIZE + 2u * i + 1u]) << 16;
        }
        barrier();
}

void await_head()
{
        if (head_wanted == CELL_NONE)
                return;
        take_head(head_wanted, head_wanted / (word_of(ROW_COLUMNS) / CACHE_COLUMNS));
        head_wanted = CELL_NONE;
}

void store_cell(uint key_head)
{
        uint cell = position[0] < 0 ? CELL_NONE : first_cell(sequence[0], uint(position[0]) / KV_BLOCK);
        uint at = ((cell + uint(position[0]) % KV_BLOCK) * CACHE_COLUMNS + key_head * SIZE) / 2u;

        if (cell == CELL_NONE)
                return;
        for (uint i = gl_LocalInvocationID.x; i < SIZE / 2u; i += THREADS) {
                Words(address_of(KEYS_AT)).at[at + i] = own_key[i / 4u][i % 4u];
                Words(address_of(VALUES_AT)).at[at + i] = own_value[i];
        }
}

void give_head(uint head, attention_state found)
{
        for (uint c = 0; c < COLUMNS; c++) {
                uint d = c * THREADS + gl_LocalInvocationID.x;

                if (d < SIZE)
                        tell(word_of(MADE) + head * SIZE + d, attention_result(found.sums[c], found.total));
        }
}

/* What the spans from `first` to `last` gave, in their order. */
void merge_head(uint head, uint heads, uint first, uint last)
{
        attention_state all;

        attention_clear(all);
        for (uint span = first; span <= last; span++) {
                uint at = word_of(SPANS) + (span * heads + head) * (SIZE + 2u);
                float top = uintBitsToFloat(wait_one(at, exchange.words[at]));
                float total = uintBitsToFloat(wait_one(at + 1u, exchange.words[at + 1u]));

                if (total == 0.0)
                        continue;
                vec2 factor = attention_merge(all.top, all.total, top, total);

                for (uint c = 0; c < COLUMNS; c++) {
                        uint d = min(c * THREADS + gl_LocalInvocationID.x, SIZE - 1u) + at + 2u;

                        all.sums[c] = attention_merged(all.sums[c], uintBitsToFloat(wait_one(d, exchange.words[d])), factor);
                }
        }
        give_head(head, all);
}

void attend()
{
        uint own = gl_LocalInvocationID.x, heads = word_of(ROW_COLUMNS) / SIZE, of_key = heads / (CACHE_COLUMNS / SIZE);
        int last = place[0].x, most = int(push.n[3] * KV_BLOCK) - 1, window = int(push.n[5]);
        ivec2 range = ivec2(window > 0 && last >= window ? last - window + 1 : 0, min(last, most));
        uint first_span = uint(range.x) / 512u, spans = range.y < range.x ? 1u : uint(range.y) / 512u - first_span + 1u;
        attention_state found;

        for (uint unit = gl_WorkGroupID.x; unit < spans * heads; unit += gl_NumWorkGroups.x) {
                uint head = unit % heads, span = first_span + unit / heads, at = word_of(SPANS) + unit * (SIZE + 2u);

                head_wanted = head;
                attention_span(found, span, range, place[0].y, head / of_key * SIZE, place[0].y == sequence[0] ? position[0] : -1);
                if (span == first_span && head % of_key == 0u)
                        store_cell(head / of_key);
                if (spans == 1u) {
                        give_head(head, found);
                        continue;
                }
                for (uint c = 0; c < COLUMNS; c++)
                        if (c * THREADS + own < SIZE)
                                tell(at + 2u + c * THREADS + own, found.sums[c]);
                if (own == 0u) {
                        tell(at, found.top);
                        tell(at + 1u, found.total);
                }
        }
        if (spans > 1u)
                for (uint head = gl_WorkGroupID.x; head < heads; head += gl_NumWorkGroups.x)
                        merge_head(head, heads, 0u, spans - 1u);
}
