package main

import (
	"context"
	"fmt"
	"io"
	"os"

	rocketmq "github.com/apache/rocketmq-client-go/v2"
	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"
)

// runMember is a member of a group that clients in other languages are in too. It prints the body
// of each message on a line and leaves the group when its standard input ends.
func runMember(namesrv, group, topic string) {
	c, err := rocketmq.NewPushConsumer(
		consumer.WithNsResolver(primitive.NewPassthroughResolver([]string{namesrv})),
		consumer.WithGroupName(group), consumer.WithConsumeFromWhere(consumer.ConsumeFromFirstOffset))
	must(err)
	must(c.Subscribe(topic, everything, func(_ context.Context, ms ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
		for _, m := range ms {
			os.Stdout.WriteString(fmt.Sprintf("%s\n", m.Body))
		}
		return consumer.ConsumeSuccess, nil
	}))
	must(c.Start())
	io.Copy(io.Discard, os.Stdin)
	c.Shutdown()
}
