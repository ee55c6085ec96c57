/* SPDX-License-Identifier: MIT */
/* What is said to a node over HTTP and what it answers (docs/PROTOCOL.md, 3). Pure. */
#ifndef SKEP_CLIENT_LIBSKEP_NODE_TEXT_H
#define SKEP_CLIENT_LIBSKEP_NODE_TEXT_H

#include "client/libskep/via.h"
#include "lib/base/buf.h"
#include "lib/base/json.h"

/* A job as one line of JSON, with its body. 0, or -ENOBUFS: then nothing was added. */
int node_text_line(const struct skep_submission *job, struct buf *out);

/* True if the job can be a POST whose body is its own, with everything else in the query and in
 * Content-Type. False: its content type means something else there, or cannot stand in a header. */
bool node_text_is_plain(const struct skep_submission *job);
/* The path, NUL-terminated, and the Content-Type of such a one. */
void node_text_path(const struct skep_submission *job, struct buf *out);
const char *node_text_type(const struct skep_submission *job);

/* Takes the answer to one job, with its HTTP status; 0: it is one of many, and says its status itself. */
void node_text_answer(struct skep_submission *job, int64_t status, struct slice text);

/* Reads the job object. True if it is over; then *ret is filled, but for a result that did not come with
 * it, of which *ret_elsewhere tells. */
bool node_text_result(const struct json *job, struct skep_result *ret, bool *ret_elsewhere);

/* The code for an HTTP status that is no success. */
enum skep_code node_text_code(int64_t status);

#endif
