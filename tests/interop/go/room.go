package main

import (
	"context"
	"fmt"
	"os"
	"sort"
	"strings"
	"sync"
	"time"

	rocketmq "github.com/apache/rocketmq-client-go/v2"
	"github.com/apache/rocketmq-client-go/v2/admin"
	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/producer"
)

const patience = 45 * time.Second

// room is what one case works in: a topic and a group of its own, and what is closed at its end.
type room struct {
	namesrv, topic, group string
	closers               []func()
	clients               int
}

func newRoom(namesrv, name string) *room {
	id := fmt.Sprintf("%s_%d", name, os.Getpid())
	return &room{namesrv: namesrv, topic: "go_" + id, group: "gogroup_" + id}
}

func (r *room) close() {
	for i := len(r.closers) - 1; i >= 0; i-- {
		r.closers[i]()
	}
}

func (r *room) resolver() primitive.NsResolver {
	return primitive.NewPassthroughResolver([]string{r.namesrv})
}

// instance is a client name that no other client has: the client shares connections by it.
func (r *room) instance() string {
	r.clients++
	return fmt.Sprintf("%s_%d", r.group, r.clients)
}

func (r *room) producer(options ...producer.Option) rocketmq.Producer {
	p, err := rocketmq.NewProducer(append([]producer.Option{
		producer.WithNsResolver(r.resolver()), producer.WithGroupName("p" + r.group),
		producer.WithInstanceName(r.instance()), producer.WithRetry(1),
	}, options...)...)
	must(err)
	must(p.Start())
	r.closers = append(r.closers, func() { p.Shutdown() })
	return p
}

func (r *room) message(prefix string, number int) *primitive.Message {
	return primitive.NewMessage(r.topic, []byte(fmt.Sprintf("%s %d", prefix, number)))
}

func (r *room) send(p rocketmq.Producer, from, to int) {
	for i := from; i < to; i++ {
		_, err := p.SendSync(background, r.message("message", i))
		must(err)
	}
}

// awaitRoute waits until the NameServer knows the topic.
func (r *room) awaitRoute() {
	a, err := admin.NewAdmin(admin.WithResolver(r.resolver()))
	must(err)
	defer a.Close()
	await("the NameServer knows the topic", func() bool {
		queues, err := a.FetchPublishMessageQueues(background, r.topic)
		return err == nil && len(queues) > 0
	})
}

// createTopicBySending makes the broker create the topic; the message is the first of it.
func (r *room) createTopicBySending(p rocketmq.Producer) { r.send(p, 0, 1) }

func (r *room) consumerOptions(options ...consumer.Option) []consumer.Option {
	return append([]consumer.Option{
		consumer.WithNsResolver(r.resolver()), consumer.WithGroupName(r.group),
		consumer.WithInstance(r.instance()),
		consumer.WithConsumeFromWhere(consumer.ConsumeFromFirstOffset),
	}, options...)
}

type handler func(context.Context, ...*primitive.MessageExt) (consumer.ConsumeResult, error)

// push starts a push consumer. The route is waited for first: a consumer that starts before the
// topic is known looks again only half a minute later.
func (r *room) push(what consumer.MessageSelector, handle handler, options ...consumer.Option) rocketmq.PushConsumer {
	r.awaitRoute()
	c, err := rocketmq.NewPushConsumer(r.consumerOptions(options...)...)
	must(err)
	must(c.Subscribe(r.topic, what, handle))
	must(c.Start())
	r.closers = append(r.closers, func() { c.Shutdown() })
	return c
}

// sink is a push consumer that keeps what it receives.
type sink struct {
	sync.Mutex
	received []*primitive.MessageExt
	consumer rocketmq.PushConsumer
}

func (r *room) collect(what consumer.MessageSelector, options ...consumer.Option) *sink {
	s := &sink{}
	s.consumer = r.push(what, func(_ context.Context, ms ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
		s.Lock()
		defer s.Unlock()
		s.received = append(s.received, ms...)
		return consumer.ConsumeSuccess, nil
	}, options...)
	return s
}

func (s *sink) messages() []*primitive.MessageExt {
	s.Lock()
	defer s.Unlock()
	return append([]*primitive.MessageExt{}, s.received...)
}

func (s *sink) count() int { return len(s.messages()) }

func (s *sink) distinct() map[string]bool {
	set := map[string]bool{}
	for _, m := range s.messages() {
		set[string(m.Body)] = true
	}
	return set
}

// bodies are all bodies, sorted, in one line.
func (s *sink) bodies() string {
	var list []string
	for _, m := range s.messages() {
		list = append(list, string(m.Body))
	}
	sort.Strings(list)
	return strings.Join(list, " ")
}

// expect waits for count messages; each must be there once.
func (s *sink) expect(count int) {
	await(fmt.Sprintf("%d messages are received", count), func() bool { return s.count() >= count })
	equal("messages received", s.count(), count)
}

// pullQueue reads the topic queue by queue with explicit offsets.
func pullQueue(r *room) {
	const count = 12
	r.send(r.producer(), 0, count)
	r.awaitRoute()
	c, err := rocketmq.NewPullConsumer(r.consumerOptions()...)
	must(err)
	must(c.Subscribe(r.topic, everything))
	must(c.Start())
	r.closers = append(r.closers, func() { c.Shutdown() })
	seen := map[string]bool{}
	await(fmt.Sprintf("%d messages are polled", count), func() bool {
		ctx, cancel := context.WithTimeout(background, 5*time.Second)
		defer cancel()
		result, err := c.Poll(ctx, time.Second)
		if consumer.IsNoNewMsgError(err) {
			return false
		}
		must(err)
		for _, m := range result.GetMsgList() {
			seen[string(m.Body)] = true
		}
		c.ACK(background, result, consumer.ConsumeSuccess)
		return len(seen) == count
	})
}

func fail(format string, arguments ...interface{}) { panic(fmt.Sprintf(format, arguments...)) }

func must(err error) {
	if err != nil {
		panic(err.Error())
	}
}

func equal(what string, got, want interface{}) {
	if got != want {
		fail("%s: got %v, want %v", what, got, want)
	}
}

func await(what string, isTrue func() bool) {
	for end := time.Now().Add(patience); !isTrue(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			fail("after %v still not true: %s", patience, what)
		}
	}
}
