/* Requests of operators that belong to no single table. All [core]. */
#ifndef BROKER_ADMIN_REQUESTS_H
#define BROKER_ADMIN_REQUESTS_H

#include "broker/broker.h"

/* config_requests.c */
struct config_notes;
void config_notes_destroy(struct config_notes *notes); /* NULL is fine */
void admin_on_update_config(void *broker, struct request *req); /* 25 */
void admin_on_get_config(void *broker, struct request *req);    /* 26 */

/* admin_requests.c */
void admin_on_runtime_info(void *broker, struct request *req);    /* 28 */
void admin_on_who_consumes(void *broker, struct request *req);    /* 300 */
void admin_on_topics_of_group(void *broker, struct request *req); /* 343 */
void admin_on_stats_item(void *broker, struct request *req);      /* 315 */
void admin_on_query_queue(void *broker, struct request *req);     /* 321 */
void admin_on_clean_queues(void *broker, struct request *req);    /* 306 */
void admin_on_delete_expired(void *broker, struct request *req);  /* 329 */

/* progress_requests.c: answers that read records first */
void admin_on_topic_stats(void *broker, struct request *req);   /* 202 */
void admin_on_consume_stats(void *broker, struct request *req); /* 208 */
void admin_on_reset_offset(void *broker, struct request *req);  /* 222 */

/* relay_requests.c */
void admin_on_consumer_running_info(void *broker, struct request *req); /* 307 */
void admin_on_consume_directly(void *broker, struct request *req);      /* 309 */

#endif
