/* SPDX-License-Identifier: MIT */
/*
 * What text from outside must look like before it reaches the store, the broker or a terminal. A
 * name is 1 to 255 bytes (an AMQP short string) of UTF-8 without control characters. Pure.
 */
#ifndef SKEP_GATEWAY_CHECKS_H
#define SKEP_GATEWAY_CHECKS_H

#include "lib/base/err.h"

/* `what` names the thing in the message: "id". 0, or -EINVAL. */
int checks_name(const char *what, struct slice name, struct err *err);

/* The same for a queue, whose name must not be one of the broker's own ("amq."). */
int checks_queue(struct slice queue, struct err *err);

/* Reads a number of decimal digits, 0 to `most`. 0, or -EINVAL. */
int checks_number(struct slice text, int64_t most, int64_t *ret);

#endif
