package main

import (
	"regexp"
	"strings"
)

// meantDifference is one that Mosaic wants: the calls it is about, the lines it may consist of, why.
type meantDifference struct {
	calls, lines, why string
}

var meant = []meantDifference{
	{`true batch|send_batch: batch `, `code 1[3]?$|remark|MSG_REGION|TRACE_ON`,
		"a batch that cannot be read is illegal (13), which no producer sends again, not an exception (1)"},
	{`sysFlag (32|128|192)|INNER_NUM`, `.*`, "Apache loses a message whose sysFlag says that the store's address is IPv6"},
	{`is illegal|queue`, `remark request queueId\[`, "the topic is shown in words"},
	{`topic after|record after|config of topic %RETRY%$|topic %RETRY%$`, `.*`,
		"a send that fails for a missing field makes no topic; the group without a name is none"},
	{`send_properties: (.*timer|600|DELAY|stored)`, `.*`, "no timer messages yet; at most 504 properties"},
	{`DELAY`, `field queueOffset`, "the offset in the schedule topic is the broker's own"},
	{`pull: .*maxMsgBytes`, `.*`, "Apache ignores maxMsgBytes; here the client's wish counts"},
	{`pull: pull requestSource`, `.*`, "only for proxies"},
	{`^locks: `, `.*`, "a lock needs a group, a client and a queue; each queue is listed once"},
	{`^heartbeat: |^members: `, `.*consume(FromWhere|Type)|.*messageModel|.*clientId|.*consumerIdList|code|remark|field IS_SU.*`,
		"what a heartbeat leaves out has its default; a client is listed once; a new connection is asked for its subscriptions"},
	{`^heartbeat: .* after no (clientID|expression type)`, `.*`, "no id, no client; tags come from the expression"},
	{`empty (group|consumerGroup)|group "" of 0|illegal|"a\.b"|groupName":""`, `.*`, "a group has a legal name"},
	{`without (consumerGroup|topic|defaultTopic|clientID)|without id|353 \[group\]|queue -1`, `.*`, "a missing field is named"},
	{`^topics: .*(queues -1|=NORMAL|T_l5|T_l6)`, `.*`, "numbers of queues are not negative; the remark names the value"},
	{`^topics: .*(attributes|attribute changed|215)`, `(mosaic|apache) \+ remark`, "the remark names the value"},
	{`^groups: .*(priority|subscriptionDataSet)`, `.*`, "unknown members of a group's configuration are kept"},
	{`send_bodies: body 0|batch of none`, `MSG_REGION|TRACE_ON`, "every refused send says its region"},
}

func (m *meantDifference) is(id string) bool { return regexp.MustCompile(m.calls).MatchString(id) }

func (m *meantDifference) covers(found []string) bool {
	allowed := regexp.MustCompile(m.lines)
	for _, line := range found {
		if !allowed.MatchString(strings.TrimSpace(line)) {
			return false
		}
	}
	return true
}
