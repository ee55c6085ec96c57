/* SPDX-License-Identifier: MIT */
/*
 * Broker urls as the configuration needs them: is it one, and where is the password. What connects
 * to them is lib/amqp, which reads them in full.
 */
#ifndef SKEP_CONF_CONF_URL_H
#define SKEP_CONF_CONF_URL_H

#include "lib/base/err.h"

#define CONF_URL_EMBEDDED "embedded" /* the url of no broker: jobs wait in the database of the node */

/* Scheme, host and port. -EINVAL; the password is not in the text. */
int conf_url_check(const char *url, struct err *err);

/* A fresh string with *** for the password, if there is one. */
char *conf_url_mask(const char *url);

/* Has it a password in it, other than the one that everybody knows (guest:guest)? */
bool conf_url_has_password(const char *url);

/* A fresh string without such a password: amqp://user@host. */
char *conf_url_public(const char *url);

/* A fresh url with that password, percent-encoded (RFC 3986, 2.3), in place of its own. The user is
 * guest if the url names none. */
char *conf_url_with_password(const char *url, const char *password);

#endif
