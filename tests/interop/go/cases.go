package main

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/producer"
)

type testCase struct {
	name string
	run  func(*room)
}

var everything = consumer.MessageSelector{Type: consumer.TAG, Expression: "*"}

var cases = []testCase{
	{"send_sync_is_acknowledged_with_a_place_in_a_queue", func(r *room) {
		p := r.producer()
		for i := 0; i < 8; i++ {
			result, err := p.SendSync(background, r.message("sync", i))
			must(err)
			equal("status", result.Status, primitive.SendOK)
			equal("length of the offset message id", len(result.OffsetMsgID), 32)
		}
		r.collect(everything).expect(8)
	}},
	{"send_async_calls_back_for_every_message", func(r *room) {
		const count = 40
		p := r.producer()
		results := make(chan error, count)
		for i := 0; i < count; i++ {
			must(p.SendAsync(background, func(_ context.Context, _ *primitive.SendResult, err error) {
				results <- err
			}, r.message("async", i)))
		}
		for i := 0; i < count; i++ {
			must(<-results)
		}
		r.collect(everything).expect(count)
	}},
	{"send_oneway_arrives", func(r *room) {
		p := r.producer()
		r.createTopicBySending(p)
		for i := 0; i < 10; i++ {
			must(p.SendOneWay(background, r.message("oneway", i)))
		}
		r.collect(everything).expect(11)
	}},
	{"send_batch_arrives_with_all_properties", func(r *room) {
		var batch []*primitive.Message
		for i := 0; i < 10; i++ {
			m := r.message("batch", i)
			m.WithProperty("number", fmt.Sprint(i))
			batch = append(batch, m)
		}
		result, err := r.producer().SendSync(background, batch...)
		must(err)
		equal("status", result.Status, primitive.SendOK)
		got := r.collect(everything)
		got.expect(10)
		for _, m := range got.messages() {
			equal("body", string(m.Body), "batch "+m.GetProperty("number"))
		}
	}},
	{"body_tag_keys_and_properties_survive", func(r *room) {
		m := primitive.NewMessage(r.topic, []byte("тело 🚀")).WithTag("A").WithKeys([]string{"ключ"})
		m.WithProperty("имя", "значение")
		_, err := r.producer().SendSync(background, m)
		must(err)
		got := r.collect(everything)
		got.expect(1)
		seen := got.messages()[0]
		equal("body", string(seen.Body), "тело 🚀")
		equal("tag", seen.GetTags(), "A")
		equal("keys", strings.TrimSpace(seen.GetKeys()), "ключ")
		equal("property", seen.GetProperty("имя"), "значение")
	}},
	{"compressed_body_arrives_whole", func(r *room) {
		body := strings.Repeat("compress me ", 5000)
		_, err := r.producer().SendSync(background, primitive.NewMessage(r.topic, []byte(body)))
		must(err)
		got := r.collect(everything)
		got.expect(1)
		equal("body", string(got.messages()[0].Body) == body, true)
	}},
	{"tag_filter_delivers_only_the_subscribed_tags", func(r *room) {
		p := r.producer()
		for _, tag := range []string{"A", "B", "C", "A", "D", "last"} {
			_, err := p.SendSync(background, primitive.NewMessage(r.topic, []byte(tag)).WithTag(tag))
			must(err)
		}
		got := r.collect(consumer.MessageSelector{Type: consumer.TAG, Expression: "A || C || last"})
		got.expect(4)
		equal("bodies", got.bodies(), "A A C last")
	}},
	{"clustering_shares_the_messages_of_a_topic", func(r *room) {
		p := r.producer()
		r.createTopicBySending(p)
		first, second := r.collect(everything), r.collect(everything)
		sent := 1
		await("both consumers of the group have messages", func() bool {
			r.send(p, sent, sent+8)
			sent += 8
			time.Sleep(250 * time.Millisecond) // paces the producer, decides nothing
			return first.count() > 0 && second.count() > 0
		})
		await("every message arrived at one of them", func() bool {
			union := first.distinct()
			for body := range second.distinct() {
				union[body] = true
			}
			return len(union) == sent
		})
	}},
	{"broadcasting_gives_every_message_to_every_consumer", func(r *room) {
		p := r.producer()
		r.createTopicBySending(p)
		model := consumer.WithConsumerModel(consumer.BroadCasting)
		first, second := r.collect(everything, model), r.collect(everything, model)
		r.send(p, 1, 20)
		first.expect(20)
		second.expect(20)
	}},
	{"orderly_keeps_the_order_of_each_queue", func(r *room) {
		const keys, count = 4, 60
		p := r.producer(producer.WithQueueSelector(producer.NewHashQueueSelector()))
		for i := 0; i < count; i++ {
			m := primitive.NewMessage(r.topic, []byte(fmt.Sprintf("%d %03d", i%keys, i)))
			_, err := p.SendSync(background, m.WithShardingKey(fmt.Sprint("key", i%keys)))
			must(err)
		}
		got := r.collect(everything, consumer.WithConsumerOrder(true))
		got.expect(count)
		last := map[string]string{}
		for _, m := range got.messages() {
			key, body := string(m.Body[:1]), string(m.Body)
			if body <= last[key] {
				fail("%q came after %q", body, last[key])
			}
			last[key] = body
		}
	}},
	{"restarted_consumer_goes_on_where_it_stopped", func(r *room) {
		p := r.producer()
		r.send(p, 0, 12)
		before := r.collect(everything)
		before.expect(12)
		must(before.consumer.Shutdown()) // commits the offsets
		r.send(p, 12, 20)
		after := r.collect(everything)
		after.expect(8)
		for body := range after.distinct() {
			if before.distinct()[body] {
				fail("%q was delivered again", body)
			}
		}
	}},
	{"rejected_message_comes_again", func(r *room) {
		r.send(r.producer(), 0, 1)
		var mutex sync.Mutex
		times := []int32{}
		r.push(everything, func(_ context.Context, ms ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
			mutex.Lock()
			defer mutex.Unlock()
			times = append(times, ms[0].ReconsumeTimes)
			if len(times) == 1 {
				return consumer.ConsumeRetryLater, nil
			}
			return consumer.ConsumeSuccess, nil
		})
		await("the message is delivered a second time", func() bool {
			mutex.Lock()
			defer mutex.Unlock()
			return len(times) == 2
		})
		equal("how often it was tried before", fmt.Sprint(times), "[0 1]")
	}},
	{"pull_consumer_reads_a_queue", func(r *room) { pullQueue(r) }},
}
