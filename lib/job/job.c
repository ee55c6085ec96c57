/* SPDX-License-Identifier: MIT */
#include "lib/job/job.h"

#include <errno.h>

static const struct {
	const char *text;
	bool over;
} states[] = {
#define JOB_STATE(NAME, name, is_over) [JOB_##NAME] = {name, is_over},
#include "lib/job/states.def"
#undef JOB_STATE
};

static const struct {
	const char *text;
	bool counts;
} outcomes[] = {
#define OUTCOME(NAME, name, does_count) [OUTCOME_##NAME] = {name, does_count},
#include "lib/job/outcomes.def"
#undef OUTCOME
};

const char *job_state_name(enum job_state state)
{
	return (unsigned)state < JOB_STATE_COUNT ? states[state].text : "unknown";
}

int job_state_parse(const char *text, enum job_state *ret)
{
	for (size_t i = 0; i < JOB_STATE_COUNT; i++) {
		if (strcmp(text, states[i].text) == 0) {
			*ret = (enum job_state)i;
			return 0;
		}
	}
	return -EINVAL;
}

bool job_state_over(enum job_state state)
{
	return (unsigned)state < JOB_STATE_COUNT && states[state].over;
}

const char *outcome_name(enum outcome outcome)
{
	return (unsigned)outcome < OUTCOME_COUNT ? outcomes[outcome].text : "unknown";
}

bool outcome_counts(enum outcome outcome)
{
	return (unsigned)outcome < OUTCOME_COUNT && outcomes[outcome].counts;
}
