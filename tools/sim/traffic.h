/* SPDX-License-Identifier: MIT */
/* The traffics: made up by a generator of random numbers that is always started alike, or read from a trace. */
#ifndef SKEP_TOOLS_SIM_TRAFFIC_H
#define SKEP_TOOLS_SIM_TRAFFIC_H

#include "tools/sim/sim.h"

extern const char *const traffic_names[]; /* ends with NULL */

/* false: no such name. What is made is to be cleared. */
bool traffic_make(const char *name, struct sim_traffic *ret);

/*
 * A file of lines "SECONDS,MILLISECONDS": when a job came, and how long it ran; a first line that starts with a letter
 * is skipped, the order is free. Returns false with a text in `ret_error`, with the line where one is wrong.
 */
bool traffic_read(const char *path, struct sim_traffic *ret, char ret_error[static 256]);

void traffic_clear(struct sim_traffic *traffic);

#endif
