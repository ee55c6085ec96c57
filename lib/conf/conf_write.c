/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>

#include "lib/conf/conf_settings.h"

#define WRITE_MAX_BYTES (16u << 20)
#define WRITE_COLUMN 48 /* of the comment that says where a value came from */
#define WRITE_WIDTH 90	/* of the sample's text */

static int write_origin(const struct conf *c, const struct conf_kind *k, const char *section,
    const struct conf_option *o, size_t used, struct buf *out)
{
	const struct conf_setting *s = conf_settings_find(c, k->word, section, o->name);
	int pad = used < WRITE_COLUMN ? (int)(WRITE_COLUMN - used) : 1;

	if (s)
		return buf_addf(out, "%*s; %s:%d", pad, "", s->file, s->line);
	return buf_addf(out, "%*s; default", pad, "");
}

static int write_section(const struct conf *c, const struct conf_kind *k, size_t i, bool secrets,
    bool origins, struct buf *out)
{
	const char *name = conf_table_name(c, k, i);
	int rc = buf_addf(out, "%s[%s%s%s]\n", buf_size(out) ? "\n" : "", k->word, name ? " " : "",
	    name ? name : "");

	for (size_t j = 0; j < k->noptions && rc == 0; j++) {
		const struct conf_option *o = &k->options[j];
		size_t start = buf_size(out);

		rc = buf_addf(out, "%s = ", o->name);
		if (rc == 0)
			rc = conf_type_format(
			    o, conf_table_field(conf_table_section(c, k, i), o), secrets, out);
		if (rc == 0 && origins)
			rc = write_origin(c, k, name, o, buf_size(out) - start, out);
		if (rc == 0)
			rc = buf_adds(out, "\n");
	}
	return rc;
}

int conf_write(const struct conf *c, bool secrets, bool origins, struct buf *out)
{
	int rc = 0;

	for (size_t n = 0; n < CONF_KINDS; n++) {
		for (size_t i = 0; i < conf_table_count(c, &conf_table_kinds[n]) && rc == 0; i++)
			rc = write_section(c, &conf_table_kinds[n], i, secrets, origins, out);
	}
	return rc;
}

static int write_all(int fd, struct slice text)
{
	while (text.n) {
		ssize_t n = write(fd, text.p, text.n);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		text = slice_of(text.p + n, text.n - (size_t)n);
	}
	return 0;
}

int conf_memfd(const struct conf *c, bool secrets, struct err *err)
{
	auto_fd int fd = memfd_create("skep-conf", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	struct buf text;
	int rc;

	if (fd < 0)
		return err_sys(err, errno, "cannot make a memfd for the configuration");
	buf_init(&text, WRITE_MAX_BYTES);
	rc = conf_write(c, secrets, false, &text);
	if (rc == 0)
		rc = write_all(fd, buf_slice(&text));
	buf_free(&text);
	if (rc == 0 &&
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) < 0)
		rc = -errno;
	if (rc < 0)
		return err_sys(err, -rc, "cannot hand the configuration on");
	return take_fd(&fd);
}

/* A paragraph as comment lines. */
static int write_paragraph(const char *text, struct buf *out)
{
	int rc = 0;

	while (*text && rc == 0) {
		size_t n = strlen(text);

		if (n > WRITE_WIDTH) {
			for (n = WRITE_WIDTH; n && text[n] != ' ';)
				n--;
			if (n == 0)
				n = strcspn(text, " ");
		}
		rc = buf_addf(out, "# %.*s\n", (int)n, text);
		text += n + strspn(text + n, " ");
	}
	return rc;
}

static int sample_kind(const struct conf_kind *k, struct buf *out)
{
	int rc = write_paragraph(k->about, out);

	if (rc == 0)
		rc = k->named ? buf_addf(out, "#[%s NAME]\n", k->word)
			      : buf_addf(out, "[%s]\n", k->word);
	for (size_t i = 0; i < k->noptions && rc == 0; i++) {
		const struct conf_option *o = &k->options[i];

		rc = buf_adds(out, "\n");
		if (rc == 0)
			rc = write_paragraph(o->doc, out);
		if (rc == 0)
			rc = buf_addf(
			    out, "#%s =%s%s\n", o->name, *o->fallback ? " " : "", o->fallback);
	}
	return rc;
}

int conf_sample(struct buf *out)
{
	int rc = write_paragraph(
	    "The configuration of skepd, with every option and its default. Files conf.d/*.conf beside this "
	    "one are read after it, in the order of their names; later values win. Comments begin with # or ; "
	    "at the start of a line, or with a ; after a space behind a value. A long value goes on in the next "
	    "line if that is indented. Durations: 250ms, 10s, 5m, 1h, 7d. Sizes: bytes, or 64K, 16M, 1G.",
	    out);

	for (size_t i = 0; i < CONF_KINDS && rc == 0; i++) {
		rc = buf_adds(out, "\n");
		if (rc == 0)
			rc = sample_kind(&conf_table_kinds[i], out);
	}
	return rc;
}
