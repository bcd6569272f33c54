package main

import (
	"regexp"
	"strings"
)

// meantDifference is one that Mosaic wants: the calls it is about and the lines it may consist of, both as patterns
// of the whole text, and why.
type meantDifference struct {
	calls, lines, why string
}

const (
	anything = `.*`
	region   = `mosaic \+ field (MSG_REGION|TRACE_ON) .*`
	remarks  = `(mosaic|apache) \+ remark .*`
	refused  = `mosaic \+ (code (1|17|26|29|206)|remark .*)` // here; there it is an answer of success
	accepted = `apache \+ (code 0|code 19|code 26|remark .*|field .*|body.*|record .*)`
)

var meant = []meantDifference{
	// Sending.
	{`send_fields: true batch|send_batch: batch (cut short.*|garbage|trailing bytes|too big together)`,
		`(mosaic|apache) \+ code 13?|` + remarks + `|` + region,
		"a batch that cannot be read is illegal (13), which no producer sends again, not an exception (1)"},
	{`send_bodies: body 0|send_batch: batch of none|send_properties: DELAY=(abc| 1)`, region, "every refused send says its region"},
	{`send_fields: sysFlag (128|192)|send_properties: properties INNER_NUM|send_batch: batch with DELAY outside`,
		`(mosaic|apache) \+ remark the message is illegal, .*`, "the remark says what is illegal"},
	{`send_fields: sysFlag 32`, `(mosaic|apache) \+ field msgId <(32|56) bytes>`, "the store's address is IPv4, whatever the producer says"},
	{`send_fields: record after sysFlag 32`, anything, "Apache loses a message whose sysFlag says that the store's address is IPv6"},
	{`send_fields: queue .*|send_retry: .* queue out of range|send_long_names: long names: queue 9|pull_refused: queue 4 of .*`,
		`(mosaic|apache) \+ remark request queueId\[.*`, "the topic is shown in words"},
	{`send_fields: (topic|record) after (without|empty) (queueId|sysFlag|flag)`, refused + `|` + accepted,
		"a send that fails for a missing field makes no topic"},
	{`send_topics: topic %RETRY%`, refused + `|` + accepted + `|` + region, "the group without a name is none"},
	{`send_topics: config of topic %RETRY%`, `(mosaic|apache) \+ body\.(read|write)QueueNums [14]`,
		"the topic stays that a producer's default made, as no group made it"},
	{`send_topics: config of topic %RETRY% illegal`, refused + `|` + accepted, "a group has a legal name"},
	{`send_properties: (timer .*|stored after timer properties)`, anything, "no timer messages yet"},
	{`send_properties: 600 properties`, anything, "at most 504 properties"},

	// Sending back, pulling.
	{`send_back: back (empty group|of an illegal group)`, refused + `|` + accepted, "a group has a legal name"},
	{`pull: pull (big, )?maxMsgBytes [0-9]+`, `(mosaic|apache) \+ (field nextBeginOffset .*|record .*)`,
		"Apache ignores maxMsgBytes; here the client's wish counts"},
	{`pull: pull maxMsgBytes 9999999999`, anything, "maxMsgBytes has 64 bits"},
	{`pull: pull requestSource=[1x]`, anything, "only for proxies"},
	{`pull: pull empty consumerGroup|pull_refused: (pull|config of) group ("" of 0|"a\.b" of 3)`, refused + `|` + accepted, "a group has a legal name"},

	// Offsets, locks.
	{`offsets: 1[45] (without|empty) consumerGroup`, refused + `|` + accepted, "a missing field is named"},
	{`offsets: 1[45] (after )?commit for queue (77|-1)`, `mosaic \+ (code 22|remark Not found.*)|apache \+ field offset 2|` + refused + `|` + accepted,
		"an offset is committed for a queue that is there"},
	{`locks: 4[12] body \{("clientId":"c"|"consumerGroup":"g")?\}`, refused + `|` + accepted, "a lock needs a group and a client"},
	{`locks: 4[12] body .*"mqSet":null\}`, anything, "no queues, no exception"},
	{`locks: (queue -1|41 body .*"mqSet":\[\{("topic":"t")?\}\]\})`, `(mosaic|apache) \+ body\.lockOKMQSet.*`, "a lock needs a queue"},
	{`locks: 41 body .*"onlyThisBroker":true\}`, `mosaic \+ body\.lockOKMQSet\[1\] .*`, "a queue is answered as often as it is named"},

	// Clients.
	{`heartbeat: (ids|consumers|producers|retry topic) after no clientID|heartbeat: (empty object|unregister without id)`, refused + `|` + accepted,
		"no id, no client"},
	{`heartbeat: no (consumer )?group name`, `mosaic \+ (code 0|field IS_SU.*)|apache \+ (code 1|remark <exception>)`, "a group without a name is left out, no exception"},
	{`heartbeat: consumers after (no where|unknown names)`, `mosaic \+ body\.(consumeFromWhere|consumeType|messageModel) .*`,
		"what a heartbeat leaves out has its default"},
	{`heartbeat: consumers after no expression type`, `(mosaic|apache) \+ body\.subscriptionTable\..*\.(codeSet|tagsSet).*`, "tags come from the expression"},
	{`heartbeat: (fingerprint without|no) subscriptions.*|members: a with fingerprint`, `(mosaic|apache) \+ field IS_SUB_CHANGE .*`,
		"a connection is asked for its subscriptions when they are not known, and only then"},
	{`heartbeat: retry topic after no subscriptions of an ordered topic|send_back: config of an ordered retry topic`, `(mosaic|apache) \+ body\.order .*`,
		"order changes when a heartbeat names topics, not by the way"},
	{`members: ids after two connections of one client`, `apache \+ body\.consumerIdList\[1\] .*`, "a client is listed once"},

	// Topics and groups.
	{`topics: (17|351 after) (read|write) queues -1`, refused + `|` + accepted, "numbers of queues are not negative"},
	{`topics: 17 attribute.*`, remarks, "the remark names the value"},
	{`topics: (17|351 after) attributes \+message\.type=FIFO=NORMAL`, refused + `|` + accepted, "FIFO=NORMAL is no message type"},
	{`topics: 18 .*T_l5.*`, `mosaic \+ code 0|apache \+ (code 1|remark Duplicate key .*)`, "the last of two of one name counts"},
	{`topics: 18 .*T_l6.*`, remarks, "Apache cuts a letter off the key"},
	{`groups: (200|225) .*"groupName":"(a\.b)?"\}|groups: 352 illegal`, refused + `|` + accepted, "a group has a legal name"},
	{`groups: (200|225|352 after) .*priority\.factor.*`, anything, "an attribute of groups that later versions of Apache's broker know"},
	{`groups: 352 after .*subscriptionDataSet.*`, `(mosaic|apache) \+ body\.subscriptionDataSet.*`, "a group's subscriptions are kept as they were written"},
	{`groups: 353 \[group\]`, refused + `|` + accepted, "a missing field is named"},
}

func whole(pattern string) *regexp.Regexp { return regexp.MustCompile(`(?s)^(` + pattern + `)$`) }

func (m *meantDifference) is(id string) bool { return whole(m.calls).MatchString(id) }

func (m *meantDifference) covers(found []string) bool {
	allowed := whole(m.lines)
	for _, line := range found {
		if !allowed.MatchString(strings.TrimSpace(line)) {
			return false
		}
	}
	return true
}
