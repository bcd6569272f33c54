#include "broker/control_rows.h"
#include "broker/admin_requests.h"
#include "broker/clients.h"
#include "broker/groups.h"
#include "broker/locks.h"
#include "broker/offsets.h"
#include "broker/query_requests.h"
#include "broker/topics.h"
#include "wire/codes.h"

const struct request_row control_rows[] = {
	{ REQ_QUERY_CONSUMER_OFFSET, offset_on_query },
	{ REQ_UPDATE_CONSUMER_OFFSET, offset_on_update },
	{ REQ_SEARCH_OFFSET_BY_TIMESTAMP, offset_on_search },
	{ REQ_GET_MAX_OFFSET, offset_on_max },
	{ REQ_GET_MIN_OFFSET, offset_on_min },
	{ REQ_GET_EARLIEST_MSG_STORETIME, offset_on_earliest },
	{ REQ_GET_ALL_CONSUMER_OFFSET, offset_on_get_all },

	{ REQ_QUERY_MESSAGE, query_on_key },
	{ REQ_VIEW_MESSAGE_BY_ID, query_on_offset },

	{ REQ_HEART_BEAT, client_on_heartbeat },
	{ REQ_UNREGISTER_CLIENT, client_on_unregister },
	{ REQ_GET_CONSUMER_LIST_BY_GROUP, client_on_consumer_list },
	{ REQ_CHECK_CLIENT_CONFIG, client_on_check_config },
	{ REQ_GET_CONSUMER_CONNECTION_LIST, client_on_consumer_conns },
	{ REQ_GET_PRODUCER_CONNECTION_LIST, client_on_producer_conns },
	{ REQ_GET_ALL_PRODUCER_INFO, client_on_all_producers },
	{ REQ_QUERY_SUBSCRIPTION_BY_CONSUMER, client_on_subscription },
	{ REQ_LOCK_BATCH_MQ, lock_on_lock },
	{ REQ_UNLOCK_BATCH_MQ, lock_on_unlock },

	{ REQ_UPDATE_AND_CREATE_TOPIC, topic_on_update },
	{ REQ_UPDATE_AND_CREATE_TOPIC_LIST, topic_on_update_list },
	{ REQ_GET_ALL_TOPIC_CONFIG, topic_on_get_all },
	{ REQ_DELETE_TOPIC_IN_BROKER, topic_on_delete },
	{ REQ_GET_TOPIC_CONFIG, topic_on_get },
	{ REQ_GET_SYSTEM_TOPIC_LIST_FROM_BROKER, topic_on_system_list },

	{ REQ_UPDATE_AND_CREATE_SUBSCRIPTIONGROUP, group_on_update },
	{ REQ_UPDATE_AND_CREATE_SUBSCRIPTIONGROUP_LIST, group_on_update_list },
	{ REQ_GET_ALL_SUBSCRIPTIONGROUP_CONFIG, group_on_get_all },
	{ REQ_GET_SUBSCRIPTIONGROUP_CONFIG, group_on_get },
	{ REQ_DELETE_SUBSCRIPTIONGROUP, group_on_delete },
	{ REQ_UPDATE_AND_GET_GROUP_FORBIDDEN, group_on_forbidden },

	{ REQ_UPDATE_BROKER_CONFIG, admin_on_update_config },
	{ REQ_GET_BROKER_CONFIG, admin_on_get_config },
	{ REQ_GET_BROKER_RUNTIME_INFO, admin_on_runtime_info },
	{ REQ_GET_TOPIC_STATS_INFO, admin_on_topic_stats },
	{ REQ_GET_CONSUME_STATS, admin_on_consume_stats },
	{ REQ_QUERY_TOPIC_CONSUME_BY_WHO, admin_on_who_consumes },
	{ REQ_QUERY_TOPICS_BY_CONSUMER, admin_on_topics_of_group },
	{ REQ_INVOKE_BROKER_TO_RESET_OFFSET, admin_on_reset_offset },
	{ REQ_VIEW_BROKER_STATS_DATA, admin_on_stats_item },
	{ REQ_QUERY_CONSUME_QUEUE, admin_on_query_queue },
	{ REQ_CLEAN_EXPIRED_CONSUMEQUEUE, admin_on_clean_queues },
	{ REQ_DELETE_EXPIRED_COMMITLOG, admin_on_delete_expired },
	{ REQ_GET_CONSUMER_RUNNING_INFO, admin_on_consumer_running_info },
	{ REQ_CONSUME_MESSAGE_DIRECTLY, admin_on_consume_directly },
};
const uint32_t control_n_rows = ARRAY_LEN(control_rows);
