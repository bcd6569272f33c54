#include "show.h"
#include "base/slice.h"
#include "table.h"
#include "wire/json.h"
#include "wire/props.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

const char show_format_help[] =
	"  --format FORMAT       %t topic %b body %B its bytes %k keys %g tag %q queue %o offset\n"
	"                        %i id %s stored (local) %S (ms since 1970) %n broker, %{NAME}\n"
	"                        the property NAME, \\n \\t; or one of the words text and json\n";

/* After "%{"; NULL: there is no end. */
static const char *name_end(const char *name)
{
	return strchr(name, '}');
}

const char *show_check(const char *format)
{
	for (const char *p = format; *p != '\0'; p++) {
		if (*p != '%')
			continue;
		p++;
		if (*p == '{' && name_end(p) != NULL)
			p = name_end(p);
		else if (*p == '\0' || strchr("%tbBkgqoisSn", *p) == NULL)
			return p - 1;
	}
	return NULL;
}

static void put(const char *text)
{
	if (text != NULL)
		fputs(text, stdout);
}

static void put_field(char field, const struct mosaic_received *m)
{
	char when[32];

	switch (field) {
	case 't': put(m->topic); break;
	case 'b': fwrite(m->body.ptr, 1, m->body.len, stdout); break;
	case 'B': printf("%zu", m->body.len); break;
	case 'k': put(m->keys); break;
	case 'g': put(m->tag); break;
	case 'q': printf("%d", m->queue_id); break;
	case 'o': printf("%" PRId64, m->queue_offset); break;
	case 'i': put(m->message_id); break;
	case 'S': printf("%" PRId64, m->store_ms); break;
	case 'n': put(m->broker); break;
	case 's':
		table_format_time(when, m->store_ms);
		put(when);
		break;
	default: putchar(field);
	}
}

/* name: up to '}'. */
static void put_property(const struct mosaic_received *m, const char *name)
{
	size_t len = (size_t)(name_end(name) - name);

	for (uint32_t i = 0; i < m->n_properties; i++)
		if (strlen(m->properties[i].name) == len &&
		    memcmp(m->properties[i].name, name, len) == 0)
			put(m->properties[i].value);
}

static void put_format(const char *format, const struct mosaic_received *m)
{
	for (const char *p = format; *p != '\0'; p++) {
		if (p[0] == '%' && p[1] == '{') {
			put_property(m, p + 2);
			p = name_end(p);
		} else if (*p == '%') {
			put_field(*++p, m);
		} else if (*p == '\\' && (p[1] == 'n' || p[1] == 't')) {
			putchar(*++p == 'n' ? '\n' : '\t');
		} else {
			putchar(*p);
		}
	}
}

static json_t *text_or_null(const char *s)
{
	json_t *text = s != NULL ? json_string(s) : NULL;
	return text != NULL ? text : json_null();
}

static json_t *properties_of(const struct mosaic_received *m)
{
	json_t *all = json_object();

	for (uint32_t i = 0; i < m->n_properties; i++)
		if (strcmp(m->properties[i].name, PROP_KEYS) != 0 &&
		    strcmp(m->properties[i].name, PROP_TAGS) != 0)
			json_object_set_new(all, m->properties[i].name,
					    text_or_null(m->properties[i].value));
	return all;
}

/* A body that is no UTF-8 is null, and its bytes are in hex. */
static void put_json(const struct mosaic_received *m)
{
	json_t *text = json_stringn((const char *)m->body.ptr, m->body.len);
	json_t *all = json_pack("{so so ss si sI sI so so so so}", "topic",
				text_or_null(m->topic), "properties", properties_of(m), "broker",
				m->broker, "queue", m->queue_id, "offset",
				(json_int_t)m->queue_offset, "stored_ms", (json_int_t)m->store_ms,
				"id", text_or_null(m->message_id), "tag", text_or_null(m->tag),
				"keys", text_or_null(m->keys), "body",
				text != NULL ? text : json_null());

	if (text == NULL) {
		char *hex = malloc(2 * m->body.len + 1);
		for (size_t i = 0; hex != NULL && i < m->body.len; i++)
			snprintf(hex + 2 * i, 3, "%02x", m->body.ptr[i]);
		json_object_set_new(all, "body_hex", hex != NULL
							     ? json_stringn(hex, 2 * m->body.len)
							     : json_null());
		free(hex);
	}
	json_dumpf(all, stdout, JSON_COMPACT);
	putchar('\n');
	json_decref(all);
}

void show_received(const struct show *s, const struct mosaic_received *m)
{
	if (s->as_json)
		put_json(m);
	else if (s->format != NULL)
		put_format(s->format, m);
	else
		printf("received %s queue %d offset %" PRId64 ": %.*s\n", m->broker, m->queue_id,
		       m->queue_offset, SLICE_ARG(m->body));
}
