/* SPDX-License-Identifier: MIT */
/* What must hold between options: names resolve, and can be what they name. */
#ifndef SKEP_CONF_CONF_CHECK_H
#define SKEP_CONF_CONF_CHECK_H

#include "lib/conf/conf.h"

/* Makes the queues that only pools name, gives pools their defaults, and checks all sections.
 * -EINVAL with err. */
int conf_check_names(struct conf *c, struct err *err);

/* The first line of the password file, a fresh string. Negative errno with err. */
int conf_check_password(const struct conf *c, char **ret, struct err *err);

#endif
