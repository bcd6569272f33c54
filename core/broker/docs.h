/*
 * The broker's documents: config/topics.json, subscriptionGroup.json, consumerOffset.json,
 * delayOffset.json. Each is loaded at open and saved as a whole when dirty; one save of a document
 * is under way at most, a change meanwhile makes one more. All [core].
 */
#ifndef BROKER_DOCS_H
#define BROKER_DOCS_H

#include "broker/broker.h"

enum doc_id { DOC_TOPICS, DOC_GROUPS, DOC_OFFSETS, DOC_DELAY_OFFSETS, DOC_COUNT };

#define OFFSETS_SAVE_MS 5000 /* flushConsumerOffsetInterval */

struct docs;

struct docs *docs_create(struct broker *b);
void docs_destroy(struct docs *d);
/* Loads everything; a missing document is fine, one that is damaged and its backup too is an error
 * that names the file. */
struct docs_load_req {
	struct mosaic_req req;
	struct mosaic_error err;
};
int docs_load(struct docs *d, struct docs_load_req *req);
/* Topics and groups: save now. Offsets and delay offsets: at the next tick of 5 s. */
void docs_dirty(struct docs *d, enum doc_id id);
void docs_start(struct docs *d); /* the 5 s timer */
/* Saves what is dirty; done() when everything is on disk. */
int docs_flush(struct docs *d, struct mosaic_req *req);
/* Calls on_saved (once) when the save that covers the present state is on disk; for answers that
 * promise persistence (17, 200). done()->status tells. */
int docs_saved(struct docs *d, enum doc_id id, struct mosaic_req *req);

#endif
