/* SPDX-License-Identifier: Apache-2.0 */
/* How ATTENTION adds up what spans of positions gave (docs/arithmetic.md). */
#ifndef ATTENTION_MERGE_GLSL
#define ATTENTION_MERGE_GLSL

const float SCORE_NONE = -3.0e38; /* stands for -∞ */

/* What a span found is added to what those before it did: the factors of both. */
vec2 attention_merge(inout float top, inout float total, float span_top, float span_total)
{
        float largest = max(top, span_top);
        vec2 factor = vec2(top == SCORE_NONE ? 0.0 : qvf_exp(top - largest), qvf_exp(span_top - largest));
        precise float kept = total * factor.x, taken = span_total * factor.y, sum = kept + taken;

        top = largest;
        total = sum;
        return factor;
}

float attention_merged(float sum, float span_sum, vec2 factor)
{
        precise float taken = span_sum * factor.y;

        return qvf_fma(sum, factor.x, taken);
}

float attention_result(float sum, float total)
{
        return total > 0.0 ? qvf_divide(sum, total) : 0.0;
}

#endif
