package main

import (
	"encoding/binary"
	"fmt"
	"strings"
)

const absent = "\x00absent"

func init() {
	scenarios = append(scenarios,
		scenario{"send_fields", sendFields}, scenario{"send_topics", sendTopics},
		scenario{"send_properties", sendProperties}, scenario{"send_bodies", sendBodies},
		scenario{"send_retry", sendRetry}, scenario{"send_batch", sendBatch},
		scenario{"send_long_names", sendLongNames}, scenario{"send_oneway", sendOneway})
}

var longNames = map[string]string{"a": "producerGroup", "b": "topic", "c": "defaultTopic",
	"d": "defaultTopicQueueNums", "e": "queueId", "f": "sysFlag", "g": "bornTimestamp", "h": "flag",
	"i": "properties", "j": "reconsumeTimes", "k": "unitMode", "l": "maxReconsumeTimes", "m": "batch", "n": "bname"}

const someKey = "UNIQ_KEY\x017F000001000000000000000000000001\x02"

// changed is a copy of f with pairs set; a value of absent takes the field away.
func changed(f fields, pairs ...string) fields {
	out := fields{}
	for k, v := range f {
		out[k] = v
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] == absent {
			delete(out, pairs[i])
		} else {
			out[pairs[i]] = pairs[i+1]
		}
	}
	return out
}

func (p *pair) sendFields(topic string, pairs ...string) fields {
	return changed(fields{"a": "P", "b": topic, "c": "TBW102", "d": "4", "e": "0", "f": "0", "g": "1700000000123",
		"h": "0", "i": someKey + "TAGS\x01A\x02", "j": "0", "k": "false", "m": "false", "n": "diff"}, pairs...)
}

func (p *pair) send(what, topic, body string, pairs ...string) [2]answer {
	return p.do(what, request{code: 310, fields: p.sendFields(topic, pairs...), body: []byte(body)})
}

func (p *pair) pullFields(topic string, queue int, offset int64, pairs ...string) fields {
	return changed(fields{"consumerGroup": "G" + p.name, "topic": topic, "queueId": fmt.Sprint(queue),
		"queueOffset": fmt.Sprint(offset), "maxMsgNums": "32", "sysFlag": "4", "commitOffset": "0",
		"suspendTimeoutMillis": "0", "subscription": "*", "subVersion": "0", "expressionType": "TAG"}, pairs...)
}

// stored compares what lies in a queue.
func (p *pair) stored(what, topic string, queue int) [2]answer {
	var got [2]answer
	for offset := int64(0); ; {
		got = p.do("stored after "+what, request{code: 11, fields: p.pullFields(topic, queue, offset)})
		list := decodeRecords(got[0].body)
		if len(list) == 0 || len(decodeRecords(got[1].body)) != len(list) {
			return got
		}
		offset = list[len(list)-1].queueOffset + 1
	}
}

func sendFields(p *pair) {
	// Each send has a topic of its own: an answer must not depend on whether the one before was taken.
	var topics []string
	send := func(what string, pairs ...string) {
		topic := fmt.Sprint(p.name, len(topics))
		topics = append(topics, what)
		p.send(what, topic, "x", pairs...)
	}
	known := func(what string, pairs ...string) { p.send("known topic, "+what, p.name+"_known", "x", pairs...) }
	known("plain")
	send("plain")
	for _, f := range strings.Split("a b c d e f g h i j k l m n", " ") {
		long := longNames[f]
		if f == "b" {
			p.send("without topic", "", "x", f, absent)
			continue
		}
		send("without "+long, f, absent)
		send("empty "+long, f, "")
		send("no number "+long, f, "abc")
		send("blank before "+long, f, " 1")
		send("plus sign "+long, f, "+1")
		send("true "+long, f, "TRUE")
		send("FALSE "+long, f, "FALSE")
	}
	p.do("no fields", request{code: 310, fields: fields{}, body: []byte("x")})
	p.do("extFields absent", request{code: 310, body: []byte("x")})
	for _, v := range []string{"3", "4", "2147483647", "2147483648", "-1", "-77", "-2147483648"} {
		send("queue "+v+" of one", "e", v, "d", "1")
	}
	send("queue 3", "e", "3")
	send("queue 4", "e", "4")
	for _, v := range []string{"0", "-1", "1", "100", "2147483647", "2147483648"} {
		send("queue count "+v, "d", v)
		send("queue 7 of "+v, "d", v, "e", "7")
	}
	for _, v := range []string{"1", "2", "3", "8", "12", "32", "64", "128", "192", "256", "512", "768", "1024"} {
		send("sysFlag "+v, "f", v)
	}
	for _, v := range []string{"-1", "2147483647", "-2147483648", "2147483648", "-9223372036854775808", "9223372036854775808"} {
		send("flag "+v, "h", v)
		send("born "+v, "g", v)
		send("reconsume times "+v, "j", v)
	}
	send("reconsumed 5 of 3", "j", "5", "l", "3")
	for i, what := range topics {
		topic := fmt.Sprint(p.name, i)
		p.do("topic after "+what, request{code: 351, fields: fields{"topic": topic}})
		p.do("record after "+what, request{code: 11, fields: p.pullFields(topic, 0, 0)})
	}
}

func sendTopics(p *pair) {
	pad := func(n int) string { return p.name + strings.Repeat("t", n-len(p.name)) }
	for name, topic := range map[string]string{
		"TBW102": "TBW102", "SCHEDULE_TOPIC_XXXX": "SCHEDULE_TOPIC_XXXX",
		"half": "RMQ_SYS_TRANS_HALF_TOPIC", "op half": "RMQ_SYS_TRANS_OP_HALF_TOPIC",
		"check max": "TRANS_CHECK_MAX_TIME_TOPIC", "SELF_TEST_TOPIC": "SELF_TEST_TOPIC",
		"OFFSET_MOVED_EVENT": "OFFSET_MOVED_EVENT", "trace": "RMQ_SYS_TRACE_TOPIC",
		"cluster": "DefaultCluster", "broker": "diff", "BenchmarkTest": "BenchmarkTest",
		"reply": "DefaultCluster_REPLY_TOPIC", "wheel timer": "rmq_sys_wheel_timer",
		"revive": "rmq_sys_REVIVE_LOG_DefaultCluster", "unknown rmq_sys_": "rmq_sys_" + p.name,
		"blank": " ", "dot": "a.b", "slash": "a/b", "space inside": "a b", "unicode": "täglich", "percent": p.name + "%a",
		"bar": p.name + "|a", "minus": p.name + "-a", "127 bytes": pad(127), "128 bytes": pad(128), "255 bytes": pad(255),
		"256 bytes": pad(256), "%RETRY%": "%RETRY%", "%DLQ%": "%DLQ%", "%DLQ% of a group": "%DLQ%" + p.name,
		"%RETRY% of 120": "%RETRY%" + pad(120), "%RETRY% of 121": "%RETRY%" + pad(121), "%RETRY% of 249": "%RETRY%" + pad(249),
		"%RETRY% illegal": "%RETRY%a.b", "%LMQ%": "%LMQ%" + p.name,
	} {
		p.send("topic "+name, topic, "x")
		p.do("config of topic "+name, request{code: 351, fields: fields{"topic": topic}})
	}
	for _, c := range []string{"nope", "", "BenchmarkTest", "diff", "SELF_TEST_TOPIC", p.name + "-a", "%RETRY%x"} {
		p.send("default topic "+c, p.name+"_"+fmt.Sprint(len(c)), "x", "c", c)
		p.do("config after default topic "+c, request{code: 351, fields: fields{"topic": p.name + "_" + fmt.Sprint(len(c))}})
	}
	p.send("default topic is the target", p.name+"_self", "x", "c", p.name+"_self")
}

var oddProperties = []struct{ name, text string }{
	{"none", ""}, {"no end", "TAGS\x01A"}, {"empty value", "a\x01\x02b\x01c\x02"}, {"empty name", "\x01v\x02b\x01c\x02"},
	{"three bytes", "a\x01b"}, {"two bytes", "a\x01\x02b"}, {"duplicate", "a\x01one\x02b\x012\x02a\x01two\x02"},
	{"duplicate key", someKey + "UNIQ_KEY\x017F000001000000000000000000000002\x02"},
	{"two separators", "a\x01b\x01c\x02"}, {"only ends", "\x02\x02\x02"}, {"garbage", "garbage\x02a\x01b\x02"},
	{"unicode", "schlüssel\x01wért\x02emoji\x01😀\x02日本\x01語\x02"}, {"control", "a\x01\t\n\x7f\"\\\x02"},
	{"blank values", "a\x01 \x02 b \x01 c \x02"}, {"KEYS", "KEYS\x01k1 k2  k3\x02TAGS\x01B\x02"},
	{"broker's own", "MSG_REGION\x01mine\x02TRACE_ON\x01false\x02CLUSTER\x01other\x02"},
	{"POP_CK", "POP_CK\x010 1 2 3\x02a\x01b\x02"}, {"WAIT=false", "WAIT\x01false\x02"}, {"WAIT=FALSE", "WAIT\x01FALSE\x02"},
	{"WAIT=true", "WAIT\x01true\x02"}, {"WAIT=x", "WAIT\x01x\x02TAGS\x01A\x02"}, {"short key", "UNIQ_KEY\x01short\x02"},
	{"long key", "UNIQ_KEY\x01" + strings.Repeat("k", 300) + "\x02"}, {"empty key", "UNIQ_KEY\x01\x02a\x01b\x02"},
	{"TAGS blank", "TAGS\x01 A \x02"}, {"RECONSUME_TIME", "RECONSUME_TIME\x017\x02MAX_RECONSUME_TIMES\x013\x02"},
	{"MSG_TYPE", "MSG_TYPE\x01reply\x02"}, {"MIN_OFFSET", "MIN_OFFSET\x011\x02MAX_OFFSET\x012\x02"},
	{"INNER_NUM", "INNER_NUM\x012\x02INNER_BASE\x010\x02"}, {"REAL_TOPIC", "REAL_TOPIC\x01zz\x02REAL_QID\x019\x02"},
	{"RETRY_TOPIC", "RETRY_TOPIC\x01zz\x02ORIGIN_MESSAGE_ID\x01o\x02"}, {"sharding", "__SHARDINGKEY\x01k\x02"},
	{"TRAN_MSG=false", "TRAN_MSG\x01false\x02"}, {"PGROUP", "PGROUP\x01g\x02"}, {"crc", "__CRC32#\x0112345678\x02"},
	{"BORN_TIMESTAMP", "BORN_TIMESTAMP\x015\x02__BORNHOST\x011.2.3.4\x02"}, {"TIMER_DEL", "TIMER_DEL_UNIQKEY\x01T+k\x02"},
	{"INSTANCE_ID", "INSTANCE_ID\x01i\x02BUYER_ID\x01b\x02TRANSFER_FLAG\x01t\x02CORRECTION_FLAG\x01c\x02MQ2_FLAG\x01m\x02"},
	{"INNER_MULTI_DISPATCH", "INNER_MULTI_DISPATCH\x01q1,q2\x02"}, {"DUP_INFO", "DUP_INFO\x01x\x02EXTEND_UNIQ_INFO\x01y\x02"},
}

func manyProperties(n int) string {
	var b strings.Builder
	for i := 0; i < n; i++ {
		fmt.Fprintf(&b, "key%d\x01value%d\x02", i*7919%1000, i)
	}
	return b.String()
}

func sendProperties(p *pair) {
	for i, o := range oddProperties {
		p.send("properties "+o.name, fmt.Sprint(p.name, i), "x", "i", o.text)
	}
	for i, o := range oddProperties {
		p.do("record with properties "+o.name, request{code: 11, fields: p.pullFields(fmt.Sprint(p.name, i), 0, 0)})
	}
	many := p.name + "_many"
	for _, n := range []int{10, 60, 95, 96, 100, 130, 200, 300, 400} {
		p.send(fmt.Sprint(n, " properties"), many, "x", "i", manyProperties(n))
	}
	p.stored("many properties", many, 0)
	p.send("600 properties", many, "x", "i", manyProperties(600))
	// What the broker adds: MSG_REGION, TRACE_ON, CLUSTER.
	added := len("MSG_REGION\x01DefaultRegion\x02TRACE_ON\x01true\x02CLUSTER\x01DefaultCluster\x02")
	long := p.name + "_long"
	for _, extra := range []int{-1, 0, 1, 2, 1000} {
		n := 32767 - added - len(someKey) - len("k\x01\x02") + extra
		p.send(fmt.Sprintf("32767%+d bytes of properties", extra), long, "x", "i", someKey+"k\x01"+strings.Repeat("v", n)+"\x02")
	}
	p.send("40000 bytes of properties", long, "x", "i", someKey+"k\x01"+strings.Repeat("v", 40000)+"\x02")
	p.stored("long properties", long, 0)

	delay := p.name + "_delay"
	for _, v := range []string{"0", "-1", "-2147483648", "18", "19", "100", "2147483647"} {
		p.send("DELAY="+v, delay, "x", "i", someKey+"DELAY\x01"+v+"\x02")
	}
	p.send("DELAY=abc", delay, "x", "i", someKey+"DELAY\x01abc\x02")
	p.send("DELAY= 1", delay, "x", "i", someKey+"DELAY\x01 1\x02")
	p.send("DELAY=17 in queue 2", delay, "x", "e", "2", "i", someKey+"DELAY\x0117\x02TAGS\x01T\x02")
	p.stored("DELAY", delay, 0)
	for _, v := range []string{"TIMER_DELAY_SEC\x01abc\x02", "TIMER_DELIVER_MS\x011\x02", "TIMER_DELAY_MS\x010\x02"} {
		p.send("timer "+v, delay, "x", "i", someKey+v)
	}
	p.stored("timer properties", delay, 0)
}

func sendBodies(p *pair) {
	p.send("body 0", p.name, "")
	p.send("body 1", p.name, "1")
	p.send("body 4 MiB", p.name, strings.Repeat("b", 4<<20))
	p.send("body 4 MiB + 1", p.name, strings.Repeat("b", 4<<20+1))
	p.send("body 5 MiB", p.name, strings.Repeat("b", 5<<20))
	p.send("body 4 MiB - 1", p.name, strings.Repeat("b", 4<<20-1))
	p.send("body binary", p.name, "\x00\xff\x80")
	p.stored("bodies", p.name, 0)
}

func sendRetry(p *pair) {
	group := p.name
	retry, dlq := "%RETRY%"+group, "%DLQ%"+group
	p.send("to %RETRY%", retry, "x")
	p.send("to %RETRY% queue 1", retry, "x", "e", "1")
	p.send("reconsumed 16", retry, "x", "j", "16")
	p.send("reconsumed 17", retry, "x", "j", "17")
	p.send("reconsumed 3 of 3", retry, "x", "j", "3", "l", "3")
	p.send("reconsumed 4 of 3", retry, "x", "j", "4", "l", "3")
	p.send("reconsumed 1 of 0", retry, "x", "j", "1", "l", "0")
	p.send("reconsumed 4 of -1", retry, "x", "j", "4", "l", "-1")
	p.send("reconsumed 0 of -1", retry, "x", "j", "0", "l", "-1")
	p.send("reconsumed absent of 3", retry, "x", "j", absent, "l", "3")
	p.do("reconsumed 4 of 3, old client", request{code: 310, version: 120, body: []byte("x"),
		fields: p.sendFields(retry, "j", "4", "l", "3")})
	p.send("reconsumed 17 with DELAY", retry, "x", "j", "17", "i", someKey+"DELAY\x013\x02")
	p.send("reconsumed 17 with a queue out of range", retry, "x", "j", "17", "e", "5")
	p.send("DELAY 18", retry, "x", "j", "1", "i", someKey+"DELAY\x0118\x02")
	p.stored("retry", retry, 0)
	p.stored("dead", dlq, 0)
	p.do("config of %RETRY%", request{code: 351, fields: fields{"topic": retry}})
	p.do("config of %DLQ%", request{code: 351, fields: fields{"topic": dlq}})
	p.do("lock", lockRequest(41, group, "c1", "T", 0))
	p.send("to %RETRY% while locked", retry, "x")
	p.do("unlock", lockRequest(42, group, "c1", "T", 0))
	p.send("to %RETRY% when unlocked", retry, "x")
	p.stored("dead by lock", dlq, 0)
}

func batchItem(flag int32, body, properties string) []byte {
	put := binary.BigEndian
	b := put.AppendUint32(nil, uint32(4+4+4+4+4+len(body)+2+len(properties)))
	b = put.AppendUint32(b, 0)
	b = put.AppendUint32(b, 0)
	b = put.AppendUint32(b, uint32(flag))
	b = append(put.AppendUint32(b, uint32(len(body))), body...)
	return append(put.AppendUint16(b, uint16(len(properties))), properties...)
}

func sendBatch(p *pair) {
	batch := func(what, topic string, body []byte, pairs ...string) {
		p.do("batch "+what, request{code: 320, body: body,
			fields: p.sendFields(topic, append([]string{"m", "true", "i", ""}, pairs...)...)})
	}
	join := func(list ...[]byte) (all []byte) {
		for _, b := range list {
			all = append(all, b...)
		}
		return all
	}
	one := batchItem(1, "one", "UNIQ_KEY\x017F000001000000000000000000000011\x02TAGS\x01A\x02")
	two := batchItem(2, "two", "")
	three := batchItem(-3, "three", "a\x01b")
	t := p.name
	batch("of none", t, nil)
	batch("of one", t, one)
	batch("of one without properties", t, two)
	batch("of three", t, join(one, two, three))
	batch("with properties of its own", t, join(one, two, three), "i", "WAIT\x01true\x02x\x01y")
	batch("with a key of its own", t, join(one, two, three), "i", someKey)
	batch("with a key of its own, listed", t, join(one, two), "i", "UNIQ_KEY\x01a,b\x02")
	batch("with an empty body", t, join(one, batchItem(0, "", ""), two))
	batch("with TAGS outside", t, join(one, two), "i", "TAGS\x01Z\x02")
	batch("with DELAY outside", t, join(one, two), "i", "DELAY\x0118\x02")
	batch("with DELAY inside", t, batchItem(0, "x", "DELAY\x0118\x02"))
	batch("in queue -1", t+"_q", one, "d", "1", "e", "-1")
	batch("with sysFlag 1", t, one, "f", "1")
	batch("reconsumed", t, one, "j", "3")
	batch("on %RETRY%", "%RETRY%"+t, one)
	batch("m absent", t, join(one, two), "m", absent, "i", someKey)
	batch("m false", t, join(one, two), "m", "false", "i", someKey)
	batch("m TRUE", t, join(one, two), "m", "TRUE")
	batch("WAIT=false", t, join(one, two), "i", "WAIT\x01false\x02")
	p.do("batch as 310", request{code: 310, body: join(one, two), fields: p.sendFields(t, "m", "true", "i", "")})
	var many []byte
	for i := 0; i < 100; i++ {
		many = append(many, batchItem(int32(i), fmt.Sprint("body ", i), fmt.Sprintf("n\x01%d\x02", i))...)
	}
	batch("of a hundred", t, many)
	p.stored("batches", t, 0)
	p.stored("batch in queue -1", t+"_q", 0)

	lie := t + "_lie"
	size := func(b []byte, n uint32) []byte {
		c := append([]byte(nil), b...)
		binary.BigEndian.PutUint32(c, n)
		return c
	}
	batch("cut short", lie, one[:len(one)-1])
	batch("cut short in the second", lie, join(one, two[:len(two)-1]))
	batch("first size 0", lie, size(one, 0))
	batch("first size 1", lie, size(one, 1))
	batch("first size negative", lie, size(one, 0xffffffff))
	batch("first size huge", lie, size(one, 1<<30))
	batch("garbage", lie, []byte("garbage"))
	batch("trailing bytes", lie, join(one, []byte{0, 0, 0}))
	batch("too big together", lie, batchItem(0, strings.Repeat("b", 4<<20), ""))
	p.do("of the lying batches", request{code: 30, fields: fields{"topic": lie, "queueId": "0"}})
}

func sendLongNames(p *pair) {
	send := func(what string, pairs ...string) {
		f := fields{}
		for k, v := range p.sendFields(p.name, pairs...) {
			f[longNames[k]] = v
		}
		p.do("long names: "+what, request{code: 10, fields: f, body: []byte("x")})
	}
	send("plain")
	send("batch=0", "m", "0")
	for _, f := range strings.Split("a b c d e f g h i j k l m n", " ") {
		send("without "+longNames[f], f, absent)
	}
	send("queue 9", "e", "9")
	p.do("short names in 10", request{code: 10, fields: p.sendFields(p.name), body: []byte("x")})
	f := fields{}
	for k, v := range p.sendFields(p.name) {
		f[longNames[k]] = v
	}
	p.do("long names in 310", request{code: 310, fields: f, body: []byte("x")})
	p.stored("long names", p.name, 0)
}

func sendOneway(p *pair) {
	p.send("first", p.name, "x")
	p.do("oneway", request{code: 310, fields: p.sendFields(p.name), body: []byte("y"), oneway: true})
	p.do("oneway refused", request{code: 310, fields: p.sendFields(p.name, "e", "99"), body: []byte("y"), oneway: true})
	p.do("oneway batch", request{code: 320, fields: p.sendFields(p.name, "m", "true"), body: batchItem(0, "z", ""), oneway: true})
	p.stored("oneway", p.name, 0)
}
