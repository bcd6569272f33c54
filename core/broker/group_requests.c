/* Requests about subscription groups: 200 201 207 225 352 353. */
#include "base/err.h"
#include "broker/groups.h"
#include "broker/offsets.h"
#include "broker/saved_answer.h"
#include "wire/codes.h"
#include "wire/json.h"

#define LIST_MAX 10000 /* groups in one request */

void group_on_update(void *broker, struct request *req)
{
	struct broker *b = broker;
	struct mosaic_error err = ERR_INIT;
	json_t *config = json_read(req->body, &err);
	struct group *group;

	if (config && groups_set(b->groups, config, &group, &err) == 0)
		answer_when_saved(b, req, DOC_GROUPS);
	else
		reply_remark(&req->ticket, RES_SYSTEM_ERROR, "%s", err.text);
	json_decref(config);
}

void group_on_update_list(void *broker, struct request *req)
{
	struct broker *b = broker;
	struct mosaic_error err = ERR_INIT;
	json_t *body = json_read(req->body, &err);
	json_t *list = json_object_get(body, "groupConfigList"), *config;
	struct group *group;
	int rc = 0;
	size_t i;

	if (body && (!json_is_array(list) || json_array_size(list) > LIST_MAX))
		rc = err_set(&err, MOSAIC_E_INVAL,
			     "the body needs a groupConfigList of at most %d groups", LIST_MAX);
	json_array_foreach(list, i, config) {
		if (rc != 0)
			break;
		rc = groups_set(b->groups, config, &group, &err);
	}
	if (body && rc == 0)
		answer_when_saved(b, req, DOC_GROUPS);
	else
		reply_remark(&req->ticket, RES_SYSTEM_ERROR, "%s", err.text);
	json_decref(body);
}

void group_on_get_all(void *broker, struct request *req)
{
	struct broker *b = broker;
	struct buf body = BUF_INIT;
	struct json_writer w;

	jw_init(&w, &body);
	groups_write(b->groups, &w);
	reply_body(&req->ticket, RES_SUCCESS, buf_slice(&body));
	buf_free(&body);
}

void group_on_get(void *broker, struct request *req)
{
	struct broker *b = broker;
	const struct mosaic_slice *name = header_find(&req->header, "group");
	const struct group *group = name ? groups_find_or_add(b->groups, *name) : NULL;
	struct buf body = BUF_INIT;
	struct json_writer w;

	if (!name) {
		reply_missing(&req->ticket, "group");
		return;
	}
	if (!group) {
		reply_remark(&req->ticket, RES_SUBSCRIPTION_GROUP_NOT_EXIST,
			     "No group in this broker");
		return;
	}
	jw_init(&w, &body);
	group_write(group, &w);
	reply_body(&req->ticket, RES_SUCCESS, buf_slice(&body));
	buf_free(&body);
}

void group_on_delete(void *broker, struct request *req)
{
	struct broker *b = broker;
	const struct mosaic_slice *name = header_find(&req->header, "groupName");

	if (!name) {
		reply_missing(&req->ticket, "groupName");
		return;
	}
	groups_delete(b->groups, *name);
	/* Tools of 4.9 call it removeOffset. */
	if (header_bool(&req->header, "cleanOffset", false) ||
	    header_bool(&req->header, "removeOffset", false))
		offsets_delete_group(b->offsets, *name);
	answer_when_saved(b, req, DOC_GROUPS);
}

void group_on_forbidden(void *broker, struct request *req)
{
	struct broker *b = broker;
	const struct mosaic_slice *group = header_find(&req->header, "group");
	const struct mosaic_slice *topic = header_find(&req->header, "topic");
	struct buf body = BUF_INIT;
	struct json_writer w;

	if (!group || !topic) {
		reply_missing(&req->ticket, group ? "topic" : "group");
		return;
	}
	if (header_find(&req->header, "readable"))
		groups_set_forbidden(b->groups, *group, *topic,
				     !header_bool(&req->header, "readable", true));
	jw_init(&w, &body);
	jw_object(&w);
	jw_put_str(&w, "group", *group);
	jw_put_bool(&w, "readable", !groups_is_forbidden(b->groups, *group, *topic));
	jw_put_str(&w, "topic", *topic);
	jw_object_end(&w);
	reply_body(&req->ticket, RES_SUCCESS, buf_slice(&body));
	buf_free(&body);
}
