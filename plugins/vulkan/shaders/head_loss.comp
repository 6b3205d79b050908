#version 450
/* SPDX-License-Identifier: Apache-2.0 */
/* A row of logits by a workgroup: takes them into the row's state (largest, Σ exp(logit - largest), the target's logit,
 * the largest's place), stores the loss, and makes dloss/dlogit of them.
 * n: 0 words of this chunk, 1 distance of two rows of logits, 2 first word, 3 what to do, 4 all words, 5 rows. */
#include "qvf.glsl"
#include "math.glsl"

layout(local_size_x = 256) in;

layout(set = 0, binding = 1, std430) buffer loss_logits
{
        float logits[];
};
layout(set = 0, binding = 2, std430) buffer loss_states
{
        vec4 states[];
};
layout(set = 0, binding = 3, std430) writeonly buffer loss_losses
{
        float losses[];
};
layout(set = 0, binding = 4, std430) writeonly buffer loss_best
{
        int best[];
};
layout(set = 0, binding = 5, std430) readonly buffer loss_target
{
        int targets[];
};

#define REDUCE 1u
#define STORE 2u
#define DIFFERENTIATE 4u
#define BEST 8u

shared float values[256];
shared uint places[256];

/* The largest logit and its place, the first one of equals; places[0] and values[0] for all. */
void find_largest(uint at)
{
        uint t = gl_LocalInvocationIndex, place = 0xffffffffu;
        float largest = -3.4e38;

        for (uint n = t; n < push.n[0]; n += 256)
                if (logits[at + n] > largest || place == 0xffffffffu) {
                        largest = logits[at + n];
                        place = n;
                }
        values[t] = largest;
        places[t] = place;
        for (uint half_of = 128; half_of > 0; half_of /= 2) {
                barrier();
                if (t < half_of && (values[t + half_of] > values[t] ||
                                                   values[t + half_of] == values[t] && places[t + half_of] < places[t])) {
                        values[t] = values[t + half_of];
                        places[t] = places[t + half_of];
                }
        }
        barrier();
}

float sum_up(float mine)
{
        uint t = gl_LocalInvocationIndex;

        barrier();
        values[t] = mine;
        for (uint half_of = 128; half_of > 0; half_of /= 2) {
                barrier();
                if (t < half_of)
                        values[t] += values[t + half_of];
        }
        barrier();
        return values[0];
}

vec4 reduce(uint at, uint row, int target)
{
        vec4 state = push.n[2] == 0 ? vec4(-3.4e38, 0.0, 0.0, 0.0) : states[row];
        float largest, sum = 0.0;

        find_largest(at);
        largest = values[0];
        if (largest > state.x || push.n[2] == 0) {
                state.y *= qvf_exp(max(state.x - largest, -1000.0));
                state.x = largest;
                state.w = uintBitsToFloat(push.n[2] + places[0]);
        }
        for (uint n = gl_LocalInvocationIndex; n < push.n[0]; n += 256)
                sum += qvf_exp(logits[at + n] - state.x);
        state.y += sum_up(sum);
        if (uint(target) - push.n[2] < push.n[0])
                state.z = logits[at + uint(target) - push.n[2]];
        return state;
}

void main()
{
        uint m = gl_WorkGroupID.x, row = push.row0 + m, at = push.rest[0] + m * push.n[1], rows = qvf_rows();
        int target;
        vec4 state;

        if (row >= rows || m >= push.n[5])
                return;
        target = targets[row];
        if (target < 0 || uint(target) >= push.n[4])
                target = -1;
        if ((push.n[3] & REDUCE) != 0) {
                state = reduce(at, row, target);
                if (gl_LocalInvocationIndex == 0)
                        states[row] = state;
        } else {
                state = states[row];
        }
        if ((push.n[3] & STORE) != 0 && gl_LocalInvocationIndex == 0) {
                losses[row] = target < 0 ? 0.0 : state.x + log(state.y) - state.z;
                if ((push.n[3] & BEST) != 0)
                        best[row] = floatBitsToInt(state.w);
        }
        if ((push.n[3] & DIFFERENTIATE) == 0)
                return;
        barrier();
        for (uint n = gl_LocalInvocationIndex; n < push.n[0]; n += 256) {
                float p = qvf_exp(logits[at + n] - state.x) / state.y;

                p -= push.n[2] + n == uint(target) ? 1.0 : 0.0;
                logits[at + n] = target < 0 ? 0.0 : p * args.loss_scale;
        }
}
