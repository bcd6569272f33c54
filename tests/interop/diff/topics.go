package main

import (
	"fmt"
	"strings"
)

func init() { scenarios = append(scenarios, scenario{"topics", topics}, scenario{"groups", groups}) }

func topics(p *pair) {
	t := p.name
	create := func(what, topic string, pairs ...string) {
		p.do("17 "+what, request{code: 17, fields: changed(fields{"topic": topic, "defaultTopic": "TBW102",
			"readQueueNums": "4", "writeQueueNums": "4", "perm": "6", "topicFilterType": "SINGLE_TAG", "topicSysFlag": "0",
			"order": "false"}, pairs...)})
		p.do("351 after "+what, request{code: 351, fields: fields{"topic": topic}})
	}
	create("plain", t)
	for i, f := range []string{"defaultTopic", "readQueueNums", "writeQueueNums", "perm", "topicFilterType", "topicSysFlag", "order", "attributes", "force"} {
		create("without "+f, fmt.Sprint(t, "_w", i), f, absent)
		create("empty "+f, fmt.Sprint(t, "_e", i), f, "")
		create("odd "+f, fmt.Sprint(t, "_o", i), f, "x")
		create("TRUE "+f, fmt.Sprint(t, "_t", i), f, "TRUE")
	}
	p.do("17 without topic", request{code: 17, fields: fields{"defaultTopic": "TBW102", "readQueueNums": "4", "writeQueueNums": "4", "perm": "6", "topicFilterType": "SINGLE_TAG"}})
	for i, n := range []string{"0", "-1", "1", "1024", "65536", "2147483647"} {
		if n != "2147483647" && n != "65536" {
			create("read queues "+n, fmt.Sprint(t, "_r", i), "readQueueNums", n)
			create("write queues "+n, fmt.Sprint(t, "_q", i), "writeQueueNums", n)
		}
	}
	for i, n := range []string{"0", "1", "2", "4", "6", "7", "8", "-1", "15"} {
		create("perm "+n, fmt.Sprint(t, "_p", i), "perm", n)
	}
	for _, n := range []string{"", " ", "a.b", "TBW102", "SELF_TEST_TOPIC", "SCHEDULE_TOPIC_XXXX", "rmq_sys_abc", "DefaultCluster", "diff", "BenchmarkTest",
		"%RETRY%" + t, "%DLQ%" + t, "%LMQ%" + t, strings.Repeat("x", 127), strings.Repeat("x", 128), "RMQ_SYS_TRACE_TOPIC", "CHECKPOINT_TOPIC"} {
		create(fmt.Sprintf("name %.30s of %d", strings.Replace(n, t, "T", 1), len(n)), n)
	}
	for i, a := range []string{"+message.type=NORMAL", "+message.type=FIFO", "+message.type=DELAY", "+message.type=TRANSACTION", "+message.type=MIXED", "+message.type=UNSPECIFIED",
		"+message.type=normal", "+message.type=", "+message.type", "message.type=NORMAL", "-message.type", "+unknown=1", "+queue.type=SimpleCQ", "+cleanup.policy=DELETE",
		"+queue.type=x", "+reserve.time=5", "+reserve.time=x", "+message.type=FIFO,+cleanup.policy=DELETE", "+message.type=FIFO,+message.type=NORMAL",
		",", "=", "+=", "+a", "+message.type=FIFO,", "+message.type=FIFO,-x", "++message.type=FIFO", "+message.type=FIFO=NORMAL"} {
		create("attributes "+a, fmt.Sprint(t, "_a", i), "attributes", a)
	}
	create("attribute at first", t+"_change", "attributes", "+message.type=NORMAL,+cleanup.policy=DELETE")
	for _, a := range []string{"+message.type=FIFO", "+cleanup.policy=COMPACTION", "+cleanup.policy=DELETE", "-cleanup.policy", "-message.type", "-message.type", "+queue.type=BatchCQ", "", "+message.type=x", "-queue.type"} {
		create("attribute changed by "+a, t+"_change", "attributes", a)
	}
	create("fewer queues", t, "readQueueNums", "2", "writeQueueNums", "1")
	create("order", t, "order", "true", "topicFilterType", "MULTI_TAG", "topicSysFlag", "3")
	for _, body := range []string{"", "{}", "x", `{"topicConfigList":[]}`, `{"topicConfigList":null}`,
		`{"topicConfigList":[{"topicName":"` + t + `_l1"}]}`,
		`{"topicConfigList":[{"topicName":"` + t + `_l2","readQueueNums":3,"writeQueueNums":2,"perm":6,"order":true,"topicFilterType":"MULTI_TAG","topicSysFlag":1,"attributes":{"+message.type":"FIFO"}}]}`,
		`{"topicConfigList":[{"topicName":"` + t + `_l3"},{"topicName":"TBW102"},{"topicName":"` + t + `_l4"}]}`,
		`{"topicConfigList":[{"topicName":"` + t + `_l5"},{"topicName":"` + t + `_l5"}]}`,
		`{"topicConfigList":[{"topicName":"` + t + `_l6","attributes":{"message.type":"FIFO"}}]}`,
		`{"topicConfigList":[{}]}`} {
		p.do("18 "+strings.ReplaceAll(body, t, "T"), request{code: 18, body: []byte(body)})
	}
	for i := 1; i < 7; i++ {
		p.do(fmt.Sprint("351 of list topic ", i), request{code: 351, fields: fields{"topic": fmt.Sprint(t, "_l", i)}})
	}
	p.do("351 without topic", request{code: 351, fields: fields{}})
	p.do("351 unknown", request{code: 351, fields: fields{"topic": t + "_none"}})
	p.do("351 lo", request{code: 351, fields: fields{"topic": t, "lo": "true"}})
	for _, n := range []string{t, t, t + "_none", "", "TBW102", "a.b", "%RETRY%" + t, "SELF_TEST_TOPIC"} {
		p.do("215 "+strings.Replace(n, t, "T", 1), request{code: 215, fields: fields{"topic": n}})
	}
	p.do("215 without topic", request{code: 215, fields: fields{}})
	p.do("351 after 215", request{code: 351, fields: fields{"topic": t}})
	p.do("202 after 215", request{code: 202, fields: fields{"topic": t}})
}

func groups(p *pair) {
	g := p.name
	for i, body := range []string{"", "{}", "x", `{"groupName":"GROUP"}`, `{"groupName":"a.b"}`, `{"groupName":""}`,
		`{"groupName":"GROUP","consumeEnable":false,"retryQueueNums":3,"retryMaxTimes":5,"brokerId":1,"whichBrokerWhenConsumeSlowly":2,"consumeTimeoutMinute":7,"groupSysFlag":1}`,
		`{"groupName":"GROUP","attributes":{"+priority.factor":"3"}}`, `{"groupName":"GROUP","attributes":{"x":"3"}}`,
		`{"groupName":"GROUP","subscriptionDataSet":[{"topic":"t","expressionType":"TAG","subString":"*"}]}`,
		`{"groupName":"GROUP","groupRetryPolicy":{"type":"EXPONENTIAL","exponentialRetryPolicy":{"initial":1000,"max":2000,"multiplier":2}}}`,
		`{"groupName":"GROUP","consumeMessageOrderly":true,"consumeBroadcastEnable":false,"consumeFromMinEnable":false,"notifyConsumerIdsChangedEnable":false}`} {
		name := fmt.Sprintf("%s_%d", g, i)
		p.do("200 "+body, request{code: 200, body: []byte(strings.ReplaceAll(body, "GROUP", name))})
		p.do("352 after "+body, request{code: 352, fields: fields{"group": name}})
		p.do("225 "+body, request{code: 225, body: []byte(`{"groupConfigList":[` + strings.ReplaceAll(body, "GROUP", name+"l") + `]}`)})
	}
	p.do("352 without group", request{code: 352, fields: fields{}})
	p.do("352 illegal", request{code: 352, fields: fields{"group": "a.b"}})
	p.do("207", request{code: 207, fields: fields{"groupName": g + "_3"}})
	p.do("207 unknown", request{code: 207, fields: fields{"groupName": g + "_none"}})
	p.do("207 without group", request{code: 207, fields: fields{}})
	p.do("352 after 207", request{code: 352, fields: fields{"group": g + "_3"}})
	for _, f := range []fields{{}, {"group": g}, {"topic": g}, {"group": g, "topic": g}, {"group": g, "topic": g, "readable": "false"}, {"group": g, "topic": g, "readable": "x"}, {"group": g, "topic": g, "readable": "true"}} {
		p.do(fmt.Sprint("353 ", sortedKeys(f), f["readable"]), request{code: 353, fields: f})
	}
}
