#include "config/tables.h"

#define TOP(m) offsetof(struct config, m)
#define NS(m) offsetof(struct config_namesrv, m)
#define BR(m) offsetof(struct config_broker, m)
#define RE(m) offsetof(struct config_retention, m)
#define TABLE(a) { (a), ARRAY_LEN(a) }

static const struct mosaic_option top[] = {
	{ "roles", VALUE_LIST, 0, TOP(roles), NULL, NULL, NULL, "namesrv|broker",
	  "What this process is; both, or what the file has sections for" },
	{ "plugins", VALUE_OBJECT, 0, 0, NULL, NULL, NULL, NULL, "Where plugins are found" },
	{ "log", VALUE_OBJECT, 0, 0, NULL, NULL, NULL, NULL, "What is written to the log" },
	{ "namesrv", VALUE_OBJECT, 0, 0, NULL, NULL, NULL, NULL, "The NameServer" },
	{ "broker", VALUE_OBJECT, 0, 0, NULL, NULL, NULL, NULL, "The broker" },
	{ "brokers", VALUE_OBJECT, 0, 0, NULL, NULL, NULL, NULL,
	  "Several brokers in this process, each with a core thread and a log of its own" },
};

static const struct mosaic_option plugins[] = {
	{ "path", VALUE_LIST, 0, TOP(plugin_path), NULL, NULL, NULL, NULL,
	  "Folders that are searched in this order; else plugins beside the program and "
	  "../lib/mosaic/plugins" },
};

static const struct mosaic_option log_options[] = {
	{ "level", MOSAIC_T_CHOICE, 0, TOP(log_level), "info", NULL, NULL, "error|warn|info|debug",
	  "The least important lines that are written" },
};

static const struct mosaic_option namesrv[] = {
	{ "listen", MOSAIC_T_ADDRESS, 0, NS(listen), "0.0.0.0:9876", NULL, NULL, NULL,
	  "Address for brokers and clients" },
	{ "kvConfig", MOSAIC_T_STRING, 0, NS(kv_config), "mosaic-data/namesrv/kvConfig.json", NULL,
	  NULL, NULL, "File of the KV configuration, the NameServer's only state on disk" },
	{ "brokerExpiry", MOSAIC_T_DURATION, 0, NS(broker_expiry_ns), "120s", "1s", "24h", NULL,
	  "A broker that is silent for so long is forgotten" },
	{ "scanInterval", MOSAIC_T_DURATION, 0, NS(scan_ns), "5s", "100ms", "1h", NULL,
	  "How often silent brokers are looked for" },
	{ "maxTopics", MOSAIC_T_INT, 0, NS(max_topics), "500000", "1", "100000000", NULL,
	  "Topics of all brokers together" },
	{ "maxBrokers", MOSAIC_T_INT, 0, NS(max_brokers), "10000", "1", "1000000", NULL,
	  "Brokers that may register" },
	{ "transport", VALUE_OBJECT, 0, 0, NULL, NULL, NULL, NULL, "Plugin that carries frames" },
};

static const struct mosaic_option broker[] = {
	{ "cluster", MOSAIC_T_STRING, 0, BR(cluster), "DefaultCluster", NULL, NULL, NULL,
	  "Name of the cluster" },
	{ "name", MOSAIC_T_STRING, 0, BR(name), "broker-a", NULL, NULL, NULL,
	  "Name of the broker; master and slaves of one group share it" },
	{ "role", MOSAIC_T_CHOICE, 0, BR(is_slave), "master", NULL, NULL, "master|slave",
	  "Takes messages, or copies those of a master" },
	{ "id", MOSAIC_T_INT, 0, BR(id), "0", "0", "1000000", NULL,
	  "0 for the master, 1 and more for slaves" },
	{ "address", MOSAIC_T_STRING, 0, BR(address_option), NULL, NULL, NULL, NULL,
	  "IP address that clients dial, if they need another port \"ip:port\"; else the listening "
	  "address or this machine's first one" },
	{ "namesrv", VALUE_LIST, 0, BR(namesrv), NULL, NULL, NULL, NULL,
	  "NameServers to register with, [] for none; else the one of this process or "
	  "127.0.0.1:9876" },
	{ "maxMessage", MOSAIC_T_SIZE, 0, BR(max_message_bytes), "4MiB", "1KiB", "15MiB", NULL,
	  "Largest body of a message" },
	{ "autoCreateTopic", MOSAIC_T_BOOL, 0, BR(auto_create_topic), "true", NULL, NULL, NULL,
	  "A message to an unknown topic makes it" },
	{ "autoCreateGroup", MOSAIC_T_BOOL, 0, BR(auto_create_group), "true", NULL, NULL, NULL,
	  "A consumer of an unknown group makes it" },
	{ "topicQueues", MOSAIC_T_INT, 0, BR(topic_queues), "8", "1", "1024", NULL,
	  "Queues of a topic that a message made, when its producer does not ask for fewer "
	  "(defaultTopicQueueNums)" },
	{ "permission", MOSAIC_T_INT, 0, BR(permission), "6", "0", "7", NULL,
	  "4 read + 2 write, for the whole broker" },
	{ "index", MOSAIC_T_BOOL, 0, BR(index), "true", NULL, NULL, NULL,
	  "Messages are found by their keys (messageIndexEnable)" },
	{ "indexSlots", MOSAIC_T_INT, 0, BR(index_slots), "5000000", "1", "20000000", NULL,
	  "Hash slots of a file of the index, four bytes each in memory (maxHashSlotNum); with "
	  "other numbers than before its files are made again" },
	{ "indexEntries", MOSAIC_T_INT, 0, BR(index_entries), "20000000", "2", "100000000", NULL,
	  "Keys in a file of the index, twenty bytes each on disk (maxIndexNum)" },
	{ "maxTopics", MOSAIC_T_INT, 0, BR(max_topics), "200000", "1", "10000000", NULL, "Topics" },
	{ "maxGroups", MOSAIC_T_INT, 0, BR(max_groups), "200000", "1", "10000000", NULL,
	  "Consumer groups" },
	{ "maxHeldPulls", MOSAIC_T_INT, 0, BR(max_held_pulls), "100000", "1", "10000000", NULL,
	  "Consumers that may wait for messages at the same time" },
	{ "maxParkedSends", MOSAIC_T_INT, 0, BR(max_parked_sends), "10000", "1", "10000000", NULL,
	  "Messages that may wait for room in the log" },
	{ "maxParkedBytes", MOSAIC_T_SIZE, 0, BR(max_parked_bytes), "64MiB", "1MiB", "16GiB", NULL,
	  "Their bytes; also those of answers that wait" },
	{ "maxWaitingAcks", MOSAIC_T_INT, 0, BR(max_waiting_acks), "100000", "1", "10000000", NULL,
	  "Answers that may wait for the disk or for slaves; what comes then is refused as busy" },
	{ "transport", VALUE_OBJECT, 0, 0, NULL, NULL, NULL, NULL, "Plugin that carries frames" },
	{ "store", VALUE_OBJECT, 0, 0, NULL, NULL, NULL, NULL,
	  "Plugin that keeps the files; \"fallback\" in its section names another one, which takes "
	  "its place where it cannot be used" },
	{ "flush", VALUE_OBJECT, 0, 0, NULL, NULL, NULL, NULL,
	  "Plugin that decides when the log is synced" },
	{ "replication", VALUE_OBJECT, 0, 0, NULL, NULL, NULL, NULL,
	  "Plugin that copies the log to other nodes" },
	{ "balance", VALUE_OBJECT, 0, 0, NULL, NULL, NULL, NULL, "Plugin that selects queues" },
	{ "retention", VALUE_OBJECT, 0, 0, NULL, NULL, NULL, NULL,
	  "What of the log is deleted, and when" },
};

static const struct mosaic_option retention[] = {
	{ "time", MOSAIC_T_DURATION, 0, RE(time_ns), "72h", "0s", NULL, NULL,
	  "A segment that was last written so long ago is deleted, at the hours of \"at\" "
	  "(fileReservedTime); 0s: not for its age" },
	{ "at", MOSAIC_T_STRING, 0, RE(at), "04", NULL, NULL, NULL,
	  "Hours of the day, local time, as \"04\" or \"02;14\" (deleteWhen); \"*\": at any time" },
	{ "size", MOSAIC_T_SIZE, 0, RE(size_bytes), "0", NULL, NULL, NULL,
	  "When the commit log is larger, its oldest segments are deleted, however young; 0: no "
	  "limit" },
	{ "diskClean", MOSAIC_T_INT, 0, RE(disk_clean), "75", "0", "99", NULL,
	  "When the disk is fuller (percent), what is old enough is deleted at any hour "
	  "(diskMaxUsedSpaceRatio); 0: off" },
	{ "diskForce", MOSAIC_T_INT, 0, RE(disk_force), "85", "0", "99", NULL,
	  "When it is fuller than this, the oldest segments are deleted, however young "
	  "(diskSpaceCleanForciblyRatio); 0: off" },
	{ "diskStop", MOSAIC_T_INT, 0, RE(disk_stop), "90", "0", "99", NULL,
	  "When it is fuller than this, messages are refused too, until it is not "
	  "(diskSpaceWarningLevelRatio); 0: off" },
	{ "keepUnconsumed", MOSAIC_T_BOOL, 0, RE(keep_unconsumed), "false", NULL, NULL, NULL,
	  "A segment stays as long as a group that has committed offsets of a topic has not "
	  "consumed the topic's messages in it, whatever else says that it goes" },
	{ "interval", MOSAIC_T_DURATION, 0, RE(interval_ns), "10s", "100ms", "1h", NULL,
	  "How often is looked (cleanResourceInterval); first after six of them" },
	{ "pause", MOSAIC_T_DURATION, 0, RE(pause_ns), "100ms", "0ms", "1h", NULL,
	  "Between two segments (deleteCommitLogFilesInterval)" },
};

static const struct mosaic_option transport[] = {
	{ "listen", MOSAIC_T_ADDRESS, 0, BR(listen), "0.0.0.0:10911", NULL, NULL, NULL,
	  "Address for clients" },
};

const struct config_table config_top = TABLE(top);
const struct config_table config_plugins = TABLE(plugins);
const struct config_table config_log = TABLE(log_options);
const struct config_table config_namesrv_table = TABLE(namesrv);
const struct config_table config_broker_table = TABLE(broker);
const struct config_table config_transport = TABLE(transport);
const struct config_table config_retention_table = TABLE(retention);

/* The store comes before flush: whether a flush plugin is needed depends on it. */
const struct config_slot config_slots[] = {
	{ "transport", MOSAIC_TRANSPORT, BR(transport), false, "carries frames" },
	{ "store", MOSAIC_STORE, BR(store), false, "keeps the files" },
	{ "flush", MOSAIC_FLUSH, BR(flush), false, "decides when the log is synced" },
	{ "replication", MOSAIC_REPLICATION, BR(replication), true, "copies the log" },
	{ "balance", MOSAIC_BALANCE, BR(balance), false, "selects queues" },
};
const uint32_t config_n_slots = ARRAY_LEN(config_slots);
