/* SPDX-License-Identifier: Apache-2.0 */
/* '%' and str.format, as far as templates use them. */
#ifndef QVF_ENGINE_TEMPLATE_FORMAT_H
#define QVF_ENGINE_TEMPLATE_FORMAT_H

#include "engine/template/machine.h"

/* '…%s…' % value, or a tuple of values: %s %r %d %i %x %X %f %g %e %% with flags, width and precision. */
int qvf_jinja_format_percent(struct jinja_machine *machine, const struct jinja_string *format,
                const struct jinja_value *values, struct jinja_value *ret_value);
/* '…{}…'.format(…): {} {0} {name} with [[fill]align][0][width][,][.precision][s d f g e x X %], and !r !s.
 */
int qvf_jinja_format_braces(
                struct jinja_machine *machine, struct jinja_call *call, struct jinja_value *ret_value);

#endif
