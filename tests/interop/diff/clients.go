package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

func init() {
	scenarios = append(scenarios, scenario{"locks", locks}, scenario{"heartbeat", heartbeats},
		scenario{"members", members}, scenario{"check_config", checkConfig})
}

func lockRequest(code int, group, client, topic string, queues ...int) request {
	var set []string
	for _, q := range queues {
		set = append(set, fmt.Sprintf(`{"brokerName":"diff","queueId":%d,"topic":%q}`, q, topic))
	}
	return request{code: code, body: []byte(fmt.Sprintf(`{"clientId":%q,"consumerGroup":%q,"mqSet":[%s],"onlyThisBroker":false}`,
		client, group, strings.Join(set, ",")))}
}

func locks(p *pair) {
	g, t := p.name, p.name
	p.do("lock two", lockRequest(41, g, "c1", t, 0, 1))
	p.do("lock again", lockRequest(41, g, "c1", t, 0, 1))
	p.do("another client", lockRequest(41, g, "c2", t, 0, 1, 2))
	p.do("another group", lockRequest(41, g+"2", "c2", t, 0))
	p.do("another client unlocks", lockRequest(42, g, "c2", t, 0))
	p.do("still locked", lockRequest(41, g, "c2", t, 0))
	p.do("owner unlocks", lockRequest(42, g, "c1", t, 0))
	p.do("now free", lockRequest(41, g, "c2", t, 0))
	p.do("no queues", lockRequest(41, g, "c1", t))
	p.do("unlock of an unknown group", lockRequest(42, g+"x", "c1", t, 0))
	p.do("queue -1", lockRequest(41, g, "c1", t, -1))
	for _, code := range []int{41, 42} {
		for _, body := range []string{"", "{}", "[]", "x", `{"clientId":"c"}`, `{"consumerGroup":"g"}`,
			`{"clientId":"c","consumerGroup":"g"}`, `{"clientId":"c","consumerGroup":"g","mqSet":null}`,
			`{"clientId":"c","consumerGroup":"g","mqSet":[{}]}`, `{"clientId":"c","consumerGroup":"g","mqSet":[{"topic":"t"}]}`,
			`{clientId:'c',consumerGroup:'g','mqSet':[{topic:"t",brokerName:'b',queueId:'3'}]}`,
			`{"clientId":"c","consumerGroup":"g","mqSet":[{"topic":"t","brokerName":"b","queueId":1},{"topic":"t","brokerName":"b","queueId":1}],"onlyThisBroker":true}`} {
			p.do(fmt.Sprintf("%d body %s", code, body), request{code: code, body: []byte(body)})
		}
	}
}

// subscription is a SubscriptionData as the Java client writes it.
func subscription(topic, expression string, version int64) string {
	tags, codes := []string{}, []int32{}
	for _, tag := range strings.Split(expression, "||") {
		if tag = strings.TrimSpace(tag); tag == "" || tag == "*" {
			continue
		}
		code := int32(0)
		for _, c := range tag {
			code = 31*code + int32(c)
		}
		tags, codes = append(tags, tag), append(codes, code)
	}
	text, err := json.Marshal(map[string]interface{}{"classFilterMode": false, "codeSet": codes, "expressionType": "TAG",
		"subString": expression, "subVersion": version, "tagsSet": tags, "topic": topic})
	must(err)
	return string(text)
}

func consumerData(group, more string, subs ...string) string {
	return fmt.Sprintf(`{"groupName":%q,%s"subscriptionDataSet":[%s],"unitMode":false}`, group, more, strings.Join(subs, ","))
}

const pushMember = `"consumeFromWhere":"CONSUME_FROM_FIRST_OFFSET","consumeType":"CONSUME_PASSIVELY","messageModel":"CLUSTERING",`

func heartbeat(client, more string, consumers ...string) request {
	return request{code: 34, body: []byte(fmt.Sprintf(`{"clientID":%q,%s"consumerDataSet":[%s]}`, client, more, strings.Join(consumers, ",")))}
}

func (p *pair) groupSeen(what, group string) {
	p.do("ids after "+what, request{code: 38, fields: fields{"consumerGroup": group}})
	p.do("consumers after "+what, request{code: 203, fields: fields{"consumerGroup": group}})
	p.do("producers after "+what, request{code: 204, fields: fields{"producerGroup": group}})
	p.do("config after "+what, request{code: 352, fields: fields{"group": group}})
	p.do("retry topic after "+what, request{code: 351, fields: fields{"topic": "%RETRY%" + group}})
}

func heartbeats(p *pair) {
	g := p.name
	t := p.name + "_t"
	for i, q := range []struct{ name, body string }{
		{"full", string(heartbeat("c", `"heartbeatFingerprint":0,"producerDataSet":[{"groupName":"GROUP"}],"withoutSub":false,`,
			consumerData("GROUP", pushMember, subscription(t, "TagA || TagB", 5))).body)},
		{"no producers", `{"clientID":"c","consumerDataSet":[` + consumerData("GROUP", pushMember, subscription(t, "*", 5)) + `]}`},
		{"only producer", `{"clientID":"c","producerDataSet":[{"groupName":"GROUP"}]}`},
		{"empty sets", `{"clientID":"c","consumerDataSet":[],"producerDataSet":[]}`},
		{"no clientID", `{"producerDataSet":[{"groupName":"GROUP"}],"consumerDataSet":[` + consumerData("GROUP", pushMember, subscription(t, "*", 5)) + `]}`},
		{"empty object", `{}`}, {"empty body", ``}, {"garbage", `garbage`}, {"array", `[]`}, {"null", `null`},
		{"actively", `{"clientID":"c","consumerDataSet":[` + consumerData("GROUP", `"consumeFromWhere":"CONSUME_FROM_LAST_OFFSET","consumeType":"CONSUME_ACTIVELY","messageModel":"BROADCASTING",`, subscription(t, "*", 5)) + `]}`},
		{"pop", `{"clientID":"c","consumerDataSet":[` + consumerData("GROUP", `"consumeFromWhere":"CONSUME_FROM_TIMESTAMP","consumeType":"CONSUME_POP","messageModel":"CLUSTERING",`, subscription(t, "*", 5)) + `]}`},
		{"deprecated where", `{"clientID":"c","consumerDataSet":[` + consumerData("GROUP", `"consumeFromWhere":"CONSUME_FROM_MAX_OFFSET","consumeType":"CONSUME_PASSIVELY","messageModel":"CLUSTERING",`, subscription(t, "*", 5)) + `]}`},
		{"no where", `{"clientID":"c","consumerDataSet":[` + consumerData("GROUP", ``, subscription(t, "*", 5)) + `]}`},
		{"numbers for names", `{"clientID":"c","consumerDataSet":[` + consumerData("GROUP", `"consumeFromWhere":4,"consumeType":1,"messageModel":1,`, subscription(t, "*", 5)) + `]}`},
		{"unknown names", `{"clientID":"c","consumerDataSet":[` + consumerData("GROUP", `"consumeFromWhere":"x","consumeType":"y","messageModel":"z",`, subscription(t, "*", 5)) + `]}`},
		{"no subscriptions", `{"clientID":"c","consumerDataSet":[` + consumerData("GROUP", pushMember) + `]}`},
		{"subscriptions absent", `{"clientID":"c","consumerDataSet":[{"groupName":"GROUP","consumeType":"CONSUME_PASSIVELY","messageModel":"CLUSTERING","consumeFromWhere":"CONSUME_FROM_LAST_OFFSET"}]}`},
		{"no expression type", `{"clientID":"c","consumerDataSet":[` + consumerData("GROUP", pushMember, `{"topic":"`+t+`","subString":"A||B","subVersion":7}`) + `]}`},
		{"codes and tags", `{"clientID":"c","consumerDataSet":[` + consumerData("GROUP", pushMember, `{"topic":"`+t+`","subString":"A||B","subVersion":7,"codeSet":[65,66],"tagsSet":["A","B"],"expressionType":"TAG"}`) + `]}`},
		{"SQL92", `{"clientID":"c","consumerDataSet":[` + consumerData("GROUP", pushMember, `{"topic":"`+t+`","subString":"a > 1","subVersion":7,"expressionType":"SQL92"}`) + `]}`},
		{"two topics", `{"clientID":"c","consumerDataSet":[` + consumerData("GROUP", pushMember, subscription(t, "*", 5), subscription("%RETRY%GROUP", "*", 5)) + `]}`},
		{"unit mode", `{"clientID":"c","consumerDataSet":[` + strings.Replace(consumerData("GROUP", pushMember, subscription(t, "*", 5)), `"unitMode":false`, `"unitMode":true`, 1) + `]}`},
		{"fingerprint", `{"clientID":"c","heartbeatFingerprint":77,"withoutSub":false,"consumerDataSet":[` + consumerData("GROUP", pushMember, subscription(t, "*", 5)) + `]}`},
		{"fingerprint without subscriptions", `{"clientID":"c","heartbeatFingerprint":77,"withoutSub":true,"consumerDataSet":[` + consumerData("GROUP", pushMember) + `]}`},
		{"single quotes", `{clientID:'c','producerDataSet':[{groupName:'GROUP'}]}`},
		{"no group name", `{"clientID":"c","producerDataSet":[{}]}`}, {"no consumer group name", `{"clientID":"c","consumerDataSet":[{}]}`},
		{"illegal group", `{"clientID":"c","consumerDataSet":[` + consumerData("a.b", pushMember, subscription(t, "*", 5)) + `]}`},
	} {
		group := fmt.Sprintf("%s_%d", g, i)
		links := p.connect()
		p.each(q.name, links, func(int) request {
			return request{code: 34, body: []byte(strings.ReplaceAll(q.body, "GROUP", group))}
		}, patience)
		p.groupSeen(q.name, group)
		links[0].conn.Close()
		links[1].conn.Close()
	}
	p.createTopic(t+"_ordered", "order", "true")
	for _, q := range []struct{ name, body string }{
		{"an ordered topic", string(heartbeat("c", "", consumerData(g, pushMember, subscription(t, "*", 5), subscription(t+"_ordered", "*", 5))).body)},
		{"no subscriptions of an ordered topic", string(heartbeat("c", `"heartbeatFingerprint":7,"withoutSub":true,`, consumerData(g, pushMember)).body)},
		{"the ordered topic again", string(heartbeat("c", "", consumerData(g, pushMember, subscription(t+"_ordered", "*", 6))).body)},
		{"a plain topic", string(heartbeat("c", "", consumerData(g, pushMember, subscription(t, "*", 7))).body)},
	} {
		p.do(q.name, request{code: 34, body: []byte(q.body)})
		p.do("retry topic after "+q.name, request{code: 351, fields: fields{"topic": "%RETRY%" + g}})
	}
	p.do("group of 300", heartbeat("c", "", consumerData(strings.Repeat("g", 300), pushMember)))
	p.do("unregister without id", request{code: 35, fields: fields{"consumerGroup": g}})
	p.do("unregister of nothing", request{code: 35, fields: fields{"clientID": "c"}})
	p.do("unregister of unknown", request{code: 35, fields: fields{"clientID": "c", "consumerGroup": g + "u", "producerGroup": g + "u"}})
	p.do("ids without group", request{code: 38, fields: fields{}})
	p.do("consumers without group", request{code: 203, fields: fields{}})
	p.do("producers without group", request{code: 204, fields: fields{}})
}

// members: joining, leaving, changing subscriptions, and who is told of it.
func members(p *pair) {
	g, t := p.name, p.name+"_t"
	a, b := p.connect(), p.connect()
	const told = 300 * time.Millisecond
	beat := func(what string, links [2]*link, q request) {
		p.each(what, links, func(int) request { return q }, patience)
		p.asked("a is told: "+what, a, told)
		p.asked("b is told: "+what, b, told)
	}
	of := func(client string, subs ...string) request {
		return heartbeat(client, "", consumerData(g, pushMember, subs...))
	}
	beat("a joins", a, of("a", subscription(t, "*", 1)))
	beat("a again", a, of("a", subscription(t, "*", 1)))
	beat("b joins", b, of("b", subscription(t, "*", 1)))
	p.groupSeen("both", g)
	beat("a with newer version", a, of("a", subscription(t, "A", 2)))
	p.groupSeen("newer version", g)
	beat("b with older version", b, of("b", subscription(t, "B", 1)))
	p.groupSeen("older version", g)
	beat("a adds a topic", a, of("a", subscription(t, "A", 2), subscription(t+"2", "*", 2)))
	beat("a drops a topic", a, of("a", subscription(t, "A", 2)))
	beat("a with fingerprint", a, heartbeat("a", `"heartbeatFingerprint":5,"withoutSub":false,`, consumerData(g, pushMember, subscription(t, "A", 2))))
	beat("a same fingerprint, no subscriptions", a, heartbeat("a", `"heartbeatFingerprint":5,"withoutSub":true,`, consumerData(g, pushMember)))
	beat("a other fingerprint, no subscriptions", a, heartbeat("a", `"heartbeatFingerprint":6,"withoutSub":true,`, consumerData(g, pushMember)))
	beat("a other fingerprint", a, heartbeat("a", `"heartbeatFingerprint":7,"withoutSub":false,`, consumerData(g, pushMember, subscription(t, "A", 2))))
	p.groupSeen("fingerprints", g)
	beat("b leaves", b, request{code: 35, fields: fields{"clientID": "b", "consumerGroup": g}})
	p.groupSeen("b left", g)
	beat("b is back", b, of("b", subscription(t, "A", 2)))
	b[0].conn.Close()
	b[1].conn.Close()
	time.Sleep(told)
	p.asked("a is told: b's connection closed", a, told)
	p.groupSeen("b's connection closed", g)
	beat("a becomes broadcasting", a, heartbeat("a", "", consumerData(g, strings.Replace(pushMember, "CLUSTERING", "BROADCASTING", 1), subscription(t, "A", 3))))
	p.groupSeen("broadcasting", g)
	beat("same client id on another connection", p.links, of("a", subscription(t, "A", 3)))
	p.groupSeen("two connections of one client", g)
	a[0].conn.Close()
	a[1].conn.Close()
}

func checkConfig(p *pair) {
	for _, body := range []string{"", "{}", "x", `{"clientId":"c","group":"g"}`, `{"subscriptionData":{}}`,
		`{"clientId":"c","group":"g","subscriptionData":{"topic":"t","subString":"*","expressionType":"TAG"}}`,
		`{"clientId":"c","group":"g","subscriptionData":{"topic":"t","subString":"||","expressionType":"TAG"}}`,
		`{"clientId":"c","group":"g","subscriptionData":{"topic":"t","subString":"a>1","expressionType":"SQL92"}}`,
		`{"clientId":"c","group":"g","subscriptionData":{"topic":"t","subString":"a>","expressionType":"SQL92"}}`,
		`{"clientId":"c","group":"g","subscriptionData":{"topic":"t","subString":"a>","expressionType":"other"}}`} {
		p.do("body "+body, request{code: 46, body: []byte(body)})
	}
}
