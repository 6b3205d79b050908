#version 450
/* SPDX-License-Identifier: Apache-2.0 */
/* A row of logits by a workgroup: takes them into the row's state (largest, Σ exp(logit - largest), the target's logit,
 * the largest's place), stores the loss, and makes dloss/dlogit of them.
 * All that belongs to rows is bound from row push.row0 on.
 * n: 0 words of this chunk, 1 distance of two rows of logits, 2 first word, 3 what to do, 4 all words, 5 rows. */
#extension GL_EXT_control_flow_attributes : require

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
#define AT_ONCE 4u /* logits on their way to an invocation */

shared float values[256];
shared float sums[256];
shared uint places[256];

/* Of the invocations together: the largest logit and its place, the first one of equals, and Σ exp(logit - largest). In
 * one pass: whenever a larger logit comes, what was summed before shrinks. */
void find(uint at)
{
        uint t = gl_LocalInvocationIndex, place = 0u;
        float largest = -3.4e38, sum = 0.0;

        for (uint n = t; n < push.n[0]; n += 256 * AT_ONCE) {
                float some[AT_ONCE], most = -3.4e38;

                [[unroll]] for (uint i = 0; i < AT_ONCE; i++)
                        some[i] = n + 256 * i < push.n[0] ? logits[at + n + 256 * i] : -3.4e38;
                [[unroll]] for (uint i = 0; i < AT_ONCE; i++)
                        most = max(most, some[i]);
                if (most > largest) {
                        sum *= qvf_exp(max(largest - most, -1000.0));
                        largest = most;
                        [[unroll]] for (int i = int(AT_ONCE) - 1; i >= 0; i--)
                                if (some[i] == most)
                                        place = n + 256 * uint(i);
                }
                [[unroll]] for (uint i = 0; i < AT_ONCE; i++)
                        sum += n + 256 * i < push.n[0] ? qvf_exp(some[i] - largest) : 0.0;
        }
        values[t] = largest;
        sums[t] = sum;
        places[t] = sum > 0.0 ? place : 0xffffffffu;
        for (uint half_of = 128; half_of > 0; half_of /= 2) {
                barrier();
                if (t < half_of) {
                        float a = values[t], b = values[t + half_of], most = max(a, b);

                        sums[t] = sums[t] * qvf_exp(max(a - most, -1000.0)) + sums[t + half_of] * qvf_exp(max(b - most, -1000.0));
                        if (b > a || b == a && places[t + half_of] < places[t])
                                places[t] = places[t + half_of];
                        values[t] = most;
                }
        }
        barrier();
}

vec4 reduce(uint at, uint state_at, int target)
{
        vec4 state = push.n[2] == 0 ? vec4(-3.4e38, 0.0, 0.0, 0.0) : states[state_at];
        float most;

        find(at);
        most = max(state.x, values[0]);
        if (values[0] > state.x || push.n[2] == 0)
                state.w = uintBitsToFloat(push.n[2] + places[0]);
        state.y = state.y * qvf_exp(max(state.x - most, -1000.0)) + sums[0] * qvf_exp(max(values[0] - most, -1000.0));
        state.x = most;
        if (uint(target) - push.n[2] < push.n[0])
                state.z = logits[at + uint(target) - push.n[2]];
        return state;
}

void main()
{
        uint m = gl_WorkGroupID.x, at = push.rest[0] + m * push.n[1], state_at = push.rest[1] / 4 + m;
        int target;
        float factor;
        vec4 state;

        if (push.row0 + m >= qvf_rows() || m >= push.n[5])
                return;
        target = targets[push.rest[4] + m];
        if (target < 0 || uint(target) >= push.n[4])
                target = -1;
        if ((push.n[3] & REDUCE) != 0) {
                state = reduce(at, state_at, target);
                if (gl_LocalInvocationIndex == 0)
                        states[state_at] = state;
        } else {
                state = states[state_at];
        }
        if ((push.n[3] & STORE) != 0 && gl_LocalInvocationIndex == 0) {
                losses[push.rest[2] + m] = target < 0 ? 0.0 : state.x + log(state.y) - state.z;
                if ((push.n[3] & BEST) != 0)
                        best[push.rest[3] + m] = floatBitsToInt(state.w);
        }
        if ((push.n[3] & DIFFERENTIATE) == 0)
                return;
        factor = args.loss_scale / state.y;
        barrier();
        for (uint n = gl_LocalInvocationIndex; n < push.n[0]; n += 256 * AT_ONCE) {
                float some[AT_ONCE];

                [[unroll]] for (uint i = 0; i < AT_ONCE; i++)
                        some[i] = n + 256 * i < push.n[0] ? logits[at + n + 256 * i] : 0.0;
                [[unroll]] for (uint i = 0; i < AT_ONCE; i++) {
                        float p = qvf_exp(some[i] - state.x) * factor;

                        p -= push.n[2] + n + 256 * i == uint(target) ? args.loss_scale : 0.0;
                        if (n + 256 * i < push.n[0])
                                logits[at + n + 256 * i] = target < 0 ? 0.0 : p;
                }
        }
}
