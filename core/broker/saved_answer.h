/*
 * Invariant 8 of this folder: an answer to a change of topics or groups leaves after the change is
 * on disk. For topics it also waits until the NameServers know (at most a second), as Apache's
 * broker does. Request handlers change the table and end with this. All [core].
 */
#ifndef BROKER_SAVED_ANSWER_H
#define BROKER_SAVED_ANSWER_H

#include "broker/docs.h"

/* Answers 0 when the document is saved, 1 with the reason when that fails. */
void answer_when_saved(struct broker *b, const struct request *req, enum doc_id id);

#endif
