/* SPDX-License-Identifier: MIT */
/* What can be known to be wrong with a submission before anybody is asked. Pure. */
#ifndef SKEP_CLIENT_LIBSKEP_CHECK_H
#define SKEP_CLIENT_LIBSKEP_CHECK_H

#include "client/libskep/via.h"

/* Fills job->error: SKEP_OK or SKEP_INVALID. */
enum skep_code check_submission(struct skep_submission *job);

/* A job's id or a queue as an argument. */
enum skep_code check_name(struct skep_error *error, const char *what, const char *name);

#endif
