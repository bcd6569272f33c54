#include "broker/saved_answer.h"
#include "base/err.h"
#include "base/mem.h"
#include "broker/registrar.h"
#include "wire/codes.h"
#include <stdlib.h>

struct saved_answer {
	struct broker *broker;
	struct ticket ticket;
	enum doc_id id;
	struct mosaic_req save;
	struct told_wait told;
	int32_t status;
};

static void told(struct mosaic_req *req)
{
	struct saved_answer *a = req->data;

	if (a->status == 0)
		reply_code(&a->ticket, RES_SUCCESS);
	else
		reply_remark(&a->ticket, RES_SYSTEM_ERROR,
			     "the change is in effect, but it is not on disk: %s (tried again each "
			     "%d s)", status_text(a->status), OFFSETS_SAVE_MS / 1000);
	ticket_drop(&a->ticket);
	free(a);
}

static void saved(struct mosaic_req *req)
{
	struct saved_answer *a = req->data;

	a->status = req->status;
	if (a->id == DOC_TOPICS)
		registrar_told(a->broker->registrar, &a->told);
	else
		told(&a->told.req);
}

void answer_when_saved(struct broker *b, const struct request *req, enum doc_id id)
{
	struct saved_answer *a = mem_alloc(sizeof(*a));

	a->broker = b;
	a->id = id;
	a->ticket = ticket_keep(&req->ticket);
	a->save.done = saved;
	a->save.data = a;
	a->told.req.done = told;
	a->told.req.data = a;
	docs_saved(b->docs, id, &a->save);
}
