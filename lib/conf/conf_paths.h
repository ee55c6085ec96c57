/* SPDX-License-Identifier: MIT */
/* Where things are when the configuration does not say: by user and the XDG base directories. */
#ifndef SKEP_CONF_CONF_PATHS_H
#define SKEP_CONF_CONF_PATHS_H

#include "lib/conf/conf.h"

/* Fills empty directories and names of `c`, and makes every path absolute, by c->file. */
int conf_paths_fill(struct conf *c, struct err *err);

#endif
