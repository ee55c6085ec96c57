/* SPDX-License-Identifier: MIT */
/* The lines that skep says to a service (docs/PROTOCOL.md, "Services"). */
#ifndef SKEP_CLIENT_LIBSKEP_INTAKE_H
#define SKEP_CLIENT_LIBSKEP_INTAKE_H

#include "client/libskep/session.h"

/* One line of n bytes, which is consumed: malloc'ed, with a byte to spare. 0, or -EPROTO. */
int intake_line_take(struct session *s, char *text, size_t n);

void intake_job_free(struct skep_job *job);

#endif
