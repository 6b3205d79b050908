/* SPDX-License-Identifier: Apache-2.0 */
/* Element by element: n[0] columns, element i of the rows in use. */
layout(local_size_x_id = 0) in;

#define FOR_ELEMENTS(i) \
        for (uint i = qvf_group() * gl_WorkGroupSize.x + gl_LocalInvocationID.x, \
                  end_ = (min(qvf_rows(), push.row0 + push.n[7]) - min(qvf_rows(), push.row0)) * push.n[0]; \
                i < end_; i += gl_WorkGroupSize.x * gl_NumWorkGroups.x * gl_NumWorkGroups.y)
