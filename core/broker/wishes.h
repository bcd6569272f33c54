/*
 * What the broker wants of the log's queues before something is deleted (log/retention.h): how long
 * their topics keep messages, and how far all groups have consumed. [core]
 */
#ifndef BROKER_WISHES_H
#define BROKER_WISHES_H

/* Sets the wishes of all queues; retention_config.look with the struct broker. */
void wishes_look(void *broker);

#endif
