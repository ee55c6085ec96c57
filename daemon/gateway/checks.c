/* SPDX-License-Identifier: MIT */
#include "daemon/gateway/checks.h"

#include <errno.h>

#include "lib/base/json.h"
#include "lib/job/job.h"

#define BROKERS_OWN "amq."

int checks_name(const char *what, struct slice name, struct err *err)
{
	bool control = false;

	for (size_t i = 0; i < name.n; i++)
		control |= name.p[i] < 0x20 || name.p[i] == 0x7f;
	if (name.n == 0 || name.n > JOB_NAME_BYTES || control || !json_utf8_valid(name))
		return err_set(err, -EINVAL,
		    "'%s' must be 1 to %d bytes of UTF-8 without control characters", what,
		    JOB_NAME_BYTES);
	return 0;
}

int checks_queue(struct slice queue, struct err *err)
{
	const size_t n = sizeof BROKERS_OWN - 1;

	if (checks_name("queue", queue, err) < 0)
		return -EINVAL;
	if (queue.n >= n && memcmp(queue.p, BROKERS_OWN, n) == 0)
		return err_set(err, -EINVAL,
		    "'queue' must not begin with " BROKERS_OWN
		    ": those names are the broker's own");
	return 0;
}

int checks_number(struct slice text, int64_t most, int64_t *ret)
{
	int64_t value = 0;

	for (size_t i = 0; i < text.n; i++) {
		int digit = text.p[i] - '0';

		if (digit < 0 || digit > 9 || value > (most - digit) / 10)
			return -EINVAL;
		value = value * 10 + digit;
	}
	if (text.n == 0)
		return -EINVAL;
	*ret = value;
	return 0;
}
