#include "consumer/subscription.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/mem.h"
#include "client.h"
#include "wire/codes.h"
#include "wire/json.h"
#include <mosaic/consumer.h>
#include <stdio.h>
#include <stdlib.h>

#define EXPRESSION_MAX 8192

static struct mosaic_slice trim(struct mosaic_slice s)
{
	while (s.len > 0 && s.ptr[0] <= ' ') {
		s.ptr++;
		s.len--;
	}
	while (s.len > 0 && s.ptr[s.len - 1] <= ' ')
		s.len--;
	return s;
}

/* The next part between "||", trimmed. */
static bool next_tag(const char **at, struct mosaic_slice *tag)
{
	while (*at != NULL) {
		const char *start = *at, *end = strstr(start, "||");

		*tag = trim(slice(start, end != NULL ? (size_t)(end - start) : strlen(start)));
		*at = end != NULL ? end + 2 : NULL;
		if (tag->len > 0)
			return true;
	}
	return false;
}

static int read_tags(struct subscription *s, struct mosaic_error *error)
{
	struct mosaic_slice all = trim(slice_str(s->expression)), tag;
	const char *at = s->expression;
	uint32_t n = 0;

	if (slice_is(all, "*"))
		return 0;
	while (next_tag(&at, &tag))
		n++;
	if (n == 0)
		return err_set(error, MOSAIC_E_INVAL, "an expression without a tag: %s",
			       s->expression);
	s->tags = mem_alloc(n * sizeof(*s->tags));
	for (at = s->expression; next_tag(&at, &tag);)
		s->tags[s->n_tags++] = tag;
	return 0;
}

int subscription_make(const char *topic, uint32_t kind, const char *expression,
		      struct subscription **out, struct mosaic_error *error)
{
	bool is_all = expression == NULL || expression[0] == '\0';
	int rc = 0;

	if (kind != MOSAIC_TAGS && kind != MOSAIC_SQL92)
		return err_set(error, MOSAIC_E_INVAL, "no such kind of expression");
	if (kind == MOSAIC_SQL92 && is_all)
		return err_set(error, MOSAIC_E_INVAL, "SQL92 needs a condition");
	if (!is_all && strnlen(expression, EXPRESSION_MAX + 1) > EXPRESSION_MAX)
		return err_set(error, MOSAIC_E_INVAL, "the expression is too long");
	struct subscription *s = mem_alloc(sizeof(*s));
	s->topic = mem_strdup(topic);
	s->expression = mem_strdup(is_all ? "*" : expression);
	s->kind = kind;
	if (kind == MOSAIC_TAGS)
		rc = read_tags(s, error);
	if (rc != 0)
		subscription_free(s);
	else
		*out = s;
	return rc;
}

void subscription_free(struct subscription *s)
{
	if (s == NULL)
		return;
	free(s->topic);
	free(s->expression);
	free(s->tags);
	free(s);
}

bool subscription_takes(const struct subscription *s, struct mosaic_slice tag)
{
	for (uint32_t i = 0; i < s->n_tags; i++)
		if (tag.ptr != NULL && slice_eq(s->tags[i], tag))
			return true;
	return s->n_tags == 0;
}

const char *subscription_type(const struct subscription *s)
{
	return s->kind == MOSAIC_SQL92 ? "SQL92" : "TAG";
}

void subscription_write(const struct subscription *s, struct json_writer *w)
{
	jw_object(w);
	jw_put_bool(w, "classFilterMode", false);
	jw_key(w, "codeSet");
	jw_array(w);
	for (uint32_t i = 0; i < s->n_tags; i++)
		jw_i64(w, hash_java(s->tags[i]));
	jw_array_end(w);
	jw_put_cstr(w, "expressionType", subscription_type(s));
	jw_put_cstr(w, "subString", s->expression);
	jw_put_i64(w, "subVersion", s->version);
	jw_key(w, "tagsSet");
	jw_array(w);
	for (uint32_t i = 0; i < s->n_tags; i++)
		jw_str(w, s->tags[i]);
	jw_array_end(w);
	jw_put_cstr(w, "topic", s->topic);
	jw_object_end(w);
}

/* ---- check ---- */

#define CHECK_TIMEOUT_NS (3 * SECOND_NS)

static int take_address(struct route *route, void *address)
{
	const char *any = broker_address_any(route->reads[0].broker);

	if (any == NULL)
		return MOSAIC_E_NOTFOUND;
	snprintf(address, sizeof(((struct ask *)0)->address), "%s", any);
	return 0;
}

static int take_verdict(struct ask *ask, struct mosaic_error *error)
{
	const struct header *h = ask->response;

	if (h->code == RES_SUBSCRIPTION_PARSE_FAILED)
		return err_set(error, MOSAIC_E_INVAL, "%.*s", SLICE_ARG(h->remark));
	if (h->code == RES_SYSTEM_ERROR)
		return err_set(error, MOSAIC_E_UNSUPPORTED, "%.*s", SLICE_ARG(h->remark));
	return 0;
}

static void write_check(const struct mosaic_client *client, const char *group,
			const struct subscription *s, struct buf *out)
{
	struct json_writer w;

	jw_init(&w, out);
	jw_object(&w);
	jw_put_cstr(&w, "clientId", client->engine.client_id);
	jw_put_cstr(&w, "group", group);
	jw_key(&w, "subscriptionData");
	subscription_write(s, &w);
	jw_object_end(&w);
}

int subscription_check(struct mosaic_client *client, const char *group,
		       const struct subscription *s, struct mosaic_error *error)
{
	struct buf body = BUF_INIT;
	char address[sizeof(((struct ask *)0)->address)];

	if (s->kind != MOSAIC_SQL92 ||
	    client_route(client, s->topic, false, take_address, address, NULL) != 0)
		return 0;
	write_check(client, group, s, &body);
	struct ask ask = { .code = REQ_CHECK_CLIENT_CONFIG, .body = buf_slice(&body) };
	int rc = client_ask(client, &ask, address, CHECK_TIMEOUT_NS, take_verdict, error);
	buf_free(&body);
	return rc == MOSAIC_E_INVAL || rc == MOSAIC_E_UNSUPPORTED ? rc : 0;
}
