/* SPDX-License-Identifier: MIT */
/* "did you mean": the name that was probably meant. */
#ifndef SKEP_CONF_CONF_NEAREST_H
#define SKEP_CONF_CONF_NEAREST_H

#include "lib/base/base.h"

/* The word of `words` that looks most like a mistyped `word`, or NULL. */
const char *conf_nearest(const char *word, const char *const *words, size_t n);

#endif
