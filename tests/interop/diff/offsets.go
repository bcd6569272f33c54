package main

import (
	"encoding/binary"
	"fmt"
	"strings"
	"time"
)

func init() {
	scenarios = append(scenarios, scenario{"offsets", offsets}, scenario{"search", search}, scenario{"send_back", sendBack})
}

func offsets(p *pair) {
	t, g := p.name, "G"+p.name
	p.createTopic(t)
	ask := func(what string, code int, pairs ...string) {
		p.do(fmt.Sprint(code, " ", what), request{code: code, fields: changed(fields{"topic": t, "queueId": "0", "consumerGroup": g,
			"commitOffset": "2", "timestamp": "1"}, pairs...)})
	}
	all := func(when string, pairs ...string) {
		for _, code := range []int{14, 30, 31, 32, 29} {
			ask(when, code, pairs...)
		}
	}
	all("on an empty queue")
	p.fill(t, 5)
	all("on a queue of five")
	for _, code := range []int{14, 15, 30, 31, 32, 29} {
		for _, f := range []string{"topic", "queueId", "consumerGroup", "commitOffset", "timestamp"} {
			ask("without "+f, code, f, absent)
			ask("empty "+f, code, f, "")
			ask("no number "+f, code, f, "xyz")
		}
		ask("unknown topic", code, "topic", t+"_none")
		for _, q := range []string{"-1", "1", "3", "4", "2147483647", "-2147483648", "2147483648"} {
			ask("queue "+q, code, "queueId", q)
		}
		p.do(fmt.Sprint(code, " nothing"), request{code: code, fields: fields{}})
		p.do(fmt.Sprint(code, " no extFields"), request{code: code})
	}
	ask("committed=false", 30, "committed", "false")
	ask("committed=x", 30, "committed", "x")
	for _, v := range []string{"true", "false", "FALSE", "x", ""} {
		ask("setZeroIfNotFound="+v, 14, "setZeroIfNotFound", v)
		ask("setZeroIfNotFound="+v+" of an empty queue", 14, "setZeroIfNotFound", v, "queueId", "2")
	}
	ask("unknown group", 15)
	p.do("make the group", request{code: 352, fields: fields{"group": g}})
	for _, v := range []string{"3", "1", "0", "-1", "5", "6", "99", "9223372036854775807", "-9223372036854775808", "abc"} {
		ask("commit "+v, 15, "commitOffset", v)
		ask("after "+v, 14)
	}
	ask("commit for queue 77", 15, "queueId", "77")
	ask("after commit for queue 77", 14, "queueId", "77")
	ask("commit for queue -1", 15, "queueId", "-1")
	ask("after commit for queue -1", 14, "queueId", "-1")
	ask("commit for an unknown topic", 15, "topic", t+"_none")
	ask("commit without queue", 15, "queueId", absent)
	ask("commit without offset", 15, "commitOffset", absent)
	ask("commit of an unknown group", 15, "consumerGroup", g+"_none")
	ask("unknown group", 14, "consumerGroup", g+"_none")
	// A reset by an operator goes before what is committed.
	p.do("reset to 1", request{code: 222, fields: fields{"topic": t, "group": g, "timestamp": "-1", "offset": "1", "queueId": "0", "isForce": "true"}})
	ask("after reset", 14)
	ask("commit after reset", 15)
	p.pull("after reset", t, 4)
	ask("after the reset was taken", 14)
	ask("commit after the reset was taken", 15)
	for _, o := range []string{"-1", "6", "99", "0", "5"} {
		p.do("reset to "+o, request{code: 222, fields: fields{"topic": t, "group": g, "timestamp": "-1", "offset": o, "queueId": "0", "isForce": "true"}})
		ask("after reset to "+o, 14)
	}
}

func search(p *pair) {
	t := p.name
	p.createTopic(t)
	var times [2][]int64
	for i := 0; i < 3; i++ {
		p.send("fill", t, "x")
		time.Sleep(30 * time.Millisecond)
	}
	p.send("fill", t, "x")
	for side, a := range p.pull("all", t, 0) {
		b := a.body
		for len(b) > 0 {
			n := binary.BigEndian.Uint32(b)
			times[side] = append(times[side], int64(binary.BigEndian.Uint64(b[56:])))
			b = b[n:]
		}
	}
	for side := range times {
		if len(times[side]) != 4 {
			return
		}
	}
	for _, boundary := range []string{absent, "LOWER", "UPPER", "lower", "upper", "x", ""} {
		for i := -1; i < 5; i++ {
			for _, by := range []int64{-1, 0, 1} {
				p.each(fmt.Sprintf("message %d %+d ms %s", i, by, boundary), p.links, func(side int) request {
					when := int64(0)
					switch {
					case i < 0:
						when = by
					case i < 4:
						when = times[side][i] + by
					default:
						when = times[side][3] + 100000 + by
					}
					return request{code: 29, fields: changed(fields{"topic": t, "queueId": "0", "timestamp": fmt.Sprint(when)}, "boundaryType", boundary)}
				}, patience)
			}
		}
	}
	for _, v := range []string{"-9223372036854775808", "9223372036854775807"} {
		for _, boundary := range []string{"LOWER", "UPPER"} {
			p.do("time "+v+" "+boundary, request{code: 29, fields: fields{"topic": t, "queueId": "0", "timestamp": v, "boundaryType": boundary}})
		}
	}
}

func sendBack(p *pair) {
	t, g := p.name, p.name
	p.createTopic(t)
	p.fill(t, 3)
	at := [2][]record{}
	for side, a := range p.pull("all", t, 0) {
		at[side] = decodeRecords(a.body)
		if len(at[side]) != 3 {
			return
		}
	}
	back := func(what string, version int, pairs ...string) [2]answer {
		return p.each("back "+what, p.links, func(side int) request {
			return request{code: 36, version: version, fields: changed(fields{"offset": fmt.Sprint(at[side][1].physOffset), "group": g,
				"delayLevel": "0", "originMsgId": "7F000001", "originTopic": t, "unitMode": "false", "maxReconsumeTimes": "16"}, pairs...)}
		}, patience)
	}
	for _, v := range []string{"-1", "-100", "18", "19", "99"} {
		back("delayLevel "+v, 0, "delayLevel", v)
	}
	// Only Apache takes some of these: on level 15, so that offsets in the others' queues stay the same.
	for _, f := range []string{"offset", "group", "delayLevel", "originMsgId", "originTopic", "unitMode", "maxReconsumeTimes"} {
		back("without "+f, 0, "delayLevel", "15", f, absent)
		back("empty "+f, 0, "delayLevel", "15", f, "")
		back("no number "+f, 0, "delayLevel", "15", f, "x")
	}
	back("limit 0", 0, "maxReconsumeTimes", "0")
	back("limit -1", 0, "maxReconsumeTimes", "-1")
	back("limit 0, old client", 120, "maxReconsumeTimes", "0", "delayLevel", "18")
	back("offset -1", 0, "offset", "-1")
	back("offset huge", 0, "offset", "1099511627776")
	back("offset 1", 0, "offset", "1")
	back("of another group", 0, "group", g+"_new", "delayLevel", "18")
	back("of an illegal group", 0, "group", "a.b", "delayLevel", "15")
	back("of a group of 121", 0, "group", strings.Repeat("g", 121), "delayLevel", "18")
	p.do("no retries", groupRequest(g+"_drop", `"retryQueueNums":0`))
	back("of a group without retries", 0, "group", g+"_drop")
	p.do("three retry queues", groupRequest(g+"_three", `"retryQueueNums":3,"retryMaxTimes":0`))
	back("of a group that dies at once", 0, "group", g+"_three", "maxReconsumeTimes", absent)
	p.stored("dead", "%DLQ%"+g, 0)
	p.stored("dead at once", "%DLQ%"+g+"_three", 0)
	for _, s := range []string{"%RETRY%" + g, "%DLQ%" + g, "%RETRY%" + g + "_three", "%DLQ%" + g + "_three", "%RETRY%" + g + "_drop"} {
		p.do("config of "+strings.Replace(s, g, "G", 1), request{code: 351, fields: fields{"topic": s}})
	}
	back("in unit mode", 0, "group", g+"_unit", "delayLevel", "18", "unitMode", "true")
	p.do("config after unit mode", request{code: 351, fields: fields{"topic": "%RETRY%" + g + "_unit"}})
	p.createTopic("%RETRY%"+g+"_shut", "perm", "4")
	back("to a retry topic that is not writable", 0, "group", g+"_shut", "delayLevel", "18")
	back("to the dead when the retry topic is not writable", 0, "group", g+"_shut", "delayLevel", "-1")
	p.createTopic("%RETRY%"+g+"_ordered", "order", "true")
	back("to an ordered retry topic", 0, "group", g+"_ordered", "delayLevel", "18")
	p.do("config of an ordered retry topic", request{code: 351, fields: fields{"topic": "%RETRY%" + g + "_ordered"}})
	// What waits in the schedule topic: level 18 is its queue 17.
	p.do("delayed", request{code: 30, fields: fields{"topic": "SCHEDULE_TOPIC_XXXX", "queueId": "17"}})
}
