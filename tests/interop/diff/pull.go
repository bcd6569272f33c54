package main

import (
	"fmt"
	"strings"
	"time"
)

func init() {
	scenarios = append(scenarios, scenario{"pull", pulls}, scenario{"pull_filter", pullFilters},
		scenario{"pull_held", pullHeld}, scenario{"pull_refused", pullRefused})
}

func (p *pair) pull(what, topic string, offset int64, pairs ...string) [2]answer {
	return p.do("pull "+what, request{code: 11, fields: p.pullFields(topic, 0, offset, pairs...)})
}

func (p *pair) createTopic(topic string, pairs ...string) {
	p.do("create "+topic[len(p.name):], request{code: 17, fields: changed(fields{"topic": topic, "defaultTopic": "TBW102",
		"readQueueNums": "4", "writeQueueNums": "4", "perm": "6", "topicFilterType": "SINGLE_TAG", "topicSysFlag": "0",
		"order": "false"}, pairs...)})
}

func (p *pair) fill(topic string, n int) {
	for i := 0; i < n; i++ {
		p.send("fill", topic, fmt.Sprint("body ", i), "i", fmt.Sprintf("%sTAGS\x01%c\x02", someKey, 'A'+i%3))
	}
}

func pulls(p *pair) {
	t := p.name
	p.createTopic(t)
	for _, offset := range []int64{0, 1, -1, 1 << 40, 1<<63 - 1, -1 << 63} {
		p.pull(fmt.Sprint("empty queue at ", offset), t, offset)
	}
	p.fill(t, 70)
	for _, offset := range []int64{0, 1, 69, 70, 71, 72, -1, 1 << 40, 1<<63 - 1, -1 << 63} {
		p.pull(fmt.Sprint("at ", offset), t, offset)
		p.do(fmt.Sprint("lite pull at ", offset), request{code: 361, fields: p.pullFields(t, 0, offset, "sysFlag", "20")})
	}
	for _, n := range []string{"0", "1", "2", "31", "32", "33", "1000", "-1", "2147483647", "-2147483648"} {
		p.pull("maxMsgNums "+n, t, 0, "maxMsgNums", n)
		p.pull("maxMsgNums "+n+" filtered", t, 0, "maxMsgNums", n, "subscription", "A")
		p.pull("maxMsgNums "+n+" near the end", t, 69, "maxMsgNums", n)
	}
	for _, n := range []string{"0", "1", "300", "1000", "-1", "abc", "2147483647", "9999999999"} {
		p.pull("maxMsgBytes "+n, t, 0, "maxMsgBytes", n)
	}
	for _, n := range []string{"0", "1", "4", "5", "8", "12", "16", "20", "-1", "2147483647"} {
		p.pull("sysFlag "+n, t, 3, "sysFlag", n)
		p.pull("sysFlag without subscription "+n, t, 3, "sysFlag", n, "subscription", absent)
	}
	for _, f := range []string{"consumerGroup", "topic", "queueId", "queueOffset", "maxMsgNums", "sysFlag", "commitOffset",
		"suspendTimeoutMillis", "subscription", "subVersion", "expressionType"} {
		p.pull("without "+f, t, 3, f, absent)
		p.pull("empty "+f, t, 3, f, "")
		p.pull("no number "+f, t, 3, f, "xyz")
	}
	for _, s := range []string{"requestSource=-1", "requestSource=0", "requestSource=1", "requestSource=2", "requestSource=x", "proxyFrowardClientId=c"} {
		kv := strings.Split(s, "=")
		p.pull(s, t, 3, kv[0], kv[1])
	}
	committed := func(what string) {
		p.do("committed after "+what, request{code: 14, fields: fields{"consumerGroup": "G" + p.name, "topic": t, "queueId": "0"}})
	}
	committed("nothing")
	p.pull("committing 9", t, 3, "sysFlag", "5", "commitOffset", "9")
	committed("9")
	p.pull("committing -1", t, 3, "sysFlag", "5", "commitOffset", "-1")
	committed("-1")
	p.pull("committing 5", t, 3, "sysFlag", "5", "commitOffset", "5")
	committed("5")
	p.pull("committing while refused", t, 3, "sysFlag", "5", "commitOffset", "7", "queueId", "77")
	committed("7")
	big := t + "_big"
	p.createTopic(big)
	for i := 0; i < 8; i++ {
		p.send("fill", big, strings.Repeat("b", 60000+i))
	}
	p.send("fill", big, strings.Repeat("b", 300000))
	for _, n := range []string{"100", "60000", "70000", "200000", "1000000"} {
		p.pull("big, maxMsgBytes "+n, big, 0, "maxMsgBytes", n)
	}
	p.pull("big", big, 0)
	p.pull("big, the biggest", big, 8)
	p.pull("big, at the biggest but one", big, 7)
}

func pullFilters(p *pair) {
	t := p.name
	p.createTopic(t)
	p.fill(t, 20)
	p.send("no tag", t, "x", "i", someKey)
	p.send("blank tag", t, "x", "i", someKey+"TAGS\x01 A \x02")
	p.send("unicode tag", t, "x", "i", someKey+"TAGS\x01ü\x02")
	for _, s := range []string{"*", "", "A", "B", "Z", "A||B", "A || B", " A ", "A||", "||A", "||", " || ", "||||", "A|B", "A||A", "* || A", " * ", "ü", "A||*",
		"a", strings.Repeat("x", 5000)} {
		for _, typ := range []string{"TAG", absent} {
			p.pull(fmt.Sprintf("%.40q as %s", s, typ), t, 0, "subscription", s, "expressionType", typ)
		}
	}
	p.pull("one that matches nothing, from the end", t, 22, "subscription", "Z")
	for _, typ := range []string{"SQL92", "sql92", "tag", "other"} {
		p.pull("type "+typ, t, 0, "subscription", "a > 1", "expressionType", typ)
		p.pull("type "+typ+" with a bad expression", t, 0, "subscription", "a >", "expressionType", typ)
		p.pull("type "+typ+" with nothing", t, 0, "subscription", "", "expressionType", typ)
	}
	// The group's own subscription.
	g := "G" + p.name
	own := func(what string, pairs ...string) {
		p.pull("by the group's subscription: "+what, t, 0, append([]string{"sysFlag", "0"}, pairs...)...)
	}
	own("no group", "consumerGroup", g+"_none")
	p.do("join", heartbeat("c", "", consumerData(g, pushMember, subscription(t, "A||C", 5))))
	own("version 0")
	own("version 5", "subVersion", "5")
	own("version 6", "subVersion", "6")
	own("version -1", "subVersion", "-1")
	own("other expression in the header", "subscription", "B", "subVersion", "5")
	own("queue 3", "queueId", "3", "subVersion", "5")
	p.createTopic(t + "_other")
	p.do("topic not subscribed", request{code: 11, fields: p.pullFields(t+"_other", 0, 0, "sysFlag", "0")})
	p.do("subscribe to separators", heartbeat("c", "", consumerData(g, pushMember, subscription(t, "||", 6))))
	own("separators")
	p.do("subscribe to SQL92", heartbeat("c", "", consumerData(g, pushMember, strings.Replace(subscription(t, "a>1", 7), "TAG", "SQL92", 1))))
	own("SQL92")
	p.do("subscribe broadcasting", heartbeat("c", "", consumerData(g, strings.Replace(pushMember, "CLUSTERING", "BROADCASTING", 1), subscription(t, "*", 8))))
	own("broadcasting")
	p.do("no broadcasting", groupRequest(g, `"consumeBroadcastEnable":false`))
	own("broadcasting refused")
	p.do("forbid", request{code: 353, fields: fields{"group": g, "topic": t, "readable": "false"}})
	own("forbidden")
	p.do("allow", request{code: 353, fields: fields{"group": g, "topic": t, "readable": "true"}})
	p.do("disable", groupRequest(g, `"consumeEnable":false`))
	own("disabled")
	p.pull("disabled", t, 0)
}

func groupRequest(name, more string) request {
	return request{code: 200, body: []byte(fmt.Sprintf(`{"groupName":%q,%s}`, name, more))}
}

func pullHeld(p *pair) {
	t := p.name
	p.createTopic(t)
	held := func(what string, pairs ...string) {
		began := [2]time.Duration{}
		q := p.pullFields(t, 0, 0, append([]string{"sysFlag", "6", "suspendTimeoutMillis", "200"}, pairs...)...)
		var got [2]answer
		for side := range p.links {
			start := time.Now()
			got[side] = p.links[side].call(request{code: 11, fields: q}, 12*time.Second)
			began[side] = time.Since(start)
		}
		p.report("held "+what, differences(got[0], got[1]), got)
	}
	held("on an empty queue")
	held("on an empty queue at 5", "queueOffset", "5")
	held("not long", "suspendTimeoutMillis", "1")
	held("no time", "suspendTimeoutMillis", "0")
	held("negative time", "suspendTimeoutMillis", "-5")
	held("committing", "sysFlag", "7", "commitOffset", "3")
	p.do("committed", request{code: 14, fields: fields{"consumerGroup": "G" + p.name, "topic": t, "queueId": "0"}})
	// A message that arrives wakes the pull.
	for _, tag := range []string{"A", "B"} {
		q := request{code: 11, fields: p.pullFields(t, 0, 0, "sysFlag", "6", "suspendTimeoutMillis", "5000", "subscription", "B")}
		if tag == "B" {
			q.fields["queueOffset"] = "1"
		}
		links := p.connect()
		for side := range links {
			links[side].send(q)
		}
		time.Sleep(50 * time.Millisecond)
		p.send("tag "+tag, t, "x", "i", someKey+"TAGS\x01"+tag+"\x02")
		var got [2]answer
		for side := range links {
			_, got[side], _ = links[side].read(500 * time.Millisecond)
			links[side].conn.Close()
		}
		p.report("held for B, woken by "+tag, differences(got[0], got[1]), got)
	}
}

func pullRefused(p *pair) {
	t := p.name
	p.pull("unknown topic", t+"_none", 0)
	p.createTopic(t)
	for _, q := range []string{"-1", "4", "2147483647", "-2147483648"} {
		p.pull("queue "+q, t, 0, "queueId", q)
	}
	for _, g := range []string{"", " ", "a.b", "a b", strings.Repeat("g", 120), strings.Repeat("g", 121), strings.Repeat("g", 255), strings.Repeat("g", 300), "%x", "ü"} {
		p.pull(fmt.Sprintf("group %.20q of %d", g, len(g)), t, 0, "consumerGroup", g)
		p.do(fmt.Sprintf("config of group %.20q of %d", g, len(g)), request{code: 352, fields: fields{"group": g}})
	}
	for _, perm := range []string{"2", "4", "6", "0", "7"} {
		p.createTopic(t+"_perm"+perm, "perm", perm)
		p.send("perm "+perm, t+"_perm"+perm, "x")
		p.pull("perm "+perm, t+"_perm"+perm, 0)
	}
	p.createTopic(t+"_r1w4", "readQueueNums", "1", "writeQueueNums", "4")
	p.createTopic(t+"_r4w1", "readQueueNums", "4", "writeQueueNums", "1")
	for _, q := range []string{"0", "1", "3", "4"} {
		for _, s := range []string{"_r1w4", "_r4w1"} {
			p.send("queue "+q+" of "+s, t+s, "x", "e", q)
			p.pull("queue "+q+" of "+s, t+s, 0, "queueId", q)
		}
	}
	p.pull("system topic", "SCHEDULE_TOPIC_XXXX", 0)
	p.pull("TBW102", "TBW102", 0)
}
