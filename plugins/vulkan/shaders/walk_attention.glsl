/* SPDX-License-Identifier: Apache-2.0 */
/* The attention of walk.glsl: ROPE of the row's query and key, KV_STORE of both, ATTENTION (F16 caches). Workgroups share
 * out heads and spans of positions. */
#define KV_BLOCK 32u
#define CACHE_F32 0u
#define CACHE_F16 1u
#define KEY_TYPE CACHE_F16
#define VALUE_TYPE CACHE_F16
const uint BLOCKS = THREADS / 32u;

int block_of(int sequence_, uint column)
{
        return sequence_ < 0 || uint(sequence_) >= push.n[2] || column >= push.n[3]
                ? -1 : table[uint(sequence_) * push.n[3] + column];
}

uint cell_of(int block)
{
        return block < 0 || uint(block) >= word_of(BLOCKS_THERE) ? CELL_NONE : uint(block) * KV_BLOCK;
}

shared int blocks_seen[256]; /* of the sequence that the row looks at */
int own_block;               /* where it is stored */

uint cache_columns; /* of the present step, as are the addresses */
uvec2 keys_at, values_at;
#define CACHE_COLUMNS cache_columns
#define SCORE_FACTOR push.f[2]
#define KEYS4(i) Fours(keys_at).at[i]
#define KEY_NUMBER(i) 0.0
#define VALUES1(i) Words(values_at).at[i]
#define VALUE_NUMBER(i) 0.0
#define FIRST_CELL(sequence, block) (block < 256u ? cell_of(blocks_seen[block]) : CELL_NONE)
#define OWN_CELL
#define BLOCK_IS_SUBGROUP (SUBGROUP == 32u)
#define AWAIT_QUERY await_head()
uint head_wanted; /* CELL_NONE: it is there */
void await_head();
#include "attention_row.glsl"

shared vec2 turns_of_position[SIZE / 2u];

/* What is the same in all layers: where the row looks, and its sines and cosines. */
ivec2 row_range;
int own_position; /* in its sequence; -1: it stores to another one */
uint first_span, spans;

void begin_attention()
{
        float way = float(position) * push.f[0];
        int most = int(push.n[3] * KV_BLOCK) - 1, window = int(push.n[5]), last;

        last = place.x;
        own_position = place.y == sequence ? position : -1;
        row_range = ivec2(window > 0 && last >= window ? last - window + 1 : 0, min(last, most));
        first_span = uint(row_range.x) / 512u;
        spans = row_range.y < row_range.x ? 1u : uint(row_range.y) / 512u - first_span + 1u;
        own_block = position < 0 ? -1 : block_of(sequence, uint(position) / KV_BLOCK);
        for (uint i = gl_LocalInvocationID.x; i < 256u; i += THREADS)
                blocks_seen[i] = block_of(place.y, i);
        for (uint i = gl_LocalInvocationID.x; i < SIZE / 2u; i += THREADS)
                turns_of_position[i] = push.f[1] * qvf_sine_cosine(way, frequency[i]);
}

/* The row's own query, key and value of a head, as soon as they are there: an invocation has a pair of one of them, and
 * those behind the last pair have one of the value's again. */
void take_head(uint head, uint key_head)
{
        bool interleaved = push.n[4] != 0u;

        for (uint first = 0; first < 3u * SIZE / 2u; first += THREADS) {
                uint i = first + gl_LocalInvocationID.x, part = min(i / (SIZE / 2u), 2u), k = i % (SIZE / 2u);
                uint from = word_of(INPUT + part) + (part == 0u ? head : key_head) * SIZE;
                uvec2 at = part == 2u || interleaved ? uvec2(2u * k, 2u * k + 1u) : uvec2(k, k + SIZE / 2u), halves;
                uvec2 seen = uvec2(exchange.words[from + at.x], exchange.words[from + at.y]);
                bool even = k % 2u == 0u;
                uint other;
                vec2 pair;

                seen.x = wait_one(from + at.x, seen.x);
                seen.y = wait_one(from + at.y, seen.y);
                pair = uintBitsToFloat(seen);
                if (part < 2u)
                        pair = qvf_turn(pair, turns_of_position[k]);
                halves = uvec2(cells_half(pair.x), cells_half(pair.y));
                /* A word of the key has two neighbours' halves where pairs are not interleaved. */
                other = subgroupShuffleXor(even ? halves.y : halves.x, 1u);
                if (part == 0u) {
                        attention_query[at.x / 4u][at.x % 4u] = pair.x;
                        attention_query[at.y / 4u][at.y % 4u] = pair.y;
                } else if (part == 2u) {
                        own_value[k] = halves.x | halves.y << 16;
                } else if (interleaved) {
                        own_key[k / 4u][k % 4u] = halves.x | halves.y << 16;
                } else {
                        uint word = k / 2u + (even ? 0u : SIZE / 4u);

                        own_key[word / 4u][word % 4u] = even ? halves.x | other << 16 : other | halves.y << 16;
                }
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
        uint cell = cell_of(own_block);
        uint at = ((cell + uint(position) % KV_BLOCK) * CACHE_COLUMNS + key_head * SIZE) / 2u;

        if (cell == CELL_NONE)
                return;
        for (uint i = gl_LocalInvocationID.x; i < SIZE / 2u; i += THREADS) {
                Words(keys_at).at[at + i] = own_key[i / 4u][i % 4u];
                Words(values_at).at[at + i] = own_value[i];
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
        uint own = gl_LocalInvocationID.x, heads = word_of(ROW_COLUMNS) / SIZE, of_key;
        attention_state found;

        cache_columns = word_of(ROWS);
        keys_at = address_of(KEYS_AT);
        values_at = address_of(VALUES_AT);
        of_key = heads / (cache_columns / SIZE);
        if (gl_WorkGroupID.x < spans * heads)
                barrier(); /* the layer before may have been nothing but attention for us */
        for (uint unit = gl_WorkGroupID.x; unit < spans * heads; unit += gl_NumWorkGroups.x) {
                uint head = unit % heads, span = first_span + unit / heads, at = word_of(SPANS) + unit * (SIZE + 2u);

                head_wanted = head;
                attention_span(found, span, row_range, place.y, head / of_key * SIZE, own_position);
                if (spans == 1u) {
                        give_head(head, found);
                } else {
                        for (uint c = 0; c < COLUMNS; c++)
                                if (c * THREADS + own < SIZE)
                                        tell(at + 2u + c * THREADS + own, found.sums[c]);
                        if (own == 0u) {
                                tell(at, found.top);
                                tell(at + 1u, found.total);
                        }
                }
                if (span == first_span && head % of_key == 0u) /* nobody waits for that */
                        store_cell(head / of_key);
                if (unit + gl_NumWorkGroups.x < spans * heads)
                        barrier(); /* the next one's key and value come */
        }
        if (spans > 1u)
                for (uint head = gl_WorkGroupID.x; head < heads; head += gl_NumWorkGroups.x)
                        merge_head(head, heads, 0u, spans - 1u);
}
